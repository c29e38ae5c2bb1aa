"""Exact operations on TensorFlow tensors: integers in floats."""

from __future__ import annotations

from importlib import import_module
from math import prod
from typing import TYPE_CHECKING, Any, NamedTuple

import tensorflow as tf

from podl_tools.ml.float_ops import FloatOps

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from podl_tools.ml.ops import Step, Tensor


class TensorOps(FloatOps):
    """
    Operations on TensorFlow tensors.

    Parameters
    ----------
    kernel
        How products are computed.

    """

    def small(self, values: Tensor) -> Tensor:
        return tf.cast(values, self._kernel.small)

    def wide(self, values: Tensor) -> Tensor:
        return tf.cast(values, tf.float64)

    def shift_operand(self, shift: int) -> Tensor:
        return tf.constant(2.0**-shift, tf.float64)

    def floor(self, values: Tensor) -> Tensor:
        return tf.floor(values)

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

    def fuse(self, function: Callable[..., Any]) -> Callable[..., Any]:
        if not self._kernel.fused:
            return function
        compiled: Callable[..., Any] = tf.function(function, autograph=False, jit_compile=True)
        return compiled

    def add_bias(self, sums: Tensor, bias: Tensor) -> Tensor:
        return tf.nn.bias_add(sums, bias)  # TensorFlow joins it to the product before it

    def convolve(self, images: Tensor, kernel: Tensor) -> Tensor:
        if self._kernel.native_convolution:
            return tf.nn.conv2d(images, kernel, 1, "SAME")
        return super().convolve(images, kernel)

    def convolution_gradient(self, images: Tensor, errors: Any, sides: tuple[int, int]) -> Tensor:
        if self._kernel.sparse_errors:
            padded = self.pad_image(self.small(images), sides[0] // 2, sides[1] // 2)
            found = _call("gradient", tf.float64, padded, *_pooled(errors), *sides)
            return tf.ensure_shape(found, (prod(sides) * int(images.shape[3]), None))
        if not self._kernel.native_convolution:
            return super().convolution_gradient(images, errors, sides)
        channels, outputs = int(images.shape[3]), int(errors.shape[3])
        found = tf.raw_ops.Conv2DBackpropFilter(
            input=self.wide(images),
            filter_sizes=(*sides, channels, outputs),
            out_backprop=errors,
            strides=[1] * 4,
            padding="SAME",
        )
        return tf.reshape(found, (-1, outputs))

    def convolution_error(self, errors: Any, kernel: Tensor) -> Tensor:
        if not self._kernel.sparse_errors:
            return super().convolution_error(errors, kernel)
        return _call("images_error", tf.float64, *_pooled(errors), self.transpose(kernel, (0, 3, 1, 2)))

    def pooled_errors(self, images: Tensor, least: Tensor, errors: Tensor, size: int) -> Any:
        if not self._kernel.sparse_errors:
            return super().pooled_errors(images, least, errors, size)
        return PooledErrors(errors, _call("first_cells", tf.int32, images, least), size)

    def max_pool(self, images: Tensor, size: int) -> Tensor:
        if self._kernel.native_convolution:
            return tf.nn.max_pool2d(images, size, size, "VALID")
        return super().max_pool(images, size)

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


class PooledErrors(NamedTuple):
    """
    Errors of images, one for each window.

    Parameters
    ----------
    values
        (batch, H/size, W/size, C), wide.
    cells
        Place of each in its window, in row-major order, int32; -1 for nowhere.
    size
        Side of the windows.

    """

    values: Tensor
    cells: Tensor
    size: int


def _pooled(errors: Any) -> PooledErrors:
    """Errors of all cells are those of windows of one."""
    if isinstance(errors, PooledErrors):
        return errors
    return PooledErrors(errors, tf.zeros_like(errors, tf.int32), 1)


def _call(name: str, dtype: tf.DType, *operands: Tensor) -> Tensor:
    """Call a function of `podl_tools.ml.sparse` from a graph."""
    function = getattr(import_module("podl_tools.ml.sparse"), name)
    return tf.numpy_function(function, operands, dtype, stateful=False)
