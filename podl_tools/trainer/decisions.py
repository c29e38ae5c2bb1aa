"""What a miner does next: from what it knows to a list of actions, without any effect."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from podl_tools.schedule import ScheduleLog
    from podl_tools.trainer.job import Job

__all__ = [
    "Action",
    "Commit",
    "Forget",
    "Reveal",
    "Slot",
    "StopTraining",
    "Train",
    "decide",
    "latest_parent",
    "training_slot",
]

Slot = tuple[int, bytes]


@dataclass(frozen=True)
class Train:
    """Train for a height; what else is being trained is of no use any more."""

    slot: Slot


@dataclass(frozen=True)
class StopTraining:
    """Give up the running training: its height is decided without it."""


@dataclass(frozen=True)
class Commit:
    """Commit to a trained model."""

    job: Job


@dataclass(frozen=True)
class Reveal:
    """Reveal a listed commitment for the latest attempt."""

    job: Job
    release_id: bytes


@dataclass(frozen=True)
class Forget:
    """Drop a job whose height is past."""

    job: Job


Action = Train | StopTraining | Commit | Reveal | Forget


def training_slot(log: ScheduleLog) -> Slot | None:
    """
    Return what should be trained for: the highest height whose seed is known (protocol section 1).

    That is the height above the open one as soon as the open one has a release: Phase 2 overlaps with the
    next Phase 1.
    """
    height = log.next_height + (1 if log.is_revealing else 0)
    release_id = log.opening_release_id(height)
    return None if release_id is None else (height, release_id)


def latest_parent(log: ScheduleLog, task_id: bytes, architecture: int) -> bytes | None:
    """Return the model root of the latest final that a warm start may use; None when there is none."""
    for final in reversed(log.finals):
        root = final.body.disclosure.opening.model_root
        if log.is_parent(root, task_id, architecture):
            return root
    return None


def decide(
    log: ScheduleLog,
    jobs: Sequence[Job],
    running: Slot | None,
    closed: frozenset[Slot] = frozenset(),
    prev: bytes | None = None,
) -> list[Action]:
    """
    Decide what to do now.

    Parameters
    ----------
    log
        The schedule.
    jobs
        Trained models on disk.
    running
        What is being trained.
    closed
        Slots that nothing more can come of, because the node refused their commitment.
    prev
        Block that the node lets commitments build on; None while it is unknown.

    Returns
    -------
    list of Action
        In the order in which they should be done: first what others wait for.

    """
    actions: list[Action] = []
    slot = training_slot(log)
    for job in jobs:
        actions += _for_job(log, job, closed, prev)
    trained = {job.slot for job in jobs} | closed
    if slot is not None and slot not in trained and running != slot:
        actions.append(Train(slot))
    elif running is not None and running != slot:
        actions.append(StopTraining())
    return actions


def _for_job(log: ScheduleLog, job: Job, closed: frozenset[Slot], prev: bytes | None) -> list[Action]:
    height = log.next_height
    release_id = log.opening_release_id(job.height)
    if job.height < height or release_id not in (None, job.opening.release_id):
        return [Forget(job)]
    if job.height > height or job.slot in closed:
        return []
    release = log.latest_release(height) if log.is_revealing else None
    if release is None or job.block_hash not in release.body.listed or _is_stranded(log, job, prev):
        return [Commit(job)]
    return [Reveal(job, release.id)]


def _is_stranded(log: ScheduleLog, job: Job, prev: bytes | None) -> bool:
    """Whether the block below the first height, on which a job is committed, has left the node's chain."""
    if log.commit_prev(job.height) is not None or prev is None or job.block is None:
        return False
    return job.block.header.prev_block != prev
