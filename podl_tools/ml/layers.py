"""
Dense, convolution, pooling and flatten layers, forward and backward.

Each rule follows the rules of arithmetic.md 1.4 and 1.6: the derivative of a clip is 1 strictly
inside and 0 elsewhere, and rounding is passed straight through.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Any

from podl_tools.arithmetic import ACTIVATION_MAX, BIAS_INPUT, ERROR_MAX

if TYPE_CHECKING:
    from podl_tools.ml.ops import Ops, Tensor
    from podl_tools.program import LayerPlan, WeightPlan


class LayerRule(ABC):
    """
    What one layer computes.

    Parameters
    ----------
    ops
        Exact operations of the backend.
    plan
        The layer in its place.

    """

    def __init__(self, ops: Ops, plan: LayerPlan) -> None:
        self.ops = ops
        self.plan = plan

    @abstractmethod
    def forward(self, weights: Tensor, inputs: Tensor) -> tuple[Tensor, Any]:
        """
        Compute the outputs of a batch.

        Parameters
        ----------
        weights
            (rows, columns), small; None for a layer without weights.
        inputs
            (batch, *in_shape), small.

        Returns
        -------
        tuple
            Outputs (batch, *out_shape) and what the way back needs.

        """

    @abstractmethod
    def gradient(self, weights: Tensor, saved: Any, error: Tensor) -> tuple[Tensor, Tensor]:
        """
        Turn the error of the outputs into the gradient.

        Parameters
        ----------
        weights
            As in `forward`, but wide.
        saved
            From `forward`.
        error
            (batch, *out_shape), wide.

        Returns
        -------
        tuple
            Gradient summed over the batch (rows, columns), None without weights; and the inner error, before
            the layer's clip.

        """

    @abstractmethod
    def input_error(self, weights: Tensor, saved: Any, inner: Tensor) -> Tensor:
        """Error of the inputs (batch, *in_shape), from the inner error."""


class WeightedRule(LayerRule):
    """A layer with a matrix whose last row is the bias."""

    @property
    def matrix(self) -> WeightPlan:
        """The matrix's plan."""
        if self.plan.weights is None:
            raise TypeError(f"{self.plan.layer.kind.label} has no weights")
        return self.plan.weights

    def relu(self, accumulated: Tensor) -> Tensor:
        """`clip(Rnd(acc, f), 0, 127)`."""
        return self.ops.clip(self.ops.round_shift(accumulated, self.matrix.scale), 0, ACTIVATION_MAX)

    def relu_error(self, outputs: Tensor, error: Tensor) -> Tensor:
        """Error before the clip: passed strictly inside 0..127."""
        return self.ops.where((outputs > 0) & (outputs < ACTIVATION_MAX), error, 0)

    def scaled_error(self, product: Tensor) -> Tensor:
        """`clip(Rnd(d W^T, f), -E, E)`."""
        return self.ops.clip(self.ops.round_shift(product, self.matrix.scale), -ERROR_MAX, ERROR_MAX)

    def outer(self, rows: Tensor, inner: Tensor) -> Tensor:
        """Gradient `a^T d` with the bias row `64 * sum d`; both operands have one row per product."""
        product = self.ops.matmul(self.ops.wide(rows), inner, turn_left=True)
        return self.ops.concat([product, BIAS_INPUT * self.ops.sum(inner, 0, keep=True)], 0)


class OutputRule(WeightedRule):
    """Output layer: raw accumulators `sum a*w + 64*b` are the logits."""

    def forward(self, weights: Tensor, inputs: Tensor) -> tuple[Tensor, Any]:
        accumulated = self.ops.matmul(inputs, weights[:-1]) + BIAS_INPUT * weights[-1]
        return accumulated, inputs

    def gradient(self, weights: Tensor, saved: Any, error: Tensor) -> tuple[Tensor, Tensor]:
        del weights
        return self.outer(saved, error), error

    def input_error(self, weights: Tensor, saved: Any, inner: Tensor) -> Tensor:
        del saved
        return self.scaled_error(self.ops.matmul(inner, weights[:-1], turn_right=True))


class DenseRule(OutputRule):
    """Dense ReLU layer."""

    def forward(self, weights: Tensor, inputs: Tensor) -> tuple[Tensor, Any]:
        accumulated, _ = super().forward(weights, inputs)
        outputs = self.relu(accumulated)
        return outputs, (inputs, outputs)

    def gradient(self, weights: Tensor, saved: Any, error: Tensor) -> tuple[Tensor, Tensor]:
        inputs, outputs = saved
        return super().gradient(weights, inputs, self.relu_error(outputs, error))


