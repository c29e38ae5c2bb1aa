"""The float32 twin is the same network: same forward pass, same updates, same size."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from podl_tools.digits import load_digits_split
from podl_tools.ml.comparison import compare
from podl_tools.ml.float_twin import FloatTwin
from podl_tools.ml.graph import Graph
from podl_tools.ml.numpy_backend import NumpyOps
from podl_tools.ml.state import at_rest, initial_masters
from podl_tools.ml.training import Hyperparameters, Training
from podl_tools.program import Program, parse_program, update_shifts
from tests.ml_helpers import SMALL, backend

B, K = 5, 3
MLP = "input 16, dense 32, dense 32, output 10"
WIDE = (
    MLP,
    "input 6x6x2, conv2d 3x3x8, maxpool 2, conv2d 3x3x8, flatten, output 10",
    "input 8x8x1, conv2d 3x3x8, avgpool 2, conv2d 1x1x8, avgpool 2 gain 1, flatten, dense 16, output 4",
    "input 4x6, rnn 32, dense 8, output 10",
    "input 4x6, mgru 32, output 10",
    "input 6x4, conv1d 3x16, conv1d 5x8, flatten, output 10",
    "input 4x6, conv1d 3x16, mgru 16, rnn 16, output 10",
)


class RealOps(NumpyOps):
    """The exact network without its rounding, in float64."""

    def small(self, values: Any) -> Any:
        return np.asarray(values, dtype=np.float64)

    def round_shift(self, values: Any, shift: Any) -> Any:
        return values * 2.0**-shift

    def matmul(self, left: Any, right: Any, *, turn_left: bool = False, turn_right: bool = False) -> Any:
        return (left.T if turn_left else left) @ (right.T if turn_right else right)


@pytest.fixture(autouse=True)
def _threads() -> None:
    backend("tensorflow").network(parse_program(SMALL[0]))  # threads are set before TensorFlow's first use


def masters(program: Program, share: float) -> tuple[np.ndarray, ...]:
    """First weights with biases, small enough that no activation reaches its upper clip."""
    rng = np.random.default_rng(2)
    drawn = initial_masters(program, b"twin")
    for matrix in drawn:
        matrix[-1] = rng.integers(-(1 << 18), 1 << 18, matrix.shape[1])
    return tuple((matrix * share).astype(np.int32) for matrix in drawn)


def batch(program: Program) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(3)
    samples = rng.integers(0, 50, (1 << B, program.sample_size)).astype(np.int8)
    return samples, rng.integers(0, program.classes, 1 << B).astype(np.uint8)


@pytest.mark.parametrize("text", WIDE)
def test_forward_is_the_exact_network_without_rounding(text: str) -> None:
    """A recurrent net is looked at where tanh and sigmoid are as good as the clips that stand for them."""
    program = parse_program(text)
    start = masters(program, 0.05 if "input 4x6" in text else 0.5)
    samples, _ = batch(program)
    weights = [matrix * 2.0**-16 for matrix in start]
    real = Graph(RealOps(), program).forward(weights, samples.astype(np.float64))[0]
    wanted = real * 2.0 ** -(program.weights[-1].scale + 6)
    found = FloatTwin(program, start).logits(samples)
    assert np.linalg.norm(found - wanted) < 1e-3 * np.linalg.norm(wanted - wanted.mean(axis=0))


@pytest.mark.parametrize("text", WIDE)
def test_steps_move_the_same_way(text: str) -> None:
    """Sum or mean, rate, momentum: two steps on one batch, and the rate drops between them."""
    program = parse_program(text)
    state = at_rest(masters(program, 0.5))
    twin, data = FloatTwin(program, state.masters), batch(program)
    before = flat(twin)
    for rate_shift in (K, K + 1):
        shifts = update_shifts(program, B, rate_shift)
        state = backend("numpy").network(program).train_epoch(state, [data], shifts)
        twin.train_epoch([data], rate_shift)
    moved, wanted = flat(twin) - before, flat(FloatTwin(program, state.masters)) - before
    assert np.linalg.norm(moved - wanted) < 0.25 * np.linalg.norm(wanted)
    assert abs(moved @ wanted / (wanted @ wanted) - 1) < 0.05


def flat(twin: FloatTwin) -> np.ndarray:
    return np.concatenate([weights.ravel() for weights in twin.weights()])


@pytest.mark.parametrize("text", SMALL)
def test_same_number_of_parameters(text: str) -> None:
    program = parse_program(text)
    assert FloatTwin(program, initial_masters(program, b"s0")).n_params == program.n_params


def test_both_sides_learn_digits() -> None:
    training, test = load_digits_split()
    numbers = Hyperparameters(batch_log2=5, epochs=5, rate_shift=5, drop=True)
    program = parse_program("input 64, dense 64, dense 64, output 10")
    found = compare(Training(program, numbers, b"s0", training), test, backend("tensorflow"))
    assert found.samples == 797
    assert min(found.exact, found.float32) > 0.9 * 797
    assert abs(found.exact - found.float32) < 0.04 * 797
