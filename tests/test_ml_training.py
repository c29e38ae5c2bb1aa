"""Training and replay: schedule, batches, checkpoints, warm start, refusals."""

from __future__ import annotations

import numpy as np
import pytest

from podl_tools.errors import ExamplesError, HyperparameterError, ModelRangeError, PodlError, ProgramError
from podl_tools.examples import Examples
from podl_tools.ml.state import State, initial_masters
from podl_tools.ml.training import Hyperparameters, Training, train
from podl_tools.prng import epoch_order
from podl_tools.program import Program, parse_program
from tests.ml_helpers import BACKENDS, SMALL, backend

NUMBERS = Hyperparameters(batch_log2=2, epochs=4, rate_shift=5, drop=True)
MLP = parse_program(SMALL[0])
SEED = bytes(range(32))


def examples(program: Program, count: int = 14) -> Examples:
    rng = np.random.default_rng(count)
    samples = rng.integers(0, 128, (count, program.sample_size)).astype(np.int8)
    return Examples(samples, rng.integers(0, program.classes, count).astype(np.uint8))


def training(program: Program = MLP, numbers: Hyperparameters = NUMBERS, seed: bytes = SEED) -> Training:
    return Training(program, numbers, seed, examples(program))


def states(job: Training, where: str = "numpy") -> list[State]:
    return list(job.states(backend(where)))


@pytest.mark.parametrize(
    ("epochs", "drop", "expected"),
    [
        (5, False, [4, 4, 4, 4, 4]),
        (5, True, [4, 4, 4, 5, 6]),
        (10, True, [4] * 6 + [5] * 2 + [6] * 2),
        (7, True, [4] * 5 + [5, 6]),
        (3, True, [4, 4, 5]),
        (1, True, [4]),
    ],
)
def test_rate_schedule(epochs: int, drop: bool, expected: list[int]) -> None:
    numbers = Hyperparameters(batch_log2=1, epochs=epochs, rate_shift=4, drop=drop)
    assert [numbers.rate_shift_at(epoch) for epoch in range(epochs)] == expected


def test_batches_follow_the_order_and_drop_the_rest() -> None:
    job = training()
    order = epoch_order(SEED, 2, 14)
    batches = list(job.batches(2))
    assert job.steps == len(batches) == 3
    for step, (samples, labels) in enumerate(batches):
        chosen = order[4 * step : 4 * step + 4]
        assert np.array_equal(samples, job.examples.samples[chosen])
        assert np.array_equal(labels, job.examples.labels[chosen])


def test_checkpoints_are_told_in_order() -> None:
    told: list[tuple[int, State]] = []
    last = train(training(), backend("numpy"), lambda index, state: told.append((index, state)))
    assert [index for index, _ in told] == [0, 1, 2, 3, 4]
    assert told[0][1].same(training().start())
    assert all(np.count_nonzero(velocity) == 0 for velocity in told[0][1].velocities)
    assert last.same(told[-1][1])
    assert not told[0][1].same(told[1][1])


def test_a_training_can_be_stopped() -> None:
    class Stopped(Exception):  # noqa: N818  stands for a caller's own class
        pass

    def stop(index: int, state: State) -> None:
        del state
        if index == 2:
            raise Stopped

    with pytest.raises(Stopped):
        train(training(), backend("numpy"), stop)

    steps: list[int] = []

    def stop_within(epoch: int) -> None:
        steps.append(epoch)
        if len(steps) == 5:
            raise Stopped

    with pytest.raises(Stopped):
        train(training(), backend("numpy"), on_step=stop_within)
    assert steps == [0, 0, 0, 1, 1]


def test_backends_agree_on_every_checkpoint() -> None:
    for text in (SMALL[2], SMALL[5]):
        job = training(parse_program(text))
        for mine, other in zip(states(job), states(job, "tensorflow"), strict=True):
            assert mine.same(other)


