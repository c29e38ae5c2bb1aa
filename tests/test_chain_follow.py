"""Following the schedule: pages, restarts of the node, entries that break a rule."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from podl_tools.chain import node as node_module
from podl_tools.chain.follow import ScheduleFollower
from podl_tools.entry import Entry
from podl_tools.keys import SigningKey
from podl_tools.requester.decisions import Policy
from podl_tools.requester.tasks import own_key
from podl_tools.schedule import Schedule
from podl_tools.tool_errors import NodeAnswerError
from tests.world import World

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def world(tmp_path: Path) -> World:
    """Build a chain with two entries."""
    found = World(tmp_path)
    miner = found.miner("ann")
    found.train("ann", miner)
    found.later(10, miner.step, found.requester(Policy(1, 60, 60)).step)
    miner.stop()
    return found


def test_entries_are_fetched_once(world: World) -> None:
    follower = ScheduleFollower(world.node)
    assert follower.update().entries == 2
    assert follower.schedule.last_id == world.fake.schedule.last_id
    world.fake.calls.clear()
    follower.update()
    assert world.fake.calls == ["getpodlinfo"]


def test_long_schedules_come_in_pages(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(node_module, "PAGE", 1)
    follower = ScheduleFollower(world.node)
    follower.update()
    assert world.fake.calls[-2:] == ["getpodlschedule"] * 2


def test_node_with_a_shorter_schedule_is_read_anew(world: World) -> None:
    follower = ScheduleFollower(world.node)
    follower.update()
    world.fake.schedule = Schedule()
    world.fake.schedule.submit(world.task_entry, world.clock(), lambda _: None)
    assert follower.update().entries == 1
    assert len(follower.schedule.entries) == 1


def test_node_of_another_chain_is_read_anew(world: World, tmp_path: Path) -> None:
    follower = ScheduleFollower(world.node)
    follower.update()
    (tmp_path / "other").mkdir()
    other = World(tmp_path / "other")
    world.fake.schedule = other.fake.schedule
    assert follower.update().chain_id == other.task_entry.id


def tampered(world: World, change: str) -> bytes:
    entry = world.fake.schedule.entries[1]
    key = SigningKey(b"\3" * 32) if change == "other key" else own_key(world.home)
    prev = b"\2" * 32 if change == "other slot" else entry.prev
    time = world.task_entry.time if change == "too early" else entry.time
    return Entry.sign(key, entry.chain_id, prev, time, entry.body).serialize()


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ("other key", "podl-entry-badsig"),
        ("other slot", "podl-entry-prev"),
        ("too early", "podl-release-time"),
        ("junk", "podl-entry-noncanonical"),
        ("nothing", "fewer given"),
    ],
)
def test_nodes_that_show_something_else(
    world: World, monkeypatch: pytest.MonkeyPatch, change: str, reason: str
) -> None:
    data = b"junk" if change == "junk" else tampered(world, change)
    honest = world.fake.rpc_getpodlschedule

    def page(start: int, _count: int, verbosity: int) -> dict[str, Any]:
        if start == 0:
            return honest(0, 1, verbosity)
        return {"total": 2, "entries": [] if change == "nothing" else [{"hex": data.hex()}]}

    monkeypatch.setattr(world.fake, "rpc_getpodlschedule", page)
    with pytest.raises(NodeAnswerError, match=reason):
        ScheduleFollower(world.node).update()


def test_node_that_contradicts_itself_is_not_asked_for_ever(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    honest = world.fake.rpc_getpodlinfo
    monkeypatch.setattr(world.fake, "rpc_getpodlinfo", lambda: {**honest(), "digest": "55" * 32})
    with pytest.raises(NodeAnswerError, match="digest"):
        ScheduleFollower(world.node).update()
