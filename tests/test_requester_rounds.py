"""Whole rounds with a fake node: requester, miners and validator together, restarts included."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from podl_tools.drafting import sign_next
from podl_tools.entry import ReleaseBody
from podl_tools.requester.decisions import Policy
from podl_tools.requester.tasks import own_key
from podl_tools.tool_errors import NodeUnreachableError, RefusedError, WrongChainError
from tests.world import FIRST_HEIGHT, OPTIONS, World

if TYPE_CHECKING:
    from pathlib import Path

    from podl_tools.chain.answers import Submission

from tests.rounds import last_final, open_round, reorganise_behind_list


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path)


def test_three_heights(world: World) -> None:
    requester = world.requester()
    miner = world.miner("ann")
    validator = world.validator()
    for height in range(FIRST_HEIGHT, FIRST_HEIGHT + 3):
        world.train("ann", miner)
        world.later(10, miner.step, requester.step, requester.step, miner.step, validator.step)
        assert world.fake.schedule.is_revealing
        world.later(10, requester.step)
        assert world.fake.schedule.next_height == height + 1
        assert world.fake.tip_height == height
    finals = [final.body for final in world.fake.schedule.finals]
    assert [final.replayed for final in finals] == [True] * 3
    assert [final.skipped for final in finals] == [()] * 3
    parents = [final.disclosure.recipe[10:42] for final in finals]
    assert parents[0] == parents[1] == bytes(32)  # trained before any final
    assert parents[2] == finals[0].disclosure.opening.model_root


def test_the_better_model_wins_whoever_measures(world: World) -> None:
    requester, miners = open_round(world, "ann", "bob")
    for miner in miners.values():
        miner.step()
    world.later(0, requester.step)
    measured = {key: found.count for key, found in world.fake.verdicts.items()}
    world.validator().step()
    assert {key: found.count for key, found in world.fake.verdicts.items()} == measured
    world.later(10, requester.step)
    assert last_final(world).claim == max(measured.values())
    assert world.fake.tip == last_final(world).disclosure.header.hash


def test_validator_alone_suffices_for_the_node(world: World) -> None:
    requester, miners = open_round(world, "ann", policy=Policy(1, 60, 60))
    requester.step()  # hands the node the shard
    miners["ann"].step()
    world.validator("eve").step()
    assert [(report["evaluator"], report["count"]) for report in world.fake.reported] == [
        ("eve", world.fake.revealed[world.fake.best() or b""].claims[0])
    ]


def test_requester_alone_signs_but_the_node_waits_for_its_own_evaluator(world: World) -> None:
    requester, miner = world.requester(reports=False), world.miner("ann")
    world.train("ann", miner)
    world.later(10, miner.step, requester.step, requester.step, miner.step)
    world.later(10, requester.step)
    assert len(world.fake.schedule.finals) == 1
    assert (world.fake.reported, world.fake.tip_height) == ([], FIRST_HEIGHT - 1)
    miner.stop()


def test_restarted_requester_sends_the_same_entry_again(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    requester = world.requester()
    miner = world.miner("ann")
    world.train("ann", miner)
    world.later(10, miner.step)
    sent: list[bytes] = []

    def lost(data: bytes) -> Submission:
        sent.append(data)
        raise NodeUnreachableError("gone")

    with monkeypatch.context() as patch:
        patch.setattr(world.node, "submit_entry", lost)
        with pytest.raises(NodeUnreachableError):
            requester.step()
    other = world.miner("bob", architecture=1)
    world.train("bob", other)
    world.later(10, other.step)  # a requester that looked again would list bob too
    world.requester().step()
    release = world.fake.schedule.entries[-1]
    assert release.serialize() == sent[0]
    assert isinstance(release.body, ReleaseBody)
    assert len(release.body.listed) == 1


def test_node_that_lost_the_schedule_gets_it_back(world: World) -> None:
    requester, miners = open_round(world, "ann", policy=Policy(1, 60, 60))
    before = world.fake.schedule.last_id
    fresh = World.__new__(World)
    fresh.__dict__.update(world.__dict__)
    world.fake.schedule = type(world.fake.schedule)()
    world.fake.schedule.submit(world.fake.first_task, world.clock(), lambda _: None)
    requester.step()
    assert world.fake.schedule.last_id == before
    miners["ann"].step()
    assert world.fake.revealed


def test_restarted_miner_still_reveals(world: World) -> None:
    requester, miners = open_round(world, "ann", policy=Policy(1, 60, 60))
    miners["ann"].stop()
    requester.step()
    again = world.miner("ann")
    again.step()
    world.later(10, requester.step)
    assert last_final(world).disclosure.payout == b"\x51ann"
    again.stop()


def test_first_list_and_its_block_belong_together(world: World) -> None:
    requester, miner = world.requester(), world.miner("ann")
    world.train("ann", miner)
    world.later(10, miner.step)
    reorganise_behind_list(world)
    requester.step()
    assert not world.fake.schedule.is_revealing
    world.later(0, miner.step, requester.step)
    (release,) = world.fake.schedule.releases_for(FIRST_HEIGHT)
    assert release.body.prev_block == world.fake.tip
    assert release.body.listed == (miner._jobs[0].block_hash,)
    miner.stop()


def test_no_final_while_the_node_cannot_serve_the_shard(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    requester, miners = open_round(world, "ann", policy=Policy(1, 60, 60))
    take = world.fake.rpc_submitpodldata

    def full(kind: str, *rest: Any) -> dict[str, Any]:
        later = {"status": "later", "reason": "podl-data-full", "detail": "", "complete": False}
        return later if kind == "shard" else take(kind, *rest)

    shard = world.fake.schedule.latest_release(FIRST_HEIGHT).body.test_root  # type: ignore[union-attr]
    miners["ann"].step()
    del world.fake.objects["shard", shard]
    world.fake.rpc_submitpodldata = full  # type: ignore[method-assign,assignment]
    world.later(10, requester.step)
    assert not world.fake.schedule.finals
    assert caplog.text.count("does not take the opened shard") == 1
    del world.fake.rpc_submitpodldata
    requester.step()
    assert len(world.fake.schedule.finals) == 1


@pytest.mark.parametrize("fault", ["gone", "full"])
def test_no_final_before_the_node_has_the_verdict(world: World, fault: str) -> None:
    requester, miners = open_round(world, "ann", policy=Policy(1, 60, 60))
    miners["ann"].step()

    def fails(*_: Any) -> dict[str, Any]:
        if fault == "gone":  # killed after the measurement, before it has noted it
            raise NodeUnreachableError("gone")
        return {"status": "later", "reason": "podl-store-error", "detail": "full"}

    world.fake.rpc_submitpodlverdict = fails  # type: ignore[method-assign,assignment]
    if fault == "gone":
        with pytest.raises(NodeUnreachableError):
            world.later(10, requester.step)
    else:
        world.later(10, requester.step)
    assert not world.fake.schedule.finals
    del world.fake.rpc_submitpodlverdict
    requester.step()
    assert len(world.fake.reported) == 1
    assert len(world.fake.schedule.finals) == 1


def test_a_late_requester_finds_everything_as_it_was(world: World) -> None:
    month = 30 * 24 * 3600
    miner = world.miner("ann")
    world.train("ann", miner)
    world.later(10, miner.step)
    world.later(month, world.requester(Policy(1, 60, 60)).step)
    assert world.fake.schedule.is_revealing
    world.requester(Policy(1, 60, 60)).step()  # hands the node the shard
    miner.step()
    world.later(month, world.requester(Policy(1, 60, 60)).step)
    assert last_final(world).attempt == 0
    assert world.fake.tip_height == FIRST_HEIGHT
    miner.stop()


def test_clock_that_was_set_back_dates_nothing_before_the_last_entry(tmp_path: Path) -> None:
    world = World(tmp_path, options=replace(OPTIONS, min_commit=0, min_reveal=0))
    requester, miners = open_round(world, "ann", policy=Policy(1, 60, 60))
    requester.step()  # hands the node the shard
    miners["ann"].step()
    world.later(-5, requester.step)
    (final,) = world.fake.schedule.finals
    assert final.time == world.clock() + 5
    miners["ann"].stop()


def test_next_attempt_when_nobody_reveals(world: World) -> None:
    requester, miners = open_round(world, "ann", policy=Policy(1, 60, 60))
    world.later(OPTIONS.max_phase - 1, requester.step)
    assert len(world.fake.schedule.releases_for(FIRST_HEIGHT)) == 1
    world.later(1, requester.step)
    releases = world.fake.schedule.releases_for(FIRST_HEIGHT)
    assert [release.body.shard_index for release in releases] == [0, 1]
    assert releases[0].body.listed == releases[1].body.listed
    requester.step()
    miners["ann"].step()
    world.later(10, requester.step)
    assert last_final(world).attempt == 1


def test_commitments_that_are_never_revealed_lose_their_places(tmp_path: Path) -> None:
    world = World(tmp_path, options=replace(OPTIONS, list_size=1))
    requester, miners = open_round(world, "ann", "bob", policy=Policy(1, 60, 60))
    (first,) = world.fake.schedule.releases_for(FIRST_HEIGHT)
    other = next(
        miner for miner in miners.values() if miner._jobs[0].disclosure().header.hash not in first.body.listed
    )
    world.later(OPTIONS.max_phase, requester.step)
    assert world.fake.schedule.releases_for(FIRST_HEIGHT)[1].body.listed == (
        other._jobs[0].disclosure().header.hash,
    )
    requester.step()
    other.step()
    world.later(10, requester.step)
    assert last_final(world).disclosure.header == other._jobs[0].disclosure().header
    for miner in miners.values():
        miner.stop()


def test_last_shard(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    world = World(tmp_path, shards=1)
    requester, _ = open_round(world, "ann", policy=Policy(1, 60, 60))
    world.later(OPTIONS.max_phase, requester.step, requester.step)
    assert caplog.text.count("all 1 sealed shards have been opened") == 1
    assert len(world.fake.schedule.releases_for(FIRST_HEIGHT)) == 1


def test_refused_entry_stops_the_requester(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    miner = world.miner("ann")
    world.train("ann", miner)
    world.later(10, miner.step)
    answer = {"status": "refused", "reason": "podl-release-list"}
    monkeypatch.setattr(world.fake, "rpc_submitpodlentry", lambda _: answer)
    with pytest.raises(RefusedError, match="podl-release-list"):
        world.requester().step()


def test_second_copy_of_the_requester_is_noticed(world: World) -> None:
    requester = world.requester()
    requester.step()
    miner = world.miner("ann")
    world.train("ann", miner)
    world.later(10, miner.step, requester.step)
    log = world.fake.schedule
    kept = list(log.entries)
    other = sign_next(kept_log(world), own_key(world.home), world.clock(), replace_list(kept[-1].body))
    world.fake.schedule = kept_log(world)
    world.fake.schedule.append(other)
    with pytest.raises(WrongChainError, match="another copy of the requester"):
        world.requester().step()


def kept_log(world: World) -> Any:
    log = type(world.fake.schedule)()
    log.submit(world.fake.first_task, world.clock(), lambda _: None)
    return log


def replace_list(body: Any) -> ReleaseBody:
    found: ReleaseBody = replace(body, listed=(b"\5" * 32,))
    return found


def test_frozen_schedule_stops_signing(world: World) -> None:
    miner = world.miner("ann")
    world.train("ann", miner)
    world.later(10, miner.step)
    world.fake.schedule.is_frozen = True
    assert world.requester().step() is None
    assert len(world.fake.schedule.entries) == 1
