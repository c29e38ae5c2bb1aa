"""Records of heights and repeated trainings, over whole rounds with a fake node."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import pytest

from podl_tools.commitment import Opening
from podl_tools.fetch import Fetcher
from podl_tools.recipe import Recipe
from podl_tools.requester.decisions import Policy
from podl_tools.requester.tasks import TaskShelf, own_key
from podl_tools.tool_errors import DataMissingError, TransferError
from podl_tools.training_run import TrainedModel
from regtest.history import History
from regtest.replay import SAME, Replayer, difference
from tests.world import FIRST_HEIGHT, World

if TYPE_CHECKING:
    from pathlib import Path

    from podl_tools.chain.answers import Candidate
    from podl_tools.entry import FinalBody

HEIGHTS = range(FIRST_HEIGHT, FIRST_HEIGHT + 3)


@dataclass
class Played:
    """Three heights; the third one's training starts from the first one's model."""

    world: World
    history: History
    candidates: tuple[Candidate, ...]


@pytest.fixture(scope="module")
def played(tmp_path_factory: pytest.TempPathFactory) -> Played:
    world, history = World(tmp_path_factory.mktemp("world")), History()
    requester = world.requester(Policy(1, 60, 60))
    miner = world.miner("ann")
    candidates: tuple[Candidate, ...] = ()
    for height in HEIGHTS:
        world.train("ann", miner)
        world.later(10, miner.step, requester.step, requester.step, miner.step)
        candidates = world.node.candidates().candidates
        history.see(height, candidates)
        world.later(10, requester.step)
    miner.stop()
    assert world.fake.schedule.next_height == HEIGHTS.stop
    return Played(world, history, candidates)


@pytest.fixture
def replayer(played: Played, tmp_path: Path) -> Replayer:
    world = played.world
    fetcher = Fetcher(tmp_path / "data", [])
    for sealed in TaskShelf(world.home / "tasks", own_key(world.home).public).tasks:
        fetcher.keep(sealed.task.training_root, sealed.training)
        for shard in sealed.shards:
            fetcher.keep(shard.root, shard.data)
    return Replayer(world.node, fetcher, world.fake.schedule, world.backend)


def final(world: World, height: int) -> FinalBody:
    placed = world.fake.schedule.final_for(height)
    assert placed is not None
    return placed.body


def test_winners_replay(played: Played, replayer: Replayer) -> None:
    world = played.world
    for height, warm in zip(HEIGHTS, (False, False, True), strict=True):
        found = replayer.replay(height)
        assert (found.height, found.result, found.warm) == (height, SAME, warm)
        assert found.measured == final(world, height).claim
        assert found.seconds > 0


def test_nothing_is_taken_from_elsewhere(
    played: Played, replayer: Replayer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = played.world
    bare = Replayer(world.node, Fetcher(tmp_path / "empty", []), world.fake.schedule, world.backend)
    with pytest.raises(TransferError):
        bare.replay(FIRST_HEIGHT)
    model_root = final(world, FIRST_HEIGHT).disclosure.opening.model_root
    objects = {key: value for key, value in world.fake.objects.items() if key != ("model", model_root)}
    monkeypatch.setattr(world.fake, "objects", objects)
    with pytest.raises(DataMissingError):
        replayer.replay(HEIGHTS[-1])
    with pytest.raises(LookupError):
        replayer.replay(HEIGHTS.stop)


STATES = tuple((bytes([at]) * 32, bytes([at + 100]) * 32) for at in range(1, 7))


def test_difference_is_placed() -> None:
    trained = TrainedModel(b"model", b"weights", STATES)
    honest = _opening(trained)
    assert difference(trained, honest, None) == ""
    assert difference(trained, honest, STATES) == ""
    other = replace(trained, model=b"other")
    assert "the model is not the last checkpoint" in difference(trained, _opening(other), STATES)
    assert "the weights are not the model's" in difference(replace(trained, weights=b"other"), honest, None)
    forged = replace(trained, checkpoints=(*STATES[:3], STATES[0], *STATES[4:]))
    assert difference(trained, _opening(forged), None) == "differs at epoch 5 of 5 or before"


@pytest.mark.parametrize("at", range(6))
def test_first_epoch_that_differs_is_named(at: int) -> None:
    trained = TrainedModel(b"model", b"weights", STATES)
    committed = (*STATES[:at], *((b"x" * 32, b"y" * 32) for _ in STATES[at:]))
    found = difference(trained, _opening(replace(trained, checkpoints=committed)), committed)
    assert found == (f"differs in epoch {at} of 5" if at else "differs before the first epoch: another start")


def test_other_number_of_epochs_is_named() -> None:
    trained = TrainedModel(b"model", b"weights", STATES)
    longer = (*STATES, STATES[0])
    found = difference(trained, _opening(replace(trained, checkpoints=longer)), longer)
    assert found == "differs in the number of epochs: 6, not 5"


def test_lists_of_the_miners_are_found(played: Played, replayer: Replayer) -> None:
    opening = final(played.world, FIRST_HEIGHT).disclosure.opening
    folder = played.world.directory / "ann" / "checkpoints"
    assert replayer._committed_checkpoints(opening) is None
    replayer._checkpoint_folders = (folder.with_name("nobody"), folder)
    states = replayer._committed_checkpoints(opening)
    assert states is not None
    assert len(states) == opening.n_checkpoints


def _opening(trained: TrainedModel) -> Opening:
    names = ("chain_id", "task_id", "release_id", "recipe_hash", "payout_hash", "reveal_key", "salt")
    return Opening(
        **dict.fromkeys(names, b"\3" * 32),
        height=1,
        n_params=1,
        n_checkpoints=len(trained.checkpoints),
        weights_root=trained.weights_root,
        model_root=trained.model_root,
        checkpoints_root=trained.checkpoints_root,
    )


def test_record_of_a_height(played: Played) -> None:
    world, history = played.world, played.history
    schedule = world.fake.schedule
    times = {entry.id: float(100 + 10 * at) for at, entry in enumerate(schedule.entries)}
    first = history.block(schedule, FIRST_HEIGHT, times, 104.0)
    assert (first.commit_seconds, first.reveal_seconds) == (6.0, 10.0)  # task at 100, release 110, final 120
    second = history.block(schedule, FIRST_HEIGHT + 1, times, 104.0)
    assert (second.commit_seconds, second.reveal_seconds) == (10.0, 10.0)
    assert (second.shard, second.attempts, second.listed, second.skipped) == (1, 1, 1, 0)
    body = final(world, FIRST_HEIGHT)
    assert (first.hash, first.claim, first.samples) == (body.disclosure.header.hash, body.claim, 64)
    assert [entrant.claim for entrant in first.entrants] == [body.claim]
    with pytest.raises(LookupError):
        history.block(schedule, HEIGHTS.stop, times, 104.0)


def test_candidates_keep_their_latest_claims(played: Played) -> None:
    sample = played.candidates[0]
    other = replace(sample, hash=bytes(32), claims=(5,), recipe=Recipe(0, 4, 2, 5).serialize())
    history = History()
    assert history.entrants(7) == ()
    for claims in ((), (3,), (9, 3)):
        found = replace(sample, claims=claims, recipe=Recipe(1, 4, 2, 5).serialize())
        history.see(7, [other, found])
    assert [(found.architecture, found.claim) for found in history.entrants(7)] == [(0, 5), (1, 9)]
