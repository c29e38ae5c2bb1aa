"""Exact operations of every backend and kernel, at their bounds, against Python integers."""

from __future__ import annotations

from functools import cache
from importlib import import_module
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from podl_tools.ml.numpy_backend import NumpyNetwork, NumpyOps
from podl_tools.program import parse_program
from tests.ml_oracle_layers import rnd

if TYPE_CHECKING:
    from podl_tools.ml.network import Network
    from podl_tools.ml.ops import Ops

E = 2**23 - 1
PROGRAM = parse_program("input 2, output 2")
# Large enough for TensorFlow's native convolution.
IMAGES = parse_program("input 32x32x1, conv2d 3x3x32, maxpool 8, flatten, output 2")
KERNELS = (
    *("numpy int64", "numpy float64 BLAS"),
    *("tensorflow float32, native convolution", "tensorflow float32, patches", "tensorflow float64, patches"),
    *("tensorflow float32, patches, XLA", "jax float32, native convolution, XLA"),
    *("jax float32, patches, XLA", "jax float64, patches, XLA"),
    "tensorflow float32, native convolution, sparse errors",
)
small_integers = st.integers(-127, 127) | st.sampled_from([-127, 127])
errors = st.integers(-E, E) | st.sampled_from([-E, E, 1, -1])


@cache
def network(kernel: str) -> Network:
    framework, name = kernel.split(" ", 1)
    if framework == "numpy":
        return NumpyNetwork(PROGRAM, blas=name != "int64")
    backend = import_module(f"podl_tools.ml.{framework}_backend")  # loaded only by the tests that need it
    device = backend.open_device(1)
    offered = [found for program in (PROGRAM, IMAGES) for found in backend.NETWORK.kernels(device, program)]
    fitting = [found for found in offered if found.name == name]
    if not fitting:
        pytest.skip(f"{device.name} does not offer {name}")
    found: Network = backend.NETWORK(PROGRAM, device, fitting[0])
    return found


@pytest.fixture(params=KERNELS)
def net(request: pytest.FixtureRequest) -> Network:
    return network(request.param)


def naive(left: Any, right: Any) -> list[list[int]]:
    columns = list(zip(*right, strict=True))
    return [
        [sum(int(a) * int(b) for a, b in zip(row, column, strict=True)) for column in columns] for row in left
    ]


@pytest.mark.parametrize("sign", [1, -1])
def test_forward_product_at_its_bound(net: Network, sign: int) -> None:
    left, right = np.full((3, 1039), 127), np.full((1039, 2), 127 * sign)
    found = net.apply(
        lambda ops, a, b: ops.round_shift(ops.matmul(a, b) + 64 * 127 * sign, 9), left, right, wide=False
    )
    assert (found == rnd(sign * (1039 * 127 * 127 + 64 * 127), 9)).all()


def test_gradient_product_at_its_bound(net: Network) -> None:
    left, right = np.full((2**15, 2), 127), np.full((2**15, 3), E)
    found = net.apply(lambda ops, a, b: ops.matmul(a, b, turn_left=True), left, right, wide=True)
    assert (found == 2**15 * 127 * E).all()


def test_input_error_at_its_bound(net: Network) -> None:
    left, right = np.full((1, 2**23), -E), np.full((1, 2**23), 127)
    found = net.apply(lambda ops, a, b: ops.matmul(a, b, turn_right=True), left, right, wide=True)
    assert found.tolist() == [[-(2**23) * 127 * E]]


def test_float32_is_not_exact_beyond_the_bound() -> None:
    """The bound is no excess of care: one more row and float32 fails."""
    left, right = np.full((16, 1041), 127), np.full((1041, 16), 127)
    found = network(KERNELS[3]).apply(lambda ops, a, b: ops.matmul(a, b), left, right, wide=False)
    assert (found != 1041 * 127 * 127).any()


def _convolve(ops: Ops, images: Any, kernel: Any) -> Any:
    return ops.convolve(images, kernel)


def naive_convolution(images: Any, kernel: Any) -> Any:
    n, height, width, _ = images.shape
    high, wide, _, outputs = kernel.shape
    found = np.zeros((n, height, width, outputs), dtype=np.int64)
    for b, y, x, i, j in np.ndindex(n, height, width, high, wide):
        row, column = y + i - high // 2, x + j - wide // 2
        if 0 <= row < height and 0 <= column < width:
            found[b, y, x] += images[b, row, column].astype(np.int64) @ kernel[i, j].astype(np.int64)
    return found


@pytest.mark.parametrize(
    ("high", "wide_side", "height", "width", "channels"),
    [(3, 3, 4, 5, 115), (5, 5, 3, 2, 41), (1, 1, 2, 2, 1039), (1, 5, 1, 6, 207), (3, 1, 4, 2, 346)],
)
@pytest.mark.parametrize("wide", [False, True])
def test_convolution_at_its_bound(
    net: Network, high: int, wide_side: int, height: int, width: int, channels: int, wide: bool
) -> None:
    images = np.full((2, height, width, channels), E if wide else 127)
    kernel = np.full((high, wide_side, channels, 3), 127)
    kernel[..., 1] = -127
    kernel[::2, :, :, 2] = -126
    found = net.apply(_convolve, images, kernel, wide=wide)
    assert np.array_equal(found, naive_convolution(images, kernel))


