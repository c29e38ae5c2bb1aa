"""The requester's pure decisions: lists, the end of Phase 1, the order of work and the end of Phase 2."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from podl_tools.chain.answers import PooledCommitment
from podl_tools.entry import Skipped, SkipReason
from podl_tools.header import Header
from podl_tools.requester.decisions import (
    Check,
    Finalise,
    Measure,
    NextAttempt,
    Policy,
    PublishTask,
    Release,
    Wait,
    choose_list,
    decide_final,
    decide_release,
    next_task,
)
from podl_tools.requester.entrants import Entrant, Outcome, skipped_for
from podl_tools.schedule import Round
from podl_tools.winner import Measured
from tests.world import OPTIONS, START, World

if TYPE_CHECKING:
    from pathlib import Path

POLICY = Policy(min_commitments=2, commit_seconds=60, reveal_seconds=60)
OPEN = START + OPTIONS.min_commit  # when the release of these tests is made
HASHES = tuple(bytes([number]) * 32 for number in range(1, 4))


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> World:
    return World(tmp_path_factory.mktemp("world"))


@pytest.fixture
def current(world: World, monkeypatch: pytest.MonkeyPatch) -> Round:
    """Open a round with three listed headers."""
    log = type(world.fake.schedule)()
    log.submit(world.task_entry, START, lambda _: None)
    monkeypatch.setattr(world.fake, "schedule", log)
    monkeypatch.setattr(world.clock, "now", OPEN)
    requester = world.requester()
    monkeypatch.setattr(requester, "_listed", lambda *_: HASHES)
    monkeypatch.setattr(requester, "_first_prev", lambda *_: world.fake.tip)
    requester.step()
    for path in (world.home / "entries").iterdir():
        if path.name != "00" * 32:
            path.unlink()
    found = Round.current(log)
    assert found is not None
    return found


def pooled(nonce: int, time: int = START) -> PooledCommitment:
    header = Header(0x40000000, bytes(32), bytes(32), time, 0, nonce, b"\1" * 32)
    return PooledCommitment(header.hash, header.serialize(), time)


def entrant(position: int, claim: int = 50, **changes: Any) -> Entrant:
    return replace(Entrant(HASHES[position], position, (claim,), weights=True, complete=True), **changes)


def measured(position: int, count: int, rank_sum: int = 0, **changes: Any) -> Entrant:
    return entrant(position, count, measured=Measured(count, rank_sum), **changes)


@given(st.permutations(range(8)), st.integers(1, 8))
def test_list_depends_on_the_set_alone(order: list[int], size: int) -> None:
    pool = [pooled(nonce) for nonce in order]
    chosen = choose_list(pool, [], frozenset(), frozenset(), START, size)
    assert chosen == choose_list(pool[::-1], [], frozenset(), frozenset(), START, size)
    values = [int.from_bytes(name, "little") for name in chosen]
    assert values == sorted(values)
    left_out = {one.hash for one in pool} - set(chosen)
    assert all(int.from_bytes(name, "little") > values[-1] for name in left_out)
    assert len(chosen) == size


def test_list_keeps_earlier_headers_and_drops_failed_and_future_ones() -> None:
    now, future = pooled(1), pooled(2, START + 1)
    listed = choose_list([now, future], HASHES[:2], frozenset({HASHES[0]}), frozenset(), START, 64)
    assert set(listed) == {now.hash, HASHES[1]}


def test_headers_listed_in_vain_come_last() -> None:
    pool = sorted((pooled(nonce) for nonce in range(4)), key=lambda one: int.from_bytes(one.hash, "little"))
    names = [one.hash for one in pool]
    silent = frozenset(names[:2])
    assert choose_list(pool, names[:2], frozenset(), silent, START, 3) == (*names[2:], names[0])


@pytest.mark.parametrize(
    ("count", "seconds", "action"),
    [
        (0, 1000, Wait(float("inf"))),
        (1, 0, Wait(10)),
        (2, 9, Wait(1)),
        (2, 10, Release(HASHES[:2])),
        (1, 10, Wait(50)),
        (1, 60, Release(HASHES[:1])),
    ],
)
def test_end_of_phase_1(world: World, count: int, seconds: int, action: object) -> None:
    assert decide_release(world.fake.schedule, POLICY, HASHES[:count], START + seconds) == action


def test_short_time_out_never_undercuts_the_protocol(world: World) -> None:
    policy = replace(POLICY, commit_seconds=0)
    assert decide_release(world.fake.schedule, policy, HASHES[:1], START + 9) == Wait(1)
    assert decide_release(world.fake.schedule, policy, HASHES[:1], START + 10) == Release(HASHES[:1])


def test_measures_by_claim_and_stops_when_nobody_can_overtake(current: Round) -> None:
    low, high = entrant(0, 40), entrant(1, 60)
    assert decide_final(current, POLICY, [low, high], OPEN) == Measure(high)
    done = measured(1, 60)
    assert decide_final(current, POLICY, [entrant(0, 60), done, entrant(2, 1)], OPEN) == Measure(
        entrant(0, 60)
    )
    assert decide_final(current, POLICY, [low, done, entrant(2, 1)], OPEN) == Check(done)


def test_waits_for_reveals_and_bytes_until_the_deadline(current: Round) -> None:
    done = measured(0, 60)
    assert decide_final(current, POLICY, [], OPEN) == Wait(60)
    assert decide_final(current, POLICY, [done], OPEN + 20) == Wait(40)
    slow = entrant(1, 61, weights=False, complete=False)
    last = entrant(2, 5)
    assert decide_final(current, POLICY, [done, slow, last], OPEN + 59) == Wait(1)
    assert decide_final(current, POLICY, [done, slow, last], OPEN + 60) == Check(done)
    bodyless = measured(1, 61, complete=False)
    assert decide_final(current, POLICY, [done, bodyless, last], OPEN + 59) == Wait(1)
    assert decide_final(current, POLICY, [done, bodyless, last], OPEN + 60) == Check(done)


def test_final_is_not_signed_before_its_time(current: Round) -> None:
    good = [measured(0, 60, outcome=Outcome.GOOD), entrant(1, 5), entrant(2, 5)]
    assert decide_final(current, POLICY, good, OPEN + 9) == Wait(1)
    assert decide_final(current, POLICY, good, OPEN + 10) == Finalise(good[0], ())


def test_failed_candidates_make_room_for_the_next(current: Round) -> None:
    bad = measured(0, 60, outcome=Outcome.MISMATCH)
    good = measured(1, 50, outcome=Outcome.GOOD)
    assert decide_final(current, POLICY, [bad, entrant(1), entrant(2, 5)], OPEN) == Measure(entrant(1))
    action = decide_final(current, POLICY, [bad, good, entrant(2, 5)], OPEN + 10)
    assert action == Finalise(good, (Skipped(0, SkipReason.REPLAY_MISMATCH),))


def test_next_attempt_only_after_the_phase(current: Round) -> None:
    bad = [measured(position, 60, outcome=Outcome.INVALID) for position in range(3)]
    assert decide_final(current, POLICY, bad, OPEN + 10) == Wait(OPTIONS.max_phase - 10)
    assert decide_final(current, POLICY, bad, OPEN + OPTIONS.max_phase) == NextAttempt()
    assert decide_final(current, POLICY, [], OPEN + OPTIONS.max_phase) == NextAttempt()


def test_too_many_failed_replays_end_the_attempt(current: Round) -> None:
    task = replace(current.task.body, max_replays=2)
    strict = replace(current, task=replace(current.task, body=task))
    entrants = [
        measured(0, 60, outcome=Outcome.MISMATCH),
        measured(1, 59, outcome=Outcome.MISMATCH),
        measured(2, 58),
    ]
    assert decide_final(strict, POLICY, entrants, OPEN + 10) == Wait(OPTIONS.max_phase - 10)
    assert decide_final(strict, POLICY, entrants[1:], OPEN + 60) == Check(entrants[2])


def test_only_better_candidates_are_listed_as_skipped() -> None:
    chosen = measured(1, 50, 7)
    for other, reason in [
        (measured(0, 51, outcome=Outcome.MISMATCH), SkipReason.REPLAY_MISMATCH),
        (measured(0, 50, 6, outcome=Outcome.INVALID), SkipReason.INVALID),
        (measured(0, 50, 7, complete=False), SkipReason.NOT_SERVED),
        (entrant(0, 50, complete=False, weights=False), SkipReason.NOT_SERVED),
        (measured(0, 50, 8, outcome=Outcome.MISMATCH), None),
        (measured(2, 50, 7, outcome=Outcome.MISMATCH), None),
        (entrant(0, 49, complete=False, weights=False), None),
        (measured(0, 49, outcome=Outcome.MISMATCH), None),
    ]:
        expected = () if reason is None else (Skipped(other.position, reason),)
        assert skipped_for(chosen, [chosen, other]) == expected


@given(st.permutations([measured(0, 9), entrant(2, 12, complete=False), entrant(1, 12, complete=False)]))
def test_order_of_arrival_does_not_matter(entrants: list[Entrant]) -> None:
    chosen = replace(measured(0, 10), position=3)
    assert skipped_for(chosen, entrants) == skipped_for(
        chosen, sorted(entrants, key=lambda one: one.position)
    )


def test_tasks_are_published_behind_finals_one_at_a_time(world: World, tmp_path: Path) -> None:
    log = world.fake.schedule
    first = log.tasks[0].body
    later = replace(first, first_height=first.first_height + 3, shard_list_root=b"\3" * 32)
    assert next_task(log, [first, later]) is None  # the last entry is no final
    found = World(tmp_path)
    requester, miner = found.requester(), found.miner("ann")
    found.train("ann", miner)
    found.later(10, miner.step, requester.step, requester.step, miner.step)
    found.later(10, requester.step)
    miner.stop()
    log = found.fake.schedule
    assert next_task(log, [first, later]) == PublishTask(later)
    assert next_task(log, [replace(later, first_height=log.next_height)]) is None
    assert next_task(log, [log.tasks[0].body]) is None
