"""
Products by errors most of which are 0, compiled by Numba: behind a max pool at least three of four are.

Each error that is not 0 adds its multiple of a patch to the gradient, and of a kernel to the error of the
images. Every sum is one of integers below 2**53, which float64 holds in any order, fused or not.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import numba
import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    Floats = NDArray[np.floating[Any]]
    Places = NDArray[np.int32]

# Positions whose errors are sorted by output at once.
_POSITIONS: Final = 4096
# `contract` allows fused multiply-adds; the cache spares the next process the compilation.
_compiled: Final[Callable[..., Any]] = numba.njit(nogil=True, cache=True, fastmath={"contract"})


@_compiled
def first_cells(images: Floats, least: Floats) -> Places:
    """
    Cell of each window, in row-major order, that is the first to reach `least`; -1 where none does.

    Parameters
    ----------
    images
        (batch, H, W, C).
    least
        (batch, H/size, W/size, C).

    """
    batch, height, width, channels = least.shape
    size = images.shape[1] // height
    found = np.full(least.shape, -1, np.int32)
    for b, y, x in np.ndindex(batch, height, width):
        bounds, places = least[b, y, x], found[b, y, x]
        for cell in range(size * size - 1, -1, -1):
            values = images[b, y * size + cell // size, x * size + cell % size]
            for c in range(channels):
                places[c] = cell if values[c] >= bounds[c] else places[c]
    return found


@_compiled
def _add_scaled(total: Floats, values: Floats, starts: NDArray[np.int64], source: Floats) -> None:
    """Add `values[k] * source[starts[k]:]` to `total`, four at a time: that saves loads and stores."""
    size, whole = len(total), len(values) // 4 * 4
    for k in range(0, whole, 4):
        v0, v1, v2, v3 = values[k], values[k + 1], values[k + 2], values[k + 3]
        s0 = source[starts[k] : starts[k] + size]
        s1 = source[starts[k + 1] : starts[k + 1] + size]
        s2 = source[starts[k + 2] : starts[k + 2] + size]
        s3 = source[starts[k + 3] : starts[k + 3] + size]
        for at in range(size):
            total[at] += v0 * s0[at] + v1 * s1[at] + v2 * s2[at] + v3 * s3[at]
    for k in range(whole, len(values)):
        one, only = values[k], source[starts[k] : starts[k] + size]
        for at in range(size):
            total[at] += one * only[at]


@_compiled
def gradient(padded: Floats, errors: Floats, cells: Places, size: int, high: int, wide: int) -> Floats:
    """
    `Ops.convolution_gradient`.

    Parameters
    ----------
    padded
        Images (batch, H + high - 1, W + wide - 1, C) with the zeros around them.
    errors
        (batch, H/size, W/size, outputs).
    cells
        Place of each error in its window of `size * size` cells; -1 for nowhere.
    high, wide
        Sides of the kernel.

    """
    batch, height, width, outputs = errors.shape
    row, channels = padded.shape[2] * padded.shape[3], padded.shape[3]
    offsets = np.array([cell // size * row + cell % size * channels for cell in range(size * size)])
    total = np.zeros((outputs, high, wide * channels))
    samples = max(1, _POSITIONS // (height * width))
    starts = np.empty((outputs, samples * height * width + 1), np.int64)
    values = np.empty(starts.shape)
    for first in range(0, batch, samples):
        counts = np.zeros(outputs, np.int64)
        for b, y, x in np.ndindex(min(samples, batch - first), height, width):
            corner = ((first + b) * padded.shape[1] + y * size) * row + x * size * channels
            for o in range(outputs):  # without a branch: what does not count is overwritten
                error, cell, count = errors[first + b, y, x, o], cells[first + b, y, x, o], counts[o]
                starts[o, count], values[o, count] = corner + offsets[cell], error
                counts[o] = count + ((error != 0) & (cell >= 0))
        for o in range(outputs):
            for i in range(high):
                _add_scaled(total[o, i], values[o, : counts[o]], starts[o] + i * row, padded.ravel())
    return total.reshape(outputs, total.size // outputs).T.copy()


@_compiled
def images_error(errors: Floats, cells: Places, size: int, kernel: Floats) -> Floats:
    """
    `Ops.convolution_error`.

    Parameters
    ----------
    errors
        (batch, H/size, W/size, outputs).
    cells
        Place of each error in its window of `size * size` cells; -1 for nowhere.
    kernel
        (high, outputs, wide, C).

    """
    batch, height, width, outputs = errors.shape
    high, _, wide, channels = kernel.shape
    above, before = high // 2, wide // 2
    found = np.zeros((batch, height * size, width * size * channels))
    flat = kernel.reshape(high, kernel.size // high)
    places, rows, starts = np.empty((3, outputs + 1), np.int64)
    some, values = np.empty((2, outputs + 1))
    for b, y, x in np.ndindex(batch, height, width):
        count = 0
        for o in range(outputs):  # without a branch: what does not count is overwritten
            error, cell = errors[b, y, x, o], cells[b, y, x, o]
            places[count], rows[count], some[count] = cell, o * wide * channels, error
            count += error != 0  # a cell of -1 is none of those below
        for cell in range(size * size):
            row, column = y * size + cell // size, x * size + cell % size
            left, right = max(0, column - before), min(width * size, column + before + 1)
            skipped = (left - column + before) * channels
            here = 0
            for k in range(count):
                starts[here], values[here] = rows[k] + skipped, some[k]
                here += places[k] == cell
            for i in range(max(0, above - row), min(high, height * size + above - row)):
                total = found[b, row + i - above, left * channels : right * channels]
                _add_scaled(total, values[:here], starts, flat[i])
    return found.reshape(batch, height * size, width * size, channels)