@settings(max_examples=25, deadline=None)
@given(st.data())
def test_wide_products(data: st.DataObject) -> None:
    rows, terms = data.draw(st.tuples(st.integers(1, 3), st.integers(1, 5)))
    left = data.draw(st.lists(st.lists(errors, min_size=terms, max_size=terms), min_size=rows, max_size=rows))
    right = data.draw(
        st.lists(st.lists(small_integers, min_size=2, max_size=2), min_size=terms, max_size=terms)
    )
    for kernel in (*KERNELS[:2], KERNELS[3], KERNELS[7]):
        found = network(kernel).apply(
            lambda ops, a, b: ops.matmul(a, b), np.array(left), np.array(right), wide=True
        )
        assert found.tolist() == naive(left, right)


ROUNDED = [0, 1, -1, 5, -5, 127, -128, 2**23, 3 * 2**7, -3 * 2**7, 1039 * 127 * 127 + 64 * 127]


@pytest.mark.parametrize("wide", [False, True])
def test_rounding_halves_go_up(net: Network, wide: bool) -> None:
    values = sorted({sign * value + offset for value in ROUNDED for sign in (1, -1) for offset in (0, 1)})
    for shift in (0, 1, 2, 8, 11):
        found = net.apply(lambda ops, x, shift=shift: ops.round_shift(x, shift), np.array(values), wide=wide)
        assert found.tolist() == [rnd(value, shift) for value in values]


@pytest.mark.parametrize("shift", [-11, -1, 0, 1, 20, 51, 52, 53, 54, 62])
def test_gradient_rounding_at_its_bounds(net: Network, shift: int) -> None:
    top = 2**22 * 127 * E
    halves = [half for half in (1 << max(shift - 1, 0), 3 << max(shift - 1, 0)) if half < top]
    values = [sign * value + off for value in (0, top - 1, *halves) for sign in (1, -1) for off in (-1, 0, 1)]
    found = net.apply(
        lambda ops, x: ops.round_shift(x, ops.shift_operand(shift)), np.array(values), wide=True
    )
    assert found.tolist() == [rnd(value, shift) for value in values]


def test_floor_division_of_the_loss(net: Network) -> None:
    """Quotients just below an integer, at the largest numerators."""
    cases = [
        (q * d - 1, d) for d in (2 * 65536, 2 * 256 * 65536, 131073 * 2) for q in (1, 2, 3, 2**22, 2**23)
    ]
    numerators, denominators = np.array(cases).T
    found = net.apply(lambda ops, n, d: ops.floor_divide(n, d), numerators, denominators, wide=True)
    assert found.tolist() == [n // d for n, d in cases]


def test_first_keeps_one_of_many(net: Network) -> None:
    values = np.array([[[1, 3], [3, 3], [3, 2]], [[0, 0], [0, 0], [0, 0]]])

    def first(ops: Ops, x: Any) -> Any:
        return ops.where(ops.first(x == ops.max(x, 1), 1), x + 10, 0)

    expected = [[[0, 13], [13, 0], [0, 0]], [[10, 10], [0, 0], [0, 0]]]
    assert net.apply(first, values, wide=False).tolist() == expected


@pytest.mark.parametrize("reverse", [False, True])
def test_scan_stacks_in_place(net: Network, reverse: bool) -> None:
    def run(ops: Ops, sequence: Any) -> Any:
        return ops.scan(
            lambda c, x: (2 * c + x, 3 * c + x), ops.zeros_like(sequence[0]), sequence, reverse=reverse
        )

    sequence = np.array([[1, 2], [3, 4], [5, 6]])
    expected = np.zeros((3, 2), dtype=np.int64)
    carry = np.zeros(2, dtype=np.int64)
    for t in [2, 1, 0] if reverse else [0, 1, 2]:
        expected[t], carry = 3 * carry + sequence[t], 2 * carry + sequence[t]
    assert net.apply(run, sequence, wide=True).tolist() == expected.tolist()


def test_numpy_products_never_overflow() -> None:
    with pytest.raises(OverflowError):
        NumpyOps().matmul(np.array([[2**32]]), np.array([[2**31]]))


def test_numpy_products_beyond_float64_are_int64() -> None:
    left, right = np.array([[2**30 + 1, 1]]), np.array([[2**30 + 1], [1]])
    assert NumpyOps().matmul(left, right).tolist() == [[(2**30 + 1) ** 2 + 1]]


@pytest.mark.parametrize(
    ("sides", "height", "width", "channels"), [((3, 3), 4, 5, 3), ((5, 1), 3, 2, 2), ((1, 3), 1, 6, 1)]
)
def test_gradient_of_a_convolution(
    net: Network, sides: tuple[int, int], height: int, width: int, channels: int
) -> None:
    rng = np.random.default_rng(4)
    images = rng.integers(-127, 128, (3, height, width, channels))
    deltas = rng.choice([-E, E, 1, 0], (3, height, width, 2))
    found = net.apply(lambda ops, a, d: ops.convolution_gradient(a, d, sides), images, deltas, wide=True)
    padded = np.pad(images, ((0, 0), (sides[0] // 2,) * 2, (sides[1] // 2,) * 2, (0, 0)))
    expected = np.zeros((*sides, channels, 2), dtype=np.int64)
    for b, y, x, i, j in np.ndindex(3, height, width, *sides):
        expected[i, j] += np.outer(padded[b, y + i, x + j], deltas[b, y, x])
    assert np.array_equal(found, expected.reshape(-1, 2))
