"""Operations that NumPy and JAX name alike."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from podl_tools.ml.ops import Ops, Tensor

if TYPE_CHECKING:
    from collections.abc import Sequence


class ArrayOps(Ops):
    """
    Exact operations that move, compare or add values, in any container.

    Parameters
    ----------
    array
        The module `numpy`, or one with the same functions.

    """

    def __init__(self, array: Any) -> None:
        self._array = array

    def clip(self, values: Tensor, low: int, high: int) -> Tensor:
        return self._array.clip(values, low, high)

    def where(self, mask: Tensor, values: Tensor, otherwise: int) -> Tensor:
        return self._array.where(mask, values, otherwise)

    def reshape(self, values: Tensor, shape: Sequence[int]) -> Tensor:
        return self._array.reshape(values, shape)

    def transpose(self, values: Tensor, axes: Sequence[int]) -> Tensor:
        return self._array.transpose(values, axes)

    def flip(self, values: Tensor, axes: Sequence[int]) -> Tensor:
        return self._array.flip(values, tuple(axes))

    def concat(self, parts: Sequence[Tensor], axis: int) -> Tensor:
        return self._array.concatenate(parts, axis)

    def pad_image(self, images: Tensor, rows: int, columns: int) -> Tensor:
        return self._array.pad(images, ((0, 0), (rows, rows), (columns, columns), (0, 0)))

    def sum(self, values: Tensor, axis: int, *, keep: bool = False) -> Tensor:
        return self._array.sum(values, axis, keepdims=keep)

    def max(self, values: Tensor, axis: int) -> Tensor:
        return self._array.max(values, axis, keepdims=True)

    def first(self, mask: Tensor, axis: int) -> Tensor:
        count = mask.shape[axis]
        place = self._array.arange(count).reshape((-1,) + (1,) * (mask.ndim - 1 - axis))
        return place == self._array.where(mask, place, count).min(axis, keepdims=True)

    def repeat(self, values: Tensor, count: int, axis: int) -> Tensor:
        return self._array.repeat(self._array.expand_dims(values, axis), count, axis)

    def zeros_like(self, values: Tensor) -> Tensor:
        return self._array.zeros_like(values)