def test_seed_decides_weights_and_order() -> None:
    first, second = states(training()), states(training(seed=bytes(32)))
    assert not first[0].same(second[0])
    parent = initial_masters(MLP, b"parent")
    warm = [Training(MLP, NUMBERS, seed, examples(MLP), parent) for seed in (SEED, bytes(32))]
    (first, second) = (states(job) for job in warm)
    assert first[0].same(second[0])
    assert not first[1].same(second[1])


def test_warm_start_goes_on_from_the_parent_at_rest() -> None:
    parent = train(training(), backend("numpy"))
    start = Training(MLP, NUMBERS, SEED, examples(MLP), parent.masters).start()
    assert start.same(State(parent.masters, tuple(np.zeros_like(v) for v in parent.velocities)))


@pytest.mark.parametrize("where", BACKENDS)
def test_replay_of_single_epochs(where: str) -> None:
    job = training()
    found = states(job)
    engine = backend(where)
    for epoch in (3, 0, 1):
        assert job.after_epoch(engine, epoch, found[epoch]).same(found[epoch + 1])
    assert not job.after_epoch(engine, 0, found[1]).same(found[2])
    other = Training(MLP, NUMBERS, bytes(32), examples(MLP))
    assert not other.after_epoch(engine, 3, found[3]).same(found[4])


@pytest.mark.parametrize("epochs", [0, 255])
def test_epochs_are_bounded(epochs: int) -> None:
    with pytest.raises(HyperparameterError, match=r"1\.\.254") as caught:
        Hyperparameters(batch_log2=2, epochs=epochs, rate_shift=5, drop=False)
    assert caught.value.reason == "podl-recipe-bounds"


def test_batch_larger_than_the_data_is_refused() -> None:
    with pytest.raises(HyperparameterError, match="exceeds the 14"):
        training(numbers=Hyperparameters(batch_log2=4, epochs=1, rate_shift=5, drop=False))


def test_rate_is_checked_with_its_drops() -> None:
    program = parse_program("input 2, output 2")
    Training(program, Hyperparameters(0, 10, 62, drop=False), SEED, examples(program))
    with pytest.raises(HyperparameterError, match="update shift"):
        Training(program, Hyperparameters(0, 10, 61, drop=True), SEED, examples(program))


def test_gradients_beyond_the_bound_are_refused() -> None:
    program = parse_program("input 1024x1024x1, conv2d 1x1x1, maxpool 128, flatten, output 2")
    with pytest.raises(ProgramError, match="exceeds 4194304"):
        Training(program, Hyperparameters(3, 1, 5, drop=False), SEED, examples(program, 8))


def test_examples_must_fit() -> None:
    good = examples(MLP)
    with pytest.raises(ExamplesError) as caught:
        Training(MLP, NUMBERS, SEED, Examples(good.samples[:, :5], good.labels))
    assert caught.value.reason == "podl-shard-size"
    with pytest.raises(ExamplesError) as caught:
        Training(MLP, NUMBERS, SEED, Examples(good.samples, good.labels + np.uint8(1)))
    assert caught.value.reason == "podl-shard-label"


def test_parent_must_fit() -> None:
    other = initial_masters(parse_program(SMALL[5]), SEED)
    with pytest.raises(ModelRangeError, match="shapes"):
        Training(MLP, NUMBERS, SEED, examples(MLP), other)


@pytest.mark.parametrize(
    ("samples", "labels", "reason"),
    [
        (np.full((2, 3), -128, dtype=np.int8), np.zeros(2, dtype=np.uint8), "podl-shard-range"),
        (np.zeros((2, 3), dtype=np.int8), np.zeros(3, dtype=np.uint8), "podl-shard-size"),
        (np.zeros((2, 3), dtype=np.int8), np.zeros((2, 1), dtype=np.uint8), "podl-shard-size"),
        (np.zeros((2, 3), dtype=np.uint8), np.zeros(2, dtype=np.uint8), "podl-shard-size"),
        (np.zeros((2, 3), dtype=np.int8), np.zeros(2, dtype=np.int64), "podl-shard-size"),
    ],
)
def test_malformed_examples(samples: np.ndarray, labels: np.ndarray, reason: str) -> None:
    with pytest.raises(PodlError) as caught:
        Examples(samples, labels)
    assert caught.value.reason == reason
