"""Exact operations on JAX arrays: integers in floats, compiled with XLA."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import jax
import jax.numpy as jnp

from podl_tools.ml.array_ops import ArrayOps
from podl_tools.ml.float_ops import FloatOps, Kernel

if TYPE_CHECKING:
    from collections.abc import Sequence

    from podl_tools.ml.ops import Step, Tensor

# No TensorFloat-32 and no bfloat16 passes on devices that have them.
_PRECISION = jax.lax.Precision.HIGHEST


class JaxOps(FloatOps, ArrayOps):
    """
    Operations on JAX arrays.

    Parameters
    ----------
    kernel
        How products are computed.

    """

    def __init__(self, kernel: Kernel) -> None:
        FloatOps.__init__(self, kernel)
        ArrayOps.__init__(self, jnp)

    def small(self, values: Tensor) -> Tensor:
        return jnp.asarray(values, self._kernel.small)

    def wide(self, values: Tensor) -> Tensor:
        return jnp.asarray(values, jnp.float64)

    def shift_operand(self, shift: int) -> Tensor:
        return jnp.asarray(2.0**-shift, jnp.float64)

    def floor(self, values: Tensor) -> Tensor:
        return jnp.floor(values)

    def floor_divide(self, numerator: Tensor, denominator: Tensor) -> Tensor:
        return jnp.floor_divide(numerator.astype(jnp.int64), denominator.astype(jnp.int64)).astype(
            jnp.float64
        )

    def matmul(
        self, left: Tensor, right: Tensor, *, turn_left: bool = False, turn_right: bool = False
    ) -> Tensor:
        left = left.T if turn_left else left
        return jnp.matmul(left, right.T if turn_right else right, precision=_PRECISION)

    def convolve(self, images: Tensor, kernel: Tensor) -> Tensor:
        if not self._kernel.native_convolution:
            return super().convolve(images, kernel)
        return _convolve(images, kernel, "SAME", ("NHWC", "HWIO", "NHWC"))

    def convolution_gradient(self, images: Tensor, errors: Tensor, sides: tuple[int, int]) -> Tensor:
        if not self._kernel.native_convolution:
            return super().convolution_gradient(images, errors, sides)
        # A convolution too: the errors are its kernel, samples its channels and channels its samples.
        borders = [(side // 2, side // 2) for side in sides]
        found = _convolve(self.wide(images), errors, borders, ("CHWN", "IHWO", "HWNC"))
        return self.reshape(found, (-1, int(errors.shape[3])))

    def take(self, table: Sequence[int], index: Tensor) -> Tensor:
        return jnp.asarray(table, jnp.float64)[index.astype(jnp.int32)]

    def one_hot(self, labels: Tensor, classes: int) -> Tensor:
        return jax.nn.one_hot(labels, classes, dtype=jnp.float64)

    def scan(self, step: Step, carry: Tensor, sequence: Tensor, *, reverse: bool = False) -> Tensor:
        return jax.lax.scan(step, carry, sequence, reverse=reverse)[1]


def _convolve(left: Tensor, right: Tensor, borders: Any, axes: tuple[str, str, str]) -> Tensor:
    return jax.lax.conv_general_dilated(
        left, right, (1, 1), borders, dimension_numbers=axes, precision=_PRECISION
    )
