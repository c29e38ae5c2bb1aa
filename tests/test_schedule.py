"""The schedule: sequences of schedule.json, and properties of the state machine."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dev.vector_cases.fixture import REQUESTER, START, named
from dev.vector_cases.scenario import BLOCKS, FIRST_HEIGHT, Scenario
from podl_tools.entry import Entry
from podl_tools.errors import FailureClass, RejectError
from podl_tools.reveal import Reveal
from podl_tools.schedule import Round, Schedule, Status, Submission, earliest_final, earliest_release
from tests.strategies import entries, h32, u64

if TYPE_CHECKING:
    from podl_tools.disclosure import Disclosure

VECTORS = json.loads((Path(__file__).parent.parent / "vectors" / "schedule.json").read_text())


def offer(schedule: Schedule, step: dict[str, Any], blocks: dict[bytes, int]) -> Submission:
    """Offer what a step offers."""
    if "void" in step:
        schedule.void_last()
        return Submission(Status.ACCEPTED)
    if "entry" in step:
        return schedule.submit(Entry.parse(bytes.fromhex(step["entry"])), step["now"], blocks.get)
    try:
        schedule.check_reveal(Reveal.parse(bytes.fromhex(step["reveal"])))
    except RejectError as error:
        return Submission.of_error(error)
    return Submission(Status.ACCEPTED)


@pytest.mark.parametrize("sequence", VECTORS["sequences"], ids=lambda sequence: sequence["name"])
def test_sequences(sequence: dict[str, Any]) -> None:
    schedule = Schedule()
    blocks = {bytes.fromhex(block): height for block, height in sequence["blocks"].items()}
    for step in sequence["steps"]:
        result = offer(schedule, step, blocks)
        failure = "" if result.failure is None else result.failure.value
        found = (result.status.value, result.reason, result.detail, failure)
        assert found == (step["status"], step["reason"], step["detail"], step["class"]), step["case"]
        assert len(schedule.entries) == step["entries"]
        assert schedule.last_id.hex() == step["last_id"]
        assert schedule.next_height == step["next_height"]
        assert schedule.is_frozen == step["frozen"]
        assert len(schedule.alarms) == step["alarms"]


def played(rounds: int) -> tuple[Scenario, Disclosure]:
    """Return a scenario with a few finished rounds and an open one, and what its release lists."""
    play = Scenario("played")
    play.start()
    for height in range(rounds):
        play.play_round(f"round {height}")
    disclosure = play.disclosure("open")
    play.release([disclosure])
    return play, disclosure


PLAYED, LISTED = played(2)


def test_queries_of_an_empty_schedule() -> None:
    schedule = Schedule()
    assert (schedule.first_height, schedule.next_height, schedule.is_revealing) == (0, 0, False)
    assert schedule.last_id == schedule.chain_id == bytes(32)
    assert schedule.opening_release_id(1) is None
    assert Round.current(schedule) is None
    with pytest.raises(LookupError):
        schedule.task_for(1)


def test_queries_of_a_played_schedule() -> None:
    schedule = PLAYED.schedule
    first = schedule.final_for(FIRST_HEIGHT)
    assert first is not None
    block_hash = first.body.disclosure.header.hash
    assert schedule.final_by_hash(block_hash) == first
    assert schedule.commit_prev(FIRST_HEIGHT) is None
    assert schedule.commit_prev(FIRST_HEIGHT + 1) == block_hash
    assert schedule.opening_release_id(FIRST_HEIGHT) == schedule.chain_id
    assert schedule.opening_release_id(FIRST_HEIGHT + 1) == schedule.releases_for(FIRST_HEIGHT)[0].id
    assert schedule.is_revealing
    assert schedule.next_height == FIRST_HEIGHT + 2
    assert [final.body.height for final in schedule.finals] == [FIRST_HEIGHT, FIRST_HEIGHT + 1]
    assert [schedule.finals_behind(index) for index in range(6)] == [2, 2, 1, 1, 0, 0]
    assert schedule.final_by_hash(named("no block")) is None
    with pytest.raises(LookupError):
        schedule.task_for(FIRST_HEIGHT - 1)


@given(entry=entries, now=u64)
def test_a_foreign_entry_changes_nothing(entry: Entry, now: int) -> None:
    schedule = PLAYED.schedule
    before = (len(schedule.entries), schedule.is_frozen, len(schedule.alarms))
    assert schedule.submit(entry, now, BLOCKS.get).reason == "podl-entry-chain"
    assert (len(schedule.entries), schedule.is_frozen, len(schedule.alarms)) == before


@given(entry=entries, now=u64)
def test_an_empty_schedule_takes_only_a_signed_task(entry: Entry, now: int) -> None:
    schedule = Schedule()
    result = schedule.submit(entry, now, BLOCKS.get)
    assert result.status is not Status.ACCEPTED
    assert result.reason in {"podl-entry-grammar", "podl-entry-chain", "podl-entry-badsig"}


@given(entry=entries, time=st.integers(START, START + 10_000), prev_index=st.integers(-1, 5))
def test_a_signed_body_of_noise_is_refused_by_name(entry: Entry, time: int, prev_index: int) -> None:
    """Whatever the requester signs, a check ends with a named refusal and changes nothing."""
    schedule = PLAYED.schedule
    prev = named("unknown") if prev_index < 0 else schedule.entries[prev_index].id
    signed = Entry.sign(REQUESTER, schedule.chain_id, prev, time, entry.body)
    before = len(schedule.entries)
    with pytest.raises(RejectError) as caught:
        schedule.check(signed, time, BLOCKS.get)
    assert caught.value.reason.startswith(
        ("podl-entry-", "podl-task-", "podl-release-", "podl-final-", "podl-shards-", "podl-void-")
    )
    assert len(schedule.entries) == before


@given(signature=st.binary(min_size=64, max_size=64))
def test_signed_nonsense_is_evidence(signature: bytes) -> None:
    good = PLAYED.final_body(LISTED, 40)
    time = earliest_final(PLAYED.round)
    assert PLAYED.schedule.check(PLAYED.entry(good, time), time, BLOCKS.get)
    changed = PLAYED.entry(replace(good, reveal_signature=signature), time)
    with pytest.raises(RejectError) as caught:
        PLAYED.schedule.check(changed, time, BLOCKS.get)
    assert (caught.value.reason, caught.value.detail) == ("podl-final-invalid", "podl-reveal-sig")
    assert caught.value.failure is FailureClass.EVIDENCE


@given(other=h32)
def test_a_checked_entry_is_not_appended_by_the_check(other: bytes) -> None:
    schedule = Schedule()
    task = PLAYED.schedule.entries[0]
    assert schedule.check(task, START, BLOCKS.get)
    assert not schedule.entries
    schedule.append(task)
    assert not schedule.check(task, START, BLOCKS.get)
    assert schedule.find(other) is None


def test_order_of_arrival_never_matters() -> None:
    """Entries that are tried again until they fit give the same log in any order."""
    log = list(PLAYED.schedule.entries)
    schedule = Schedule()
    waiting = log[1:][::-1]
    schedule.submit(log[0], log[-1].time, BLOCKS.get)
    while waiting:
        results = [(schedule.submit(entry, log[-1].time, BLOCKS.get), entry) for entry in waiting]
        assert {result.reason for result, _ in results} <= {"", "podl-entry-prev"}
        waiting = [entry for result, entry in results if result.status is Status.LATER]
    assert list(schedule.entries) == log


def test_times_are_inclusive() -> None:
    play, disclosure = played(0)
    body = play.final_body(disclosure, 40)
    time = earliest_final(play.round)
    with pytest.raises(RejectError, match="not before"):
        play.schedule.check(play.entry(body, time - 1), time, BLOCKS.get)
    assert play.schedule.check(play.entry(body, time), time - 120, BLOCKS.get)
    with pytest.raises(RejectError) as caught:
        play.schedule.check(play.entry(body, time), time - 121, BLOCKS.get)
    assert caught.value.reason == "podl-entry-future"
    play.accept("final", play.entry(body, time))
    assert earliest_release(play.schedule) == time + 10
