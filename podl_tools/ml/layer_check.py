"""
Self-test of one layer: every product of it in its own shape, against int64 arithmetic.

Source: arithmetic.md section 4.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

from podl_tools.arithmetic import ACTIVATION_MAX, ERROR_MAX
from podl_tools.errors import PodlError
from podl_tools.ml.layers import ConvolutionRule, DenseRule
from podl_tools.ml.network import CALL_POSITIONS
from podl_tools.program.layer import CONVOLUTIONS, RECURRENT

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from podl_tools.ml.network import Network
    from podl_tools.ml.ops import Ops, Tensor
    from podl_tools.program import LayerPlan, WeightPlan

    Expression = Callable[..., Tensor]
    Draw = Callable[[tuple[int, ...], int], NDArray[np.int64]]

_BATCH: Final = 64  # samples in a product of a layer's own shape
_BATCH_VALUES: Final = 1 << 22  # and values in its largest operand


class SelfTestError(PodlError):
    """A kernel's result is not the exact integer."""

    reason = "podl-eval-unavailable"


def input_error(ops: Ops, left: Tensor, right: Tensor) -> Tensor:
    """`left * right^T`, the product of an input error."""
    return ops.matmul(left, right, turn_right=True)


def gradient(ops: Ops, left: Tensor, right: Tensor) -> Tensor:
    """`left^T * right`, the product of a gradient."""
    return ops.matmul(left, right, turn_left=True)


def _convolution_error(ops: Ops, errors: Tensor, kernel: Tensor) -> Tensor:
    return ops.convolution_error(errors, kernel)


class LayerCheck:
    """
    Every product of one layer in its own shape.

    A library chooses its algorithm by shape, the number of rows included. Few samples are drawn and then
    repeated up to a usual batch, so that the referee has little to compute.

    Parameters
    ----------
    network
        What to check.
    referee
        The same program in int64 arithmetic.
    plan, matrix
        The layer and its weights.
    draw
        Makes an operand of a shape and largest absolute value.

    """

    def __init__(
        self, network: Network, referee: Network, plan: LayerPlan, matrix: WeightPlan, draw: Draw
    ) -> None:
        self._network = network
        self._referee = referee
        self._plan = plan
        self._matrix = matrix
        self._draw = draw
        taps = int(np.prod(plan.layer.kernel)) or 1
        widest = matrix.positions * max(matrix.fan_in, matrix.columns * taps)
        most = min(_BATCH, CALL_POSITIONS // matrix.positions, _BATCH_VALUES // widest)
        self._drawn = 2 if most > 1 else 1
        self._repeats = max(1, most // self._drawn)

    def run(self) -> None:
        """
        Check the products by the layer's matrix: forward, gradient, and error for the layer below.

        Raises
        ------
        SelfTestError
            Names the product that is not exact.

        """
        matrix, draw = self._matrix, self._draw
        weights = draw((matrix.rows, matrix.columns), ACTIVATION_MAX)
        errors = draw((self._drawn * matrix.positions, matrix.columns), ERROR_MAX)
        if self._plan.layer.kind in CONVOLUTIONS:
            self._run_convolution(weights, errors)
            return
        rows = draw((self._drawn * matrix.positions, matrix.rows), ACTIVATION_MAX)
        self._compare_gradient(gradient, rows, errors)
        if self._plan.layer.kind in RECURRENT:
            # All inputs are multiplied at once, the states step by step.
            features = self._plan.in_shape[1]
            self._run_product(weights[:features], errors, matrix.positions)
            self._run_product(weights[features:-1], errors, 1)
        else:
            self._run_product(weights[:-1], errors, 1)

    def _run_product(self, weights: NDArray[np.int64], errors: NDArray[np.int64], steps: int) -> None:
        rows = self._draw((self._drawn * steps, len(weights)), ACTIVATION_MAX)

        def product(ops: Ops, left: Tensor, right: Tensor) -> Tensor:
            return DenseRule(ops, self._plan).product(left, right)

        self._compare_rows("product", product, (rows, weights), wide=False)
        self._compare_rows("input error", input_error, (errors[: self._drawn * steps], weights), wide=True)

    def _run_convolution(self, weights: NDArray[np.int64], errors: NDArray[np.int64]) -> None:
        plane, channels = (1, *self._plan.in_shape[:-1])[-2:], self._plan.in_shape[-1]
        inputs = self._draw((self._drawn, *self._plan.in_shape), ACTIVATION_MAX)
        kernel = weights[:-1].reshape(*self._plan.layer.kernel, channels, -1)

        def convolved(ops: Ops, images: Tensor, matrix: Tensor) -> Tensor:
            accumulated = ConvolutionRule(ops, self._plan).convolved(matrix, images)
            return ops.reshape(accumulated, (-1, *self._plan.out_shape))

        self._compare_rows("product", convolved, (inputs, weights), wide=False)
        images = errors.reshape(self._drawn, *plane, -1)
        self._compare_rows("input error", _convolution_error, (images, kernel), wide=True)

        def convolution_gradient(ops: Ops, left: Tensor, right: Tensor) -> Tensor:
            return ops.convolution_gradient(left, right, self._plan.layer.kernel)

        self._compare_gradient(convolution_gradient, inputs.reshape(self._drawn, *plane, channels), images)

    def _compare_rows(
        self,
        what: str,
        function: Expression,
        operands: tuple[NDArray[np.int64], NDArray[np.int64]],
        *,
        wide: bool,
    ) -> None:
        left, right = operands
        found = self._network.apply(function, np.concatenate([left] * self._repeats), right, wide=wide)
        wanted = self._referee.apply(function, left, right, wide=wide)
        self._demand(what, np.array_equal(found, np.concatenate([wanted] * self._repeats)))

    def _compare_gradient(
        self, function: Expression, left: NDArray[np.int64], errors: NDArray[np.int64]
    ) -> None:
        many = np.concatenate([left] * self._repeats), np.concatenate([errors] * self._repeats)
        found = self._network.apply(function, *many, wide=True)
        wanted = self._referee.apply(function, left, errors, wide=True)
        self._demand("gradient", np.array_equal(found, self._repeats * wanted))

    def _demand(self, what: str, exact: bool) -> None:
        if not exact:
            raise SelfTestError(f"{what} of {self._plan.layer.describe()} is not exact")
