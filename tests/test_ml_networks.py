"""Whole networks on every backend against the oracle: logits and training steps, bit for bit."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from podl_tools.arithmetic import MASTER_MAX, VELOCITY_MAX
from podl_tools.ml.numpy_backend import NumpyNetwork
from podl_tools.ml.state import State, at_rest, initial_masters
from podl_tools.program import Layer, LayerKind, Program, parse_program, update_shifts
from tests.ml_helpers import SMALL, cut, lists, networks, tensorflow_network
from tests.ml_oracle import Oracle

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from podl_tools.ml.network import Network

B, K = 1, 5  # batches of two, rate 2**-5
relaxed = settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.too_slow])


def integers(top: int, usual: int) -> st.SearchStrategy[int]:
    """Mostly small values, with the bounds and their neighbours mixed in."""
    return (
        st.integers(-usual, usual)
        | st.integers(-top, top)
        | st.sampled_from([0, top, -top, top - 1, 1 - top])
    )


def states(program: Program) -> st.SearchStrategy[State]:
    """Any state: small weights keep activations between their clips, extreme ones reach the bounds."""
    n = program.n_params
    masters = arrays(np.int32, n, elements=integers(MASTER_MAX, 40 << 16), fill=st.nothing())
    velocities = arrays(np.int64, n, elements=integers(VELOCITY_MAX, 1 << 30))
    return st.builds(lambda m, v: State(cut(program, m), cut(program, v)), masters, velocities)


def batches(program: Program) -> st.SearchStrategy[tuple[NDArray[np.int8], NDArray[np.uint8]]]:
    samples = arrays(np.int8, (2, program.sample_size), elements=integers(127, 40), fill=st.nothing())
    return st.tuples(samples, arrays(np.uint8, 2, elements=st.integers(0, program.classes - 1)))


def check_step(program: Program, nets: list[Network], state: State, batch: tuple[Any, Any]) -> None:
    """Forward pass, gradients and update of one batch."""
    oracle = Oracle(program.dims, program.layers)
    pairs = [(sample, int(label)) for sample, label in zip(batch[0].tolist(), batch[1], strict=True)]
    expected = oracle.step(lists(state.masters), lists(state.velocities), pairs, B, K)
    weights = [(master.astype(np.int64) + 32768 >> 16).astype(np.int8) for master in state.masters]
    logits = [oracle.logits(lists(weights), sample) for sample, _ in pairs]
    for net in nets:
        assert net.logits(weights, batch[0]).tolist() == logits, net.kernel
        found = net.train_epoch(state, [batch], update_shifts(program, B, K))
        assert (lists(found.masters), lists(found.velocities)) == expected, net.kernel


@pytest.mark.parametrize("text", SMALL)
@relaxed
@given(data=st.data())
def test_step_equals_the_oracle(text: str, data: st.DataObject) -> None:
    program = parse_program(text)
    check_step(program, networks(text), data.draw(states(program)), data.draw(batches(program)))


@pytest.mark.parametrize("shift", [-11, -3, 0, 1, 34, 45, 52, 53, 62])
@relaxed
@given(data=st.data())
def test_update_at_the_ends_of_its_shift(shift: int, data: st.DataObject) -> None:
    """R below 0 multiplies, R above 52 leaves nothing of a gradient but keeps V and M moving."""
    text = "input 4, output 3"
    program = parse_program(text)
    state, batch = data.draw(states(program)), data.draw(batches(program))
    oracle = Oracle(program.dims, program.layers)
    pairs = [(sample, int(label)) for sample, label in zip(batch[0].tolist(), batch[1], strict=True)]
    rate = shift - (6 + 23 - program.weights[0].scale - 24)
    expected = oracle.step(lists(state.masters), lists(state.velocities), pairs, 0, rate)
    for net in networks(text):
        found = net.train_epoch(state, [batch], (shift,))
        assert (lists(found.masters), lists(found.velocities)) == expected, net.kernel


@st.composite
def image_programs(draw: st.DrawFn) -> Program:
    """Any stack of convolutions and pools on a small image."""
    side = draw(st.sampled_from([2, 4]))
    layers = []
    left = side
    for _ in range(draw(st.integers(0, 3))):
        kind = draw(st.sampled_from(["conv", "max", "avg"]))
        if kind == "conv" or left == 1:
            kernel, units = draw(st.sampled_from([1, 3, 5])), draw(st.integers(1, 3))
            layers.append(Layer(LayerKind.CONV2D, kernel, units))
        elif kind == "max":
            layers.append(Layer(LayerKind.MAXPOOL, 2))
            left //= 2
        else:
            layers.append(Layer(LayerKind.AVGPOOL, 2, gain=draw(st.integers(0, 2))))
            left //= 2
    layers += [Layer(LayerKind.FLATTEN), Layer(LayerKind.OUTPUT, units=draw(st.integers(2, 4)))]
    return Program((side, side, draw(st.integers(1, 3))), tuple(layers))


@st.composite
def sequence_programs(draw: st.DrawFn) -> Program:
    """Convolutions over a sequence, then a stack of recurrent layers or a flat layer."""
    layers = [
        Layer(LayerKind.CONV1D, draw(st.sampled_from([1, 3, 5])), draw(st.integers(1, 3)))
        for _ in range(draw(st.integers(0, 2)))
    ]
    kinds = draw(st.lists(st.sampled_from([LayerKind.RNN, LayerKind.MGRU]), max_size=3))
    layers += [Layer(kind, units=draw(st.integers(1, 4))) for kind in kinds] or [Layer(LayerKind.FLATTEN)]
    layers += [Layer(LayerKind.DENSE, units=draw(st.integers(1, 4))) for _ in range(draw(st.integers(0, 1)))]
    layers.append(Layer(LayerKind.OUTPUT, units=draw(st.integers(2, 4))))
    return Program((draw(st.integers(1, 5)), draw(st.integers(1, 4))), tuple(layers))


@relaxed
@given(data=st.data(), program=image_programs() | sequence_programs())
def test_any_program_equals_the_oracle(data: st.DataObject, program: Program) -> None:
    nets: list[Network] = [NumpyNetwork(program), NumpyNetwork(program, blas=False)]
    check_step(program, nets, data.draw(states(program)), data.draw(batches(program)))


@settings(relaxed, max_examples=3)
@given(data=st.data(), program=image_programs() | sequence_programs())
def test_any_program_on_tensorflow_equals_the_oracle(data: st.DataObject, program: Program) -> None:
    check_step(
        program, [tensorflow_network(program)], data.draw(states(program)), data.draw(batches(program))
    )


@pytest.mark.parametrize("text", SMALL)
def test_training_from_initial_weights(text: str) -> None:
    """Ten steps from drawn weights, where activations and gradients have their usual sizes."""
    program = parse_program(text)
    rng = np.random.default_rng(7)
    samples = rng.integers(0, 128, (10, 2, program.sample_size)).astype(np.int8)
    labels = rng.integers(0, program.classes, (10, 2)).astype(np.uint8)
    start = at_rest(initial_masters(program, b"networks"))
    oracle = Oracle(program.dims, program.layers)
    expected = lists(start.masters), lists(start.velocities)
    for batch, wanted in zip(samples.tolist(), labels.tolist(), strict=True):
        expected = oracle.step(*expected, list(zip(batch, wanted, strict=True)), B, K)
    for net in networks(text):
        found = net.train_epoch(start, list(zip(samples, labels, strict=True)), update_shifts(program, B, K))
        assert (lists(found.masters), lists(found.velocities)) == expected, net.kernel
        assert all(np.abs(velocity).max() > 0 for velocity in found.velocities), "a layer learned nothing"


def test_logits_do_not_depend_on_the_chunk(monkeypatch: pytest.MonkeyPatch) -> None:
    program = parse_program(SMALL[1])
    rng = np.random.default_rng(1)
    samples = rng.integers(0, 128, (11, program.sample_size)).astype(np.int8)
    weights = [rng.integers(-30, 31, (plan.rows, plan.columns)).astype(np.int8) for plan in program.weights]
    whole = NumpyNetwork(program).logits(weights, samples)
    monkeypatch.setattr("podl_tools.ml.network._CHUNK_VALUES", 4 * 16 * 27)
    for net in networks(SMALL[1]):
        assert np.array_equal(net.logits(weights, samples), whole)
        assert net.logits(weights, samples[:0]).shape == (0, program.classes)


@pytest.mark.parametrize("text", [SMALL[0], SMALL[1], SMALL[-1]])
@pytest.mark.parametrize(("positions", "values"), [(1 << 15, 1), (64, 1 << 25), (16, 1 << 25)])
def test_micro_batches_give_the_same_bits(
    text: str, positions: int, values: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    program = parse_program(text)
    rng = np.random.default_rng(3)
    samples = rng.integers(0, 128, (3, 16, program.sample_size)).astype(np.int8)
    labels = rng.integers(0, program.classes, (3, 16)).astype(np.uint8)
    start, batches = at_rest(initial_masters(program, b"micro")), list(zip(samples, labels, strict=True))
    whole = NumpyNetwork(program, blas=False).train_epoch(start, batches, update_shifts(program, 4, K))
    nets = networks(text)
    monkeypatch.setattr("podl_tools.ml.network.CALL_POSITIONS", positions)
    monkeypatch.setattr("podl_tools.ml.network._BLOCK_VALUES", values)
    for net in nets:
        blocks = net.blocks(samples[0], labels[0])
        rows = 1 if values == 1 else min(16, positions // max(plan.positions for plan in program.weights))
        assert [len(block[0]) for block in blocks] == [rows] * (16 // rows)
        assert np.array_equal(np.concatenate([block[0] for block in blocks]), samples[0])
        assert net.train_epoch(start, batches, update_shifts(program, 4, K)).same(whole), net.kernel


def test_one_sample_may_have_more_positions_than_a_call(monkeypatch: pytest.MonkeyPatch) -> None:
    program = parse_program("input 512x128x1, conv2d 3x3x2, maxpool 64, flatten, output 2")
    net = NumpyNetwork(program)
    samples = np.random.default_rng(4).integers(0, 128, (2, program.sample_size)).astype(np.int8)
    batch = samples, np.array([0, 1], dtype=np.uint8)
    start = at_rest(initial_masters(program, b"large"))
    assert len(net.blocks(*batch)) == 2
    cut = net.train_epoch(start, [batch], update_shifts(program, 1, K))
    monkeypatch.setattr("podl_tools.ml.network.CALL_POSITIONS", 1 << 17)
    assert len(net.blocks(*batch)) == 1
    assert net.train_epoch(start, [batch], update_shifts(program, 1, K)).same(cut)
    assert all(np.abs(velocity).max() > 0 for velocity in cut.velocities)


def test_images_are_reread_in_c_order() -> None:
    program = parse_program(SMALL[1])
    samples = np.random.default_rng(2).integers(0, 128, (3, 2, 16)).astype(np.int8)
    weights = [np.ones((plan.rows, plan.columns), dtype=np.int8) for plan in program.weights]
    for net in networks(SMALL[1]):
        assert np.array_equal(net.logits(weights, samples), net.logits(weights, samples.reshape(3, 4, 4, 2)))


@pytest.mark.parametrize("text", [SMALL[1], SMALL[5]])
def test_kernels_and_orders_of_rows_do_not_matter(text: str) -> None:
    """XLA on and off, every container and product, and the rows of each batch in another order."""
    from podl_tools.ml import jax_backend, tensorflow_backend  # noqa: PLC0415  loaded only by who needs them

    program = parse_program(text)
    rng = np.random.default_rng(8)
    samples = rng.integers(0, 128, (3, 8, program.sample_size)).astype(np.int8)
    labels = rng.integers(0, program.classes, (3, 8)).astype(np.uint8)
    start, shifts = at_rest(initial_masters(program, b"orders")), update_shifts(program, 3, K)
    expected = NumpyNetwork(program, blas=False).train_epoch(start, zip(samples, labels, strict=True), shifts)
    order = rng.permutation(8)
    for framework in (tensorflow_backend, jax_backend):
        device = framework.open_device(1)
        for kernel in framework.NETWORK.kernels(device, program):
            batches = zip(samples[:, order], labels[:, order], strict=True)
            found = framework.NETWORK(program, device, kernel).train_epoch(start, batches, shifts)
            assert found.same(expected), kernel.name
