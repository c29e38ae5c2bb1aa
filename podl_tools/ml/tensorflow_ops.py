"""
Exact operations on TensorFlow tensors: integers in floats.

Forward values fit float32 (sums of at most 2**24), errors and weights in training float64 (at most 2**53);
the layer program proves both, so any order of summation, thread count or fused multiply-add gives the same
integers.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import tensorflow as tf

from podl_tools.ml.ops import Ops, Step, Tensor

if TYPE_CHECKING:
    from collections.abc import Sequence


@dataclass(frozen=True)
class Kernel:
    """
    How products are computed.

    Parameters
    ----------
    name
        For reports.
    small
        Container of forward operands.
    native_convolution
        Use the framework's convolution. A Winograd or Fourier algorithm is not exact, and on a GPU the choice
        may change with the shape: for CPUs only, and for those that pass the self-test.

    """

    name: str
    small: Any
    native_convolution: bool


CPU_KERNELS: Final = (
    Kernel("float32, native convolution", tf.float32, native_convolution=True),
    Kernel("float32, patches", tf.float32, native_convolution=False),
    Kernel("float64, patches", tf.float64, native_convolution=False),
)
GPU_KERNELS: Final = CPU_KERNELS[1:]


class TensorOps(Ops):
    """
    Operations on TensorFlow tensors.

    Parameters
    ----------
    kernel
        How products are computed.

    """

    def __init__(self, kernel: Kernel) -> None:
        self._kernel = kernel

    def small(self, values: Tensor) -> Tensor:
        return tf.cast(values, self._kernel.small)

    def wide(self, values: Tensor) -> Tensor:
        return tf.cast(values, tf.float64)

    def shift_operand(self, shift: int) -> Tensor:
        return tf.constant(2.0**-shift, tf.float64)

    def round_shift(self, values: Tensor, shift: Tensor | int) -> Tensor:
        """
        `floor(values * 2**-shift + 1/2)`.

        The scaling is exact. So is the floor of a forward sum: with the half it has at most 24 bits. For an
        operand R and abs(G) < 2**45: for 0 < R <= 52 the sum has at most 53 bits; for R > 52 it lies in
        (0.49, 0.51), rounded or not; for R <= 0 the scaled value is an integer below 2**45 or an even one, to
        which a tie rounds back.
        """
        if not isinstance(shift, int):
            return tf.floor(values * shift + 0.5)
        if shift <= 0:  # an odd float32 above 2**23 has no room for the half unit
            return values * 2.0**-shift
        return tf.floor(values * 2.0**-shift + 0.5)

    def floor_divide(self, numerator: Tensor, denominator: Tensor) -> Tensor:
        quotient = tf.math.floordiv(tf.cast(numerator, tf.int64), tf.cast(denominator, tf.int64))
        return tf.cast(quotient, tf.float64)

    def clip(self, values: Tensor, low: int, high: int) -> Tensor:
        return tf.clip_by_value(values, float(low), float(high))

    def where(self, mask: Tensor, values: Tensor, otherwise: int) -> Tensor:
        return tf.where(mask, values, tf.cast(otherwise, values.dtype))

    def matmul(
        self, left: Tensor, right: Tensor, *, turn_left: bool = False, turn_right: bool = False
    ) -> Tensor:
        return tf.matmul(left, right, transpose_a=turn_left, transpose_b=turn_right)

    def convolve(self, images: Tensor, kernel: Tensor) -> Tensor:
        if self._kernel.native_convolution:
            return tf.nn.conv2d(images, kernel, 1, "SAME")
        return super().convolve(images, kernel)

    def reshape(self, values: Tensor, shape: Sequence[int]) -> Tensor:
        return tf.reshape(values, shape)

    def transpose(self, values: Tensor, axes: Sequence[int]) -> Tensor:
        return tf.transpose(values, axes)

    def flip(self, values: Tensor, axes: Sequence[int]) -> Tensor:
        return tf.reverse(values, axes)

    def concat(self, parts: Sequence[Tensor], axis: int) -> Tensor:
        return tf.concat(parts, axis)

    def pad_image(self, images: Tensor, rows: int, columns: int) -> Tensor:
        return tf.pad(images, ((0, 0), (rows, rows), (columns, columns), (0, 0)))

    def sum(self, values: Tensor, axis: int, *, keep: bool = False) -> Tensor:
        return tf.reduce_sum(values, axis, keepdims=keep)

    def max(self, values: Tensor, axis: int) -> Tensor:
        return tf.reduce_max(values, axis, keepdims=True)

    def first(self, mask: Tensor, axis: int) -> Tensor:
        count = float(mask.shape[axis])  # at most 255 * 255; minima of int32 are taken on the host
        place = tf.reshape(tf.range(count, dtype=tf.float32), (-1,) + (1,) * (len(mask.shape) - 1 - axis))
        return place == tf.reduce_min(tf.where(mask, place, count), axis, keepdims=True)

    def repeat(self, values: Tensor, count: int, axis: int) -> Tensor:
        return tf.repeat(tf.expand_dims(values, axis), count, axis)

    def take(self, table: Sequence[int], index: Tensor) -> Tensor:
        return tf.gather(tf.constant(table, tf.float64), tf.cast(index, tf.int32))

    def one_hot(self, labels: Tensor, classes: int) -> Tensor:
        return tf.one_hot(tf.cast(labels, tf.int32), classes, dtype=tf.float64)

    def zeros_like(self, values: Tensor) -> Tensor:
        return tf.zeros_like(values)

    def scan(self, step: Step, carry: Tensor, sequence: Tensor, *, reverse: bool = False) -> Tensor:
        length = int(sequence.shape[0])

        def body(index: Tensor, carry: Tensor, outputs: Any) -> tuple[Tensor, Tensor, Any]:
            place = length - 1 - index if reverse else index
            carry, output = step(carry, sequence[place])
            return index + 1, carry, outputs.write(place, output)

        start = (tf.constant(0), carry, tf.TensorArray(carry.dtype, size=length))
        _, _, outputs = tf.while_loop(lambda index, *_: index < length, body, start, parallel_iterations=1)
        return outputs.stack()
