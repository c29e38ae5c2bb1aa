"""What the requester does when a height is undone: void finals, reorganisations below the first height."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from podl_tools.chain.follow import ScheduleFollower
from podl_tools.header import Header
from podl_tools.requester.decisions import Policy, PublishTask, next_task
from podl_tools.schedule import Schedule
from tests.rounds import last_final, open_round, reorganise_behind_list
from tests.world import FIRST_HEIGHT, OPTIONS, World

if TYPE_CHECKING:
    from pathlib import Path

ONE = Policy(min_commitments=1, commit_seconds=60, reveal_seconds=60)


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path)


def undo(world: World, size: int) -> None:
    """Let the node prove the final at the end of the first `size` entries void."""
    kept = Schedule()
    for entry in list(world.fake.schedule.entries)[:size]:
        kept.submit(entry, world.clock(), lambda _: FIRST_HEIGHT - 1)
    kept.void_last()
    world.fake.schedule = kept
    world.fake.tip, world.fake.tip_height = kept.entries[1].body.prev_block, FIRST_HEIGHT - 1  # type: ignore[union-attr]


def play(world: World, requester: Any, miner: Any) -> None:
    """Let the only miner train, commit, reveal, and the requester name it."""
    world.train("ann", miner)
    world.later(10, miner.step, requester.step, requester.step, miner.step)
    world.later(10, requester.step)


@pytest.mark.parametrize("restarted", [False, True])
def test_a_void_final_is_followed_by_the_next_attempt(world: World, *, restarted: bool) -> None:
    requester, miner = world.requester(ONE), world.miner("ann")
    play(world, requester, miner)
    void = last_final(world)
    undo(world, 3)
    if restarted:
        requester = world.requester(ONE)
    requester.step()
    assert len(world.fake.schedule.entries) == 3  # nobody has committed again
    world.fake.commitments.clear()
    world.later(10, miner.step, requester.step, requester.step, miner.step)
    world.later(10, requester.step)
    final = last_final(world)
    assert (final.height, final.attempt) == (FIRST_HEIGHT, 1)
    assert final.disclosure.header == void.disclosure.header
    assert world.fake.tip_height == FIRST_HEIGHT


@pytest.mark.parametrize("restarted", [False, True])
def test_what_was_signed_behind_a_void_final_is_no_contradiction(world: World, *, restarted: bool) -> None:
    requester, miner = world.requester(ONE), world.miner("ann")
    play(world, requester, miner)
    world.train("ann", miner)
    world.later(10, miner.step, requester.step)
    assert len(world.fake.schedule.entries) == 4
    undo(world, 3)
    world.fake.commitments.clear()
    if restarted:
        requester = world.requester(ONE)
    miner.stop()
    play(world, requester, world.miner("ann"))  # its job for this height is gone: it trains again
    final = last_final(world)
    assert (final.height, final.attempt, len(world.fake.schedule.entries)) == (FIRST_HEIGHT, 1, 5)
    world.requester(ONE).step()


def test_no_task_is_published_behind_a_void_final(world: World) -> None:
    requester, miner = world.requester(ONE), world.miner("ann")
    play(world, requester, miner)
    follower = ScheduleFollower(world.node)
    follower.update()
    undo(world, 3)
    follower.update()
    assert follower.schedule.void_final is not None
    assert (follower.schedule.next_height, follower.schedule.is_revealing) == (FIRST_HEIGHT, False)
    first = follower.schedule.tasks[0].body
    later = replace(first, first_height=FIRST_HEIGHT + 3, shard_list_root=b"\3" * 32)
    assert next_task(follower.schedule, [first, later]) is None
    # The proof falls: two verdicts differ.
    counted = Schedule()
    for entry in world.fake.schedule.entries:
        counted.submit(entry, world.clock(), lambda _: FIRST_HEIGHT - 1)
    world.fake.schedule = counted
    follower.update()
    assert follower.schedule.next_height == FIRST_HEIGHT + 1
    assert next_task(follower.schedule, [first, later]) == PublishTask(later)
    miner.stop()


def test_node_that_cut_its_log_and_went_on_is_read_anew(world: World) -> None:
    requester, miner = world.requester(ONE), world.miner("ann")
    play(world, requester, miner)
    world.train("ann", miner)
    world.later(10, miner.step, requester.step)
    follower = ScheduleFollower(world.node)
    assert follower.update().entries == 4
    undo(world, 3)
    world.fake.commitments.clear()
    miner.stop()
    play(world, requester, world.miner("ann"))
    assert follower.update().entries == 5
    assert follower.schedule.last_id == world.fake.schedule.last_id


def test_reorganisation_below_the_first_height_in_phase_two(world: World) -> None:
    requester, miners = open_round(world, "ann", policy=ONE)
    miner = miners["ann"]
    world.fake.tip = b"\7" * 32
    miner.step()
    assert not world.fake.revealed  # its block is on one that is gone
    world.later(OPTIONS.max_phase - 1, requester.step)
    assert len(world.fake.schedule.releases_for(FIRST_HEIGHT)) == 1
    world.later(1, requester.step)
    release = world.fake.schedule.releases_for(FIRST_HEIGHT)[-1].body
    assert (release.attempt, release.prev_block) == (1, b"\7" * 32)
    world.later(0, requester.step, miner.step)
    world.later(10, requester.step)
    assert last_final(world).disclosure.header.prev_block == b"\7" * 32
    assert world.fake.tip_height == FIRST_HEIGHT
    miner.stop()


def test_first_list_is_not_put_on_a_block_that_others_build_on(world: World) -> None:
    requester, miner = world.requester(ONE), world.miner("ann")
    world.train("ann", miner)
    world.later(10, miner.step)

    def commit_there() -> None:
        data, time = next(iter(world.fake.commitments.values()))
        other = replace(Header.parse(data), prev_block=world.fake.tip)
        world.fake.commitments[other.hash] = other.serialize(), time

    reorganise_behind_list(world, commit_there)
    requester.step()
    assert not world.fake.schedule.is_revealing
    miner.stop()


def test_reorganisation_that_is_undone_changes_nothing(world: World) -> None:
    requester, miners = open_round(world, "ann", policy=ONE)
    requester.step()  # hands the node the shard
    tip, world.fake.tip = world.fake.tip, b"\7" * 32
    world.later(OPTIONS.max_phase, requester.step)  # nobody commits on the other block
    world.fake.tip = tip
    miners["ann"].step()
    requester.step()
    assert last_final(world).attempt == 0
    assert world.fake.tip_height == FIRST_HEIGHT
    miners["ann"].stop()


def test_every_reorganisation_below_the_first_height_opens_it_anew(world: World) -> None:
    patient = replace(ONE, reveal_seconds=3 * OPTIONS.max_phase)  # does not give them up by itself
    requester, miners = open_round(world, "ann", policy=patient)
    tips = [world.fake.tip, b"\7" * 32, world.fake.tip]
    for attempt in (1, 2):
        world.fake.tip = tips[attempt]
        requester = world.requester(patient)  # it was away meanwhile
        world.later(OPTIONS.max_phase, miners["ann"].step, requester.step)
        release = world.fake.schedule.releases_for(FIRST_HEIGHT)[-1].body
        assert (release.attempt, release.prev_block) == (attempt, tips[attempt])
    world.later(0, requester.step, miners["ann"].step)
    # The first header on this block is listed too, and not revealed.
    world.later(patient.reveal_seconds, requester.step)
    assert last_final(world).attempt == 2
    miners["ann"].stop()