class Conv2DRule(WeightedRule):
    """Convolution with stride 1, zero padding and ReLU; weight rows ordered (i, j, c)."""

    def _kernel(self, weights: Tensor) -> Tensor:
        side, channels = self.plan.layer.size, self.plan.in_shape[2]
        return self.ops.reshape(weights[:-1], (side, side, channels, self.matrix.columns))

    def forward(self, weights: Tensor, inputs: Tensor) -> tuple[Tensor, Any]:
        accumulated = self.ops.convolve(inputs, self._kernel(weights)) + BIAS_INPUT * weights[-1]
        outputs = self.relu(accumulated)
        return outputs, (inputs, outputs)

    def gradient(self, weights: Tensor, saved: Any, error: Tensor) -> tuple[Tensor, Tensor]:
        del weights
        inputs, outputs = saved
        inner = self.relu_error(outputs, error)
        side = self.plan.layer.size
        rows = self.ops.patches(inputs, side, side)
        return self.outer(rows, self.ops.reshape(inner, (-1, self.matrix.columns))), inner

    def input_error(self, weights: Tensor, saved: Any, inner: Tensor) -> Tensor:
        del saved
        # The transposed convolution of an odd kernel with stride 1 is the convolution with the turned kernel.
        turned = self.ops.transpose(self.ops.flip(self._kernel(weights), (0, 1)), (0, 1, 3, 2))
        return self.scaled_error(self.ops.convolve(inner, turned))


class WeightlessRule(LayerRule):
    """A layer that only moves or joins values."""

    def gradient(self, weights: Tensor, saved: Any, error: Tensor) -> tuple[Tensor, Tensor]:
        del weights, saved
        return None, error


class PoolRule(WeightlessRule):
    """Shared shape work of pools: windows as one axis in row-major order."""

    def windows(self, images: Tensor) -> Tensor:
        """(batch, H, W, C) to (batch, H/n, W/n, n*n, C)."""
        n = self.plan.layer.size
        height, width, channels = self.plan.out_shape
        split = self.ops.reshape(images, (-1, height, n, width, n, channels))
        joined = self.ops.transpose(split, (0, 1, 3, 2, 4, 5))
        return self.ops.reshape(joined, (-1, height, width, n * n, channels))

    def images(self, windows: Tensor) -> Tensor:
        """Reverse of `windows`."""
        n = self.plan.layer.size
        height, width, channels = self.plan.out_shape
        split = self.ops.reshape(windows, (-1, height, width, n, n, channels))
        joined = self.ops.transpose(split, (0, 1, 3, 2, 4, 5))
        return self.ops.reshape(joined, (-1, height * n, width * n, channels))


class MaxPoolRule(PoolRule):
    """Maximum of n x n cells; the first maximum takes the error."""

    def forward(self, weights: Tensor, inputs: Tensor) -> tuple[Tensor, Any]:
        del weights
        windows = self.windows(inputs)
        top = self.ops.max(windows, 3)
        return self.ops.reshape(top, (-1, *self.plan.out_shape)), (windows, top)

    def input_error(self, weights: Tensor, saved: Any, inner: Tensor) -> Tensor:
        del weights
        windows, top = saved
        copies = self.ops.repeat(inner, self.plan.layer.size**2, 3)
        return self.images(self.ops.where(self.ops.first(windows == top, 3), copies, 0))


class AvgPoolRule(PoolRule):
    """Average of n x n cells times 2**gain; every cell takes the error, in a finer unit."""

    def forward(self, weights: Tensor, inputs: Tensor) -> tuple[Tensor, Any]:
        del weights
        total = self.ops.sum(self.windows(inputs), 3)
        return self.ops.clip(self.ops.round_shift(total, self.plan.layer.shift), 0, ACTIVATION_MAX), None

    def input_error(self, weights: Tensor, saved: Any, inner: Tensor) -> Tensor:
        del weights, saved
        return self.images(self.ops.repeat(inner, self.plan.layer.size**2, 3))


class FlattenRule(WeightlessRule):
    """C-order flattening."""

    def forward(self, weights: Tensor, inputs: Tensor) -> tuple[Tensor, Any]:
        del weights
        return self.ops.reshape(inputs, (-1, *self.plan.out_shape)), None

    def input_error(self, weights: Tensor, saved: Any, inner: Tensor) -> Tensor:
        del weights, saved
        return self.ops.reshape(inner, (-1, *self.plan.in_shape))
