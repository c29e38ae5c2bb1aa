"""Further tasks and shards of a running requester: what is published, and what is not even prepared."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import pytest

from podl_tools.dataset import parse_examples
from podl_tools.entry import ShardsBody
from podl_tools.errors import RejectError
from podl_tools.requester.decisions import Policy
from podl_tools.requester.prepare import Ingredients, further_shards, further_task, new_chain
from podl_tools.requester.tasks import TaskShelf, own_key, read_task
from podl_tools.tool_errors import SettingsError
from tests.world import FIRST_HEIGHT, OPTIONS, PROGRAMS, START, World, write_examples, write_ingredients

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """Make the data directory of a requester."""
    new_chain(tmp_path / "home", write_ingredients(tmp_path), OPTIONS, None, START)
    return tmp_path / "home"


def test_further_task_is_published_behind_a_final_and_used(tmp_path: Path) -> None:
    world = World(tmp_path, shards=2)
    more = Ingredients(
        write_examples(tmp_path / "more.npz", 5, 256), write_examples(tmp_path / "more_test.npz", 6, 64),
        PROGRAMS, 1, 64,
    )  # fmt: skip
    requester, miner = world.requester(), world.miner("ann")
    requester.step()
    further_task(world.home, more, replace(OPTIONS, first_height=FIRST_HEIGHT + 2))
    for _ in range(2):
        world.train("ann", miner)
        world.later(10, miner.step, requester.step, requester.step, miner.step)
        world.later(10, requester.step)
    assert [task.body.first_height for task in world.fake.schedule.tasks] == [FIRST_HEIGHT, FIRST_HEIGHT + 2]
    task = world.fake.schedule.task_for(world.fake.schedule.next_height).body
    data = (world.home / "public" / task.training_root.hex()).read_bytes()
    assert len(parse_examples(data, task.training_n, task.dims, task.classes)) == 256
    sealed = {shard.root for shard in read_task(world.home / "tasks" / task.shard_list_root.hex()).shards}
    assert not any((world.home / "public" / root.hex()).exists() for root in sealed)
    miner.stop()


def test_further_task_that_the_chain_does_not_allow_is_not_prepared(home: Path, tmp_path: Path) -> None:
    options = replace(OPTIONS, first_height=FIRST_HEIGHT + 2, list_size=OPTIONS.list_size + 1)
    with pytest.raises(RejectError, match="list_size is above the first task's"):
        further_task(home, write_ingredients(tmp_path), options)
    assert len(list((home / "tasks").iterdir())) == 1


def test_samples_of_an_earlier_task_must_not_be_in_a_shard(home: Path, tmp_path: Path) -> None:
    options = replace(OPTIONS, first_height=FIRST_HEIGHT + 2)
    same = write_ingredients(tmp_path)
    (sealed,) = TaskShelf(home / "tasks", own_key(home).public).tasks
    task = sealed.task
    trained_on = parse_examples(sealed.training, task.training_n, task.dims, task.classes)
    np.savez(tmp_path / "known.npz", samples=trained_on.samples, labels=trained_on.labels)
    other = write_examples(tmp_path / "other.npz", 5, 256)
    for ingredients in (
        replace(same, training=other),
        Ingredients(other, tmp_path / "known.npz", PROGRAMS, 1, 64),
    ):
        with pytest.raises(RejectError, match="earlier task") as caught:
            further_task(home, ingredients, options)
        assert caught.value.reason == "podl-data-overlap"
    assert len(list((home / "tasks").iterdir())) == 1


def test_further_shards_are_published_when_the_tasks_own_run_out(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    world = World(tmp_path, shards=1)
    requester, miner = world.requester(Policy(1, 60, 60)), world.miner("ann")

    def play() -> None:
        world.train("ann", miner)
        world.later(10, miner.step, requester.step, requester.step, miner.step)
        world.later(10, requester.step)

    play()
    play()
    assert "all 1 sealed shards have been opened" in caplog.text
    assert len(world.fake.schedule.finals) == 1
    first = further_shards(world.home, write_examples(tmp_path / "more.npz", 6, 64), 1, 64, None)
    second = further_shards(world.home, write_examples(tmp_path / "last.npz", 7, 128), 2, 64, FIRST_HEIGHT)
    world.later(0, requester.step, requester.step, miner.step)
    world.later(10, requester.step)
    play()
    play()
    bodies = [entry.body for entry in world.fake.schedule.entries]
    assert {body.shard_list_root for body in bodies if isinstance(body, ShardsBody)} == {first, second}
    assert len(world.fake.schedule.finals) == 4
    world.requester().step()  # a restarted one knows them too
    miner.stop()


def test_shards_that_do_not_fit_are_not_sealed(home: Path, tmp_path: Path) -> None:
    def seal(name: str, seed: int, size: int, first_height: int | None = None) -> None:
        further_shards(home, write_examples(tmp_path / f"{name}.npz", seed, size), 1, size, first_height)

    with pytest.raises(RejectError, match=r"64\.\.64 samples") as caught:
        seal("large", 8, 65)
    assert caught.value.reason == "podl-shard-size"
    with pytest.raises(SettingsError, match="no task whose first height is 99"):
        seal("lost", 8, 64, 99)
    with pytest.raises(RejectError, match="earlier task or list") as caught:
        seal("trained on", 1, 64)  # the training set has this seed too
    assert caught.value.reason == "podl-data-overlap"
    seal("fresh", 9, 64)
    with pytest.raises(RejectError, match="earlier task or list"):
        seal("again", 9, 64)


def test_no_salt_is_used_twice(home: Path, tmp_path: Path) -> None:
    options = replace(OPTIONS, first_height=FIRST_HEIGHT + 2)
    more = Ingredients(
        write_examples(tmp_path / "more.npz", 5, 256), write_examples(tmp_path / "more_test.npz", 6, 64),
        PROGRAMS, 1, 64,
    )  # fmt: skip
    further_task(home, more, options)
    for seed in (7, 8):
        further_shards(home, write_examples(tmp_path / "last.npz", seed, 128), 2, 64, FIRST_HEIGHT)
    tasks = TaskShelf(home / "tasks", own_key(home).public).tasks
    shards = [shard for task in tasks for held in task.lists.values() for shard in held]
    assert len(shards) == 4 + 1 + 2 + 2
    assert len({shard.salt for shard in shards}) == len(shards)
