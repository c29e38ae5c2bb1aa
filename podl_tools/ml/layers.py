"""
Dense, convolution, pooling and flatten layers, forward and backward.

Each rule follows the rules of arithmetic.md 1.4 and 1.6: the derivative of a clip is 1 strictly
inside and 0 elsewhere, and rounding is passed straight through.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from functools import reduce
from operator import add
from typing import TYPE_CHECKING, Any

from podl_tools.arithmetic import ACTIVATION_MAX, BIAS_INPUT, ERROR_MAX
from podl_tools.program.plan import MAX_SMALL_TERMS

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
            Outputs (batch, *out_shape), small (logits of a split sum are wide), and what the way back needs.

        """

    @abstractmethod
    def gradient(self, weights: Tensor, saved: Any, error: Tensor) -> tuple[Tensor, Any]:
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
    def input_error(self, weights: Tensor, saved: Any, inner: Any) -> Tensor:
        """Error of the inputs (batch, *in_shape), from the inner error."""


class WeightedRule(LayerRule):
    """A layer with a matrix whose last row is the bias."""

    @property
    def matrix(self) -> WeightPlan:
        """The matrix's plan."""
        if self.plan.weights is None:
            raise TypeError(f"{self.plan.layer.kind.label} has no weights")
        return self.plan.weights

    def summand(self, values: Tensor) -> Tensor:
        """Put part of an accumulator into the container that holds all of it."""
        return self.ops.wide(values) if self.matrix.split else values

    def product(self, rows: Tensor, weights: Tensor) -> Tensor:
        """`rows * weights` of small operands as a summand, in pieces that a small sum holds."""
        starts = range(0, int(weights.shape[0]), MAX_SMALL_TERMS)
        if len(starts) == 1:
            return self.summand(self.ops.matmul(rows, weights))
        cuts = [slice(start, start + MAX_SMALL_TERMS) for start in starts]
        return reduce(add, (self.summand(self.ops.matmul(rows[:, cut], weights[cut])) for cut in cuts))

    def bias(self, weights: Tensor) -> Tensor:
        """`64*b` as a summand."""
        return self.summand(BIAS_INPUT * weights[-1])

    def rounded(self, accumulated: Tensor, shift: int, low: int, high: int) -> Tensor:
        """`clip(Rnd(acc, shift), low, high)`, small again."""
        return self.ops.small(self.ops.clip(self.ops.round_shift(accumulated, shift), low, high))

    def relu(self, accumulated: Tensor) -> Tensor:
        """`clip(Rnd(acc, f), 0, 127)`."""
        return self.rounded(accumulated, self.matrix.scale, 0, ACTIVATION_MAX)

    def relu_error(self, outputs: Tensor, error: Tensor) -> Tensor:
        """Error before the clip: passed strictly inside 0..127."""

        def passed(outputs: Tensor, error: Tensor) -> Tensor:
            return self.ops.where((outputs > 0) & (outputs < ACTIVATION_MAX), error, 0)

        return self.ops.fuse(passed)(outputs, error)

    def scaled_error(self, product: Tensor) -> Tensor:
        """`clip(Rnd(d W^T, f), -E, E)`."""

        def scaled(product: Tensor) -> Tensor:
            return self.ops.clip(self.ops.round_shift(product, self.matrix.scale), -ERROR_MAX, ERROR_MAX)

        return self.ops.fuse(scaled)(product)

    def outer(self, rows: Tensor, inner: Tensor) -> Tensor:
        """Gradient `[a, 64]^T d`; both operands have one row per product."""
        rows = self.ops.wide(rows)
        constant = self.ops.zeros_like(rows[:, :1]) + BIAS_INPUT
        return self.ops.matmul(self.ops.concat([rows, constant], 1), inner, turn_left=True)


class OutputRule(WeightedRule):
    """Output layer: raw accumulators `sum a*w + 64*b` are the logits."""

    def forward(self, weights: Tensor, inputs: Tensor) -> tuple[Tensor, Any]:
        return self.ops.add_bias(self.product(inputs, weights[:-1]), self.bias(weights)), inputs

    def gradient(self, weights: Tensor, saved: Any, error: Tensor) -> tuple[Tensor, Any]:
        del weights
        return self.outer(saved, error), error

    def input_error(self, weights: Tensor, saved: Any, inner: Any) -> Tensor:
        del saved
        return self.scaled_error(self.ops.matmul(inner, weights[:-1], turn_right=True))


class DenseRule(OutputRule):
    """Dense ReLU layer."""

    def forward(self, weights: Tensor, inputs: Tensor) -> tuple[Tensor, Any]:
        accumulated, _ = super().forward(weights, inputs)
        outputs = self.relu(accumulated)
        return outputs, (inputs, outputs)

    def gradient(self, weights: Tensor, saved: Any, error: Tensor) -> tuple[Tensor, Any]:
        inputs, outputs = saved
        return super().gradient(weights, inputs, self.relu_error(outputs, error))


