"""Products by errors that are mostly 0, against the int64 referee."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from podl_tools.ml import sparse
from podl_tools.ml.numpy_backend import NumpyOps

E = 2**23 - 1
REFEREE = NumpyOps(blas=False)


def compare(images: Any, sums: Any, errors: Any, kernel: Any, size: int) -> None:
    """Gradient and error of a convolution behind whose sums a pool took the maxima."""
    high, wide = kernel.shape[:2]
    least = REFEREE.max_pool(sums, size)
    spread = REFEREE.unpool(sums, least, errors, size)
    cells = sparse.first_cells(sums.astype(np.float32), least.astype(np.float32))
    padded = REFEREE.pad_image(images, high // 2, wide // 2).astype(np.float32)
    gradient = sparse.gradient(padded, errors.astype(np.float64), cells, size, high, wide)
    assert np.array_equal(gradient, REFEREE.convolution_gradient(images, spread, (high, wide)))
    turned = np.ascontiguousarray(kernel.transpose(0, 3, 1, 2), np.float64)
    error = sparse.images_error(errors.astype(np.float64), cells, size, turned)
    assert np.array_equal(error, REFEREE.convolution_error(spread, kernel))


@settings(max_examples=150, deadline=None)
@given(st.data())
def test_any_shape_and_density(data: st.DataObject) -> None:
    sides = data.draw(st.tuples(st.sampled_from([1, 3, 5]), st.sampled_from([1, 3, 5])))
    batch, rows, columns, channels, outputs, size = data.draw(
        st.tuples(*(st.integers(1, most) for most in (3, 4, 4, 5, 9, 3)))
    )
    rng = np.random.default_rng(data.draw(st.integers(0, 2**32)))
    shape = batch, rows * size, columns * size
    values = data.draw(st.sampled_from([[0], [0, 0, 0, E, -E], [E, -E], [0, 1, -1], [E]]))
    compare(
        rng.integers(-127, 128, (*shape, channels)),
        rng.integers(-2, 3, (*shape, outputs)),
        rng.choice(values, (batch, rows, columns, outputs)),
        rng.integers(-127, 128, (*sides, channels, outputs)),
        size,
    )


@pytest.mark.parametrize("sign", [1, -1])
def test_bounds_of_a_call(sign: int) -> None:
    """The most positions of one call, more than are sorted at once, with all operands at their bounds."""
    images, sums = np.full((32, 32, 32, 1), 127), np.zeros((32, 32, 32, 2), dtype=np.int64)
    compare(images, sums, np.full(sums.shape, sign * E), np.full((3, 3, 1, 2), 127), 1)
    many = np.full((1, 2, 3, 1023), sign * E)
    compare(np.full((1, 2, 3, 2), 127), np.zeros_like(many), many, np.full((3, 3, 2, 1023), -127), 1)


def test_a_window_that_does_not_reach_has_no_error() -> None:
    images = np.zeros((1, 2, 4, 1), np.float32)
    images[0, :, 2:, 0] = [[3, 5], [5, 5]]
    cells = sparse.first_cells(images, np.full((1, 1, 2, 1), 5, np.float32))
    assert cells.ravel().tolist() == [-1, 1]
    gradient = sparse.gradient(images + 1, np.full((1, 1, 2, 1), 7.0), cells, 2, 1, 1)
    assert gradient.tolist() == [[42.0]]
    error = sparse.images_error(np.full((1, 1, 2, 1), 7.0), cells, 2, np.full((1, 1, 1, 1), 3.0))
    assert error.ravel().tolist() == [0, 0, 0, 21, 0, 0, 0, 0]
