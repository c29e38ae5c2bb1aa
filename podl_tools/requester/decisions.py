"""What the requester does next: pure decisions from the schedule, the pool, the candidates and the clock."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from podl_tools.entry import FinalBody, ShardsBody
from podl_tools.header import Header
from podl_tools.requester.entrants import Outcome, skipped_for
from podl_tools.schedule import earliest_final, earliest_release
from podl_tools.winner import evaluation_order, winner

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from podl_tools.chain.answers import PooledCommitment
    from podl_tools.entry import Skipped
    from podl_tools.requester.entrants import Entrant
    from podl_tools.schedule import Round, ScheduleLog
    from podl_tools.task import Task
    from podl_tools.winner import Contender

__all__ = [
    "Action",
    "Check",
    "Finalise",
    "Measure",
    "NextAttempt",
    "Policy",
    "PublishTask",
    "Release",
    "Wait",
    "choose_list",
    "decide_final",
    "decide_release",
    "next_shards",
    "next_task",
]


@dataclass(frozen=True)
class Policy:
    """
    What the protocol leaves to the requester.

    Parameters
    ----------
    min_commitments
        Phase 1 ends early once so many commitments are there.
    commit_seconds
        It ends after this time with at least one.
    reveal_seconds
        So long listed miners may take to reveal and to serve their bytes.

    """

    min_commitments: int
    commit_seconds: int
    reveal_seconds: int


@dataclass(frozen=True)
class Wait:
    """Do nothing, at most for so many seconds."""

    seconds: float


@dataclass(frozen=True)
class PublishTask:
    """Sign the task entry of a prepared task."""

    task: Task


@dataclass(frozen=True)
class Release:
    """Sign the next release with this list."""

    listed: tuple[bytes, ...]


@dataclass(frozen=True)
class Measure:
    """Evaluate a candidate's weights."""

    entrant: Entrant


@dataclass(frozen=True)
class Check:
    """Check a candidate's body and replay its training."""

    entrant: Entrant


@dataclass(frozen=True)
class Finalise:
    """Sign the final for a candidate."""

    entrant: Entrant
    skipped: tuple[Skipped, ...]


@dataclass(frozen=True)
class NextAttempt:
    """Nothing valid came: open the next shard."""


Action = Wait | PublishTask | Release | Measure | Check | Finalise | NextAttempt


def next_task(log: ScheduleLog, prepared: Sequence[Task]) -> PublishTask | None:
    """Decide whether a prepared task is to be published now: behind a final, one at a time, in time."""
    is_behind_final = isinstance(log.entries[-1].body, FinalBody) and log.void_final is None
    if not is_behind_final or log.tasks[-1].body.first_height > log.next_height:
        return None
    known = {placed.body.shard_list_root for placed in log.tasks}
    waiting = [task for task in prepared if task.shard_list_root not in known]
    fitting = [task for task in waiting if task.first_height > log.next_height]
    return PublishTask(fitting[0]) if fitting else None


def next_shards(log: ScheduleLog, prepared: Iterable[bytes]) -> bytes | None:
    """Return the root of the first prepared shard list that the log does not name yet; None without one."""
    known = {placed.body.shard_list_root for placed in log.tasks}
    known |= {entry.body.shard_list_root for entry in log.entries if isinstance(entry.body, ShardsBody)}
    return next((root for root in prepared if root not in known), None)


def choose_list(
    pooled: Sequence[PooledCommitment],
    earlier: Sequence[bytes],
    failed: frozenset[bytes],
    silent: frozenset[bytes],
    time: int,
    size: int,
) -> tuple[bytes, ...]:
    """
    Choose the headers that a release admits: by stamp, the lowest block hash first.

    A miner cannot gain a place by being fast or near, only by the courtesy stamp; what failed in an earlier
    attempt is left out, for it would fail again, and what was listed in vain comes last: commitments that are
    never revealed cost little, and would otherwise hold their places in every attempt.

    Parameters
    ----------
    pooled
        Commitments the node holds for the open height.
    earlier
        Headers listed in earlier attempts of the height.
    failed
        Headers whose check failed.
    silent
        Headers listed in an earlier attempt that did not reveal in the latest one.
    time
        Time of the release; headers dated later cannot be listed.
    size
        The task's list_size.

    """
    dated = {commitment.hash for commitment in pooled if Header.parse(commitment.header).time <= time}
    names = (dated | set(earlier)) - failed
    return tuple(sorted(names, key=lambda name: (name in silent, int.from_bytes(name, "little")))[:size])


def decide_release(log: ScheduleLog, policy: Policy, listed: tuple[bytes, ...], now: int) -> Action:
    """
    Decide whether Phase 1 ends now.

    Parameters
    ----------
    log
        The schedule; its open height has no release yet.
    policy
        The requester's policy.
    listed
        What `choose_list` gives at this time.
    now
        Time in seconds.

    """
    earliest = earliest_release(log)
    opened = earliest - log.task_for(log.next_height).body.min_commit
    closes = max(earliest, opened + policy.commit_seconds)
    if not listed:
        return Wait(float("inf"))
    if now < earliest:
        return Wait(earliest - now)
    if len(listed) < policy.min_commitments and now < closes:
        return Wait(closes - now)
    return Release(listed)


def decide_final(current: Round, policy: Policy, entrants: Sequence[Entrant], now: int) -> Action:
    """
    Decide what Phase 2 needs now.

    Claims only order the work; a candidate is named only after it was measured, checked and replayed here.
    After `max_replays` failed replays the attempt is given up.

    Parameters
    ----------
    current
        The open round.
    policy
        The requester's policy.
    entrants
        Listed headers with a reveal.
    now
        Time in seconds.

    """
    deadline = current.release.time + policy.reveal_seconds
    alive = [entrant for entrant in entrants if not entrant.failed and (entrant.complete or now < deadline)]
    by_position = {entrant.position: entrant for entrant in alive}
    order = evaluation_order([entrant.contender for entrant in alive])
    for contender in order:
        if by_position[contender.position].weights:
            return Measure(by_position[contender.position])
    best = winner([entrant.contender for entrant in alive])
    if now < deadline and (order or not _settled(current, entrants, best)):
        return Wait(deadline - now)
    if best is None or _replays_used_up(current, entrants):
        again = earliest_release(current.log)
        return NextAttempt() if now >= again else Wait(again - now)
    chosen = by_position[best.position]
    if chosen.outcome is None:
        return Check(chosen)
    if now < earliest_final(current):
        return Wait(earliest_final(current) - now)
    return Finalise(chosen, skipped_for(chosen, entrants))


def _settled(current: Round, entrants: Sequence[Entrant], best: Contender | None) -> bool:
    """Whether nobody is left to wait for: all listed have revealed, and the best is served."""
    if len(entrants) < len(current.release.body.listed):
        return False
    return best is None or any(entrant.position == best.position and entrant.complete for entrant in entrants)


def _replays_used_up(current: Round, entrants: Sequence[Entrant]) -> bool:
    mismatches = sum(entrant.outcome is Outcome.MISMATCH for entrant in entrants)
    return mismatches > 0 and mismatches >= current.task.body.max_replays
