"""One training from recipe to roots, and measuring in slices."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest

from podl_tools import measuring
from podl_tools.commitment import checkpoints_root
from podl_tools.errors import ModelSizeError, RejectError
from podl_tools.example_files import load_examples
from podl_tools.examples import Examples
from podl_tools.measuring import MeasuringStoppedError, measure
from podl_tools.merkle import data_root
from podl_tools.ml.evaluation import evaluate
from podl_tools.ml.model import model_bytes, parse_model, velocity_bytes, weight_bytes
from podl_tools.ml.training import Hyperparameters, Training
from podl_tools.recipe import Recipe, training_seed
from podl_tools.requester.tasks import TaskShelf, own_key
from podl_tools.training_run import SeedParts, run_training
from tests.world import World, shared_backend, write_examples

if TYPE_CHECKING:
    from pathlib import Path

    from podl_tools.task import Task

PARTS = SeedParts(b"\1" * 32, b"\2" * 32, b"\3" * 32, b"\x51")
RECIPE = Recipe(architecture=0, b=4, epochs=2, k=4)


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return World(tmp_path_factory.mktemp("world")).home


@pytest.fixture(scope="module")
def task(home: Path) -> Task:
    return TaskShelf(home / "tasks", own_key(home).public).tasks[0].task


@pytest.fixture(scope="module")
def examples(home: Path) -> Examples:
    return load_examples(home.parent / "training.npz")


def test_roots_are_those_of_the_states(task: Task, examples: Examples) -> None:
    seen: list[int] = []
    trained = run_training(task, RECIPE, PARTS, examples, None, shared_backend(), seen.append)
    seed = training_seed(PARTS.chain_id, PARTS.task_id, PARTS.release_id, PARTS.payout, 0)
    training = Training(task.loaded_programs[0], Hyperparameters(4, 2, 4, drop=False), seed, examples)
    states = list(training.states(shared_backend()))
    roots = [
        (data_root(model_bytes(state.masters)), data_root(velocity_bytes(state.velocities)))
        for state in states
    ]
    assert seen == [0] * training.steps + [1] * training.steps
    assert trained.checkpoints_root == checkpoints_root(roots)
    assert trained.model_root == roots[-1][0]
    assert trained.weights == weight_bytes(states[-1].masters)
    assert trained.weights_root == data_root(trained.weights)


def test_everything_the_seed_binds_changes_the_model(task: Task, examples: Examples) -> None:
    others = [
        SeedParts(b"\7" * 32, PARTS.task_id, PARTS.release_id, PARTS.payout),
        SeedParts(PARTS.chain_id, b"\7" * 32, PARTS.release_id, PARTS.payout),
        SeedParts(PARTS.chain_id, PARTS.task_id, b"\7" * 32, PARTS.payout),
        SeedParts(PARTS.chain_id, PARTS.task_id, PARTS.release_id, b"\x52"),
    ]
    roots = {
        run_training(task, RECIPE, parts, examples, None, shared_backend()).model_root
        for parts in (PARTS, *others)
    }
    assert len(roots) == 5


def test_warm_start_goes_on_from_the_parent(task: Task, examples: Examples) -> None:
    first = run_training(task, RECIPE, PARTS, examples, None, shared_backend())
    recipe = Recipe(architecture=0, b=4, epochs=1, k=4, parent=first.model_root)
    warm = run_training(task, recipe, PARTS, examples, first.model, shared_backend())
    cold = run_training(task, recipe, PARTS, examples, None, shared_backend())
    assert warm.model != cold.model
    with pytest.raises(ModelSizeError):
        run_training(task, recipe, PARTS, examples, first.model[:-1], shared_backend())


def test_recipe_out_of_bounds(task: Task, examples: Examples) -> None:
    with pytest.raises(RejectError) as caught:
        run_training(task, Recipe(2, 4, 2, 4), PARTS, examples, None, shared_backend())
    assert caught.value.reason == "podl-recipe-bounds"


def test_training_can_be_stopped(task: Task, examples: Examples) -> None:
    steps: list[int] = []

    def stop(epoch: int) -> None:
        steps.append(epoch)
        if len(steps) == 2:
            raise MeasuringStoppedError("stop")

    with pytest.raises(MeasuringStoppedError):
        run_training(task, RECIPE, PARTS, examples, None, shared_backend(), stop)
    assert steps == [0, 0], "within the first epoch"


def test_slices_do_not_matter(
    task: Task, examples: Examples, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    program = task.loaded_programs[0]
    weights = run_training(task, RECIPE, PARTS, examples, None, shared_backend()).weights
    shard = load_examples(write_examples(tmp_path / "s.npz", 9, 100))
    whole = evaluate(program, weights, shard, shared_backend())
    for size in (1, 7, 99, 100, 1000):
        monkeypatch.setattr(measuring, "_SLICE", size)
        assert measure(program, weights, shard, shared_backend()) == whole
    order = np.random.default_rng(1).permutation(100)
    shuffled = Examples(shard.samples[order], shard.labels[order])
    assert measure(program, weights, shuffled, shared_backend()) == whole


def test_measuring_stops_when_asked(task: Task, examples: Examples) -> None:
    program = task.loaded_programs[0]
    weights = run_training(task, RECIPE, PARTS, examples, None, shared_backend()).weights
    with pytest.raises(MeasuringStoppedError):
        measure(program, weights, examples, shared_backend(), lambda: False)


def test_model_reads_back(task: Task, examples: Examples) -> None:
    trained = run_training(task, RECIPE, PARTS, examples, None, shared_backend())
    assert weight_bytes(parse_model(task.loaded_programs[0], trained.model)) == trained.weights