class ConvolutionRule(WeightedRule):
    """Convolution with stride 1, zero padding and ReLU; weight rows ordered (i, j, c), or (i, c)."""

    def _images(self, values: Tensor, channels: int) -> Tensor:
        """(batch, H, W, channels); a sequence is an image of one row."""
        plane = (1, *self.plan.in_shape[:-1])[-2:]
        return self.ops.reshape(values, (-1, *plane, channels))

    def _patches(self, inputs: Tensor) -> Tensor:
        return self.ops.patches(self._images(inputs, self.plan.in_shape[-1]), *self.plan.layer.kernel)

    def _kernel(self, weights: Tensor) -> Tensor:
        shape = (*self.plan.layer.kernel, self.plan.in_shape[-1], self.matrix.columns)
        return self.ops.reshape(weights[:-1], shape)

    def convolved(self, weights: Tensor, inputs: Tensor) -> Tensor:
        """`sum a*w` as a summand, with the positions in one axis or two."""
        if self.matrix.split:
            return self.product(self._patches(inputs), weights[:-1])
        return self.ops.convolve(self._images(inputs, self.plan.in_shape[-1]), self._kernel(weights))

    def forward(self, weights: Tensor, inputs: Tensor) -> tuple[Tensor, Any]:
        outputs = self.relu(self.ops.add_bias(self.convolved(weights, inputs), self.bias(weights)))
        outputs = self.ops.reshape(outputs, (-1, *self.plan.out_shape))
        return outputs, (inputs, outputs)

    def gradient(self, weights: Tensor, saved: Any, error: Tensor) -> tuple[Tensor, Any]:
        del weights
        inputs, outputs = saved
        inner = self.relu_error(outputs, error)
        return self.kernel_gradient(inputs, self._images(inner, self.matrix.columns), inner)

    def kernel_gradient(self, inputs: Tensor, errors: Any, inner: Tensor) -> tuple[Tensor, Any]:
        """Gradient and `errors`, those of the output images; `inner` has the same sum for each output."""
        images = self._images(inputs, self.plan.in_shape[-1])
        gradient = self.ops.convolution_gradient(images, errors, self.plan.layer.kernel)
        rows = self.ops.reshape(inner, (-1, self.matrix.columns))
        return self.ops.concat([gradient, BIAS_INPUT * self.ops.sum(rows, 0, keep=True)], 0), errors

    def input_error(self, weights: Tensor, saved: Any, inner: Any) -> Tensor:
        del saved
        error = self.scaled_error(self.ops.convolution_error(inner, self._kernel(weights)))
        return self.ops.reshape(error, (-1, *self.plan.in_shape))


class PooledConvolutionRule(ConvolutionRule):
    """
    A two-dimensional convolution and the max pool behind it.

    Rounding and clip never turn an order round, so the maximum comes first and the rest has fewer values. The
    cell that takes a window's error has the window's value: one mask does for both. It is the first whose
    rounded sum is that value `top`, and `Rnd(sum, f) >= top` where `sum >= top * 2**f - 2**(f-1)`.

    Parameters
    ----------
    ops
        Exact operations of the backend.
    plan
        The convolution in its place.
    size
        Side of the pool's windows.

    """

    def __init__(self, ops: Ops, plan: LayerPlan, size: int) -> None:
        super().__init__(ops, plan)
        self._size = size

    def forward(self, weights: Tensor, inputs: Tensor) -> tuple[Tensor, Any]:
        sums = self.ops.add_bias(self.convolved(weights, inputs), self.bias(weights))
        sums = self.ops.reshape(sums, (-1, *self.plan.out_shape))
        top = self.relu(self.ops.max_pool(sums, self._size))
        return top, (inputs, sums, top)

    def gradient(self, weights: Tensor, saved: Any, error: Tensor) -> tuple[Tensor, Any]:
        del weights
        inputs, sums, top = saved
        inner = self.relu_error(top, error)
        least = self.summand(top) * (1 << self.matrix.scale) - (1 << (self.matrix.scale - 1))
        return self.kernel_gradient(inputs, self.ops.pooled_errors(sums, least, inner, self._size), inner)


class WeightlessRule(LayerRule):
    """A layer that only moves or joins values."""

    def gradient(self, weights: Tensor, saved: Any, error: Tensor) -> tuple[Tensor, Any]:
        del weights, saved
        return None, error


class MaxPoolRule(WeightlessRule):
    """Maximum of n x n cells; the first maximum takes the error."""

    def forward(self, weights: Tensor, inputs: Tensor) -> tuple[Tensor, Any]:
        del weights
        top = self.ops.max_pool(inputs, self.plan.layer.size)
        return top, (inputs, top)

    def input_error(self, weights: Tensor, saved: Any, inner: Any) -> Tensor:
        del weights
        images, top = saved
        return self.ops.unpool(images, top, inner, self.plan.layer.size)


class AvgPoolRule(WeightlessRule):
    """Average of n x n cells times 2**gain; every cell takes the error, in a finer unit."""

    def forward(self, weights: Tensor, inputs: Tensor) -> tuple[Tensor, Any]:
        del weights
        total = self.ops.sum(self.ops.windows(inputs, self.plan.layer.size), 3)
        return self.ops.clip(self.ops.round_shift(total, self.plan.layer.shift), 0, ACTIVATION_MAX), None

    def input_error(self, weights: Tensor, saved: Any, inner: Any) -> Tensor:
        del weights, saved
        size = self.plan.layer.size
        return self.ops.from_windows(self.ops.repeat(inner, size**2, 3), size)


class FlattenRule(WeightlessRule):
    """C-order flattening."""

    def forward(self, weights: Tensor, inputs: Tensor) -> tuple[Tensor, Any]:
        del weights
        return self.ops.reshape(inputs, (-1, *self.plan.out_shape)), None

    def input_error(self, weights: Tensor, saved: Any, inner: Any) -> Tensor:
        del weights, saved
        return self.ops.reshape(inner, (-1, *self.plan.in_shape))
