"""Rules of the entries' bodies: where a task or release may stand, and what it may say."""

from __future__ import annotations

from typing import TYPE_CHECKING

from podl_tools.constants import MAX_SHARDS, ZERO_HASH
from podl_tools.dataset import shard_commitment
from podl_tools.entry import FinalBody, ReleaseBody, ShardsBody
from podl_tools.errors import FailureClass, RejectError
from podl_tools.merkle import verify_leaf
from podl_tools.schedule.final_check import Round, check_final
from podl_tools.task import Task, check_later_task, check_task

if TYPE_CHECKING:
    from podl_tools.entry import Entry
    from podl_tools.schedule.log import BlockHeight, ScheduleLog, ShardList

__all__ = ["check_body", "earliest_final", "earliest_release"]


def earliest_release(log: ScheduleLog) -> int:
    """
    Earliest time of the next release, in seconds.

    `min_commit` after the final below (at the first height: after the first task); a further attempt comes
    `max_phase` after the one before, or `min_commit` after a void final.
    """
    height = log.next_height
    task = log.task_for(height).body
    if log.void_final is not None:
        return log.void_final.time + task.min_commit
    latest = log.latest_release(height)
    if latest is not None:
        return latest.time + task.max_phase
    below = log.final_for(height - 1)
    return (log.entries[0].time if below is None else below.time) + task.min_commit


def earliest_final(current: Round) -> int:
    """Earliest time of the round's final, in seconds: `min_reveal` after the latest release."""
    return current.release.time + current.task.body.min_reveal


def check_body(log: ScheduleLog, entry: Entry, block_height: BlockHeight) -> None:
    """
    Check the body of an entry that links to the last one.

    Parameters
    ----------
    log
        Accepted entries, at least the first task.
    entry
        The new entry; chain, signature, link and time are checked already.
    block_height
        Asked for the previous block of releases at the first height.

    Raises
    ------
    RejectError
        The first broken rule.

    """
    match entry.body:
        case Task() as task:
            _check_task(log, task)
        case ReleaseBody() as release:
            _check_release(log, release, entry.time, block_height)
        case FinalBody() as final:
            _check_final(log, final, entry.time)
        case ShardsBody() as shards:
            _check_shards(log.shard_list(log.next_height), shards)


def _check_task(log: ScheduleLog, task: Task) -> None:
    if not isinstance(log.entries[-1].body, FinalBody):
        raise RejectError("podl-entry-grammar", "a task follows a final")
    last = log.tasks[-1].body
    if last.first_height > log.next_height:
        raise RejectError("podl-task-conflict", "a task is pending already")
    if task.first_height <= log.next_height:
        raise RejectError("podl-task-conflict", f"first height must be above {log.next_height}")
    check_task(task)
    check_later_task(task, log.tasks[0].body)


def _check_release(log: ScheduleLog, release: ReleaseBody, time: int, block_height: BlockHeight) -> None:
    height = log.next_height
    attempt = len(log.releases_for(height))
    if (release.height, release.attempt) != (height, attempt):
        raise RejectError("podl-release-grammar", f"expected height {height}, attempt {attempt}")
    if ZERO_HASH in (release.prev_block, release.test_root, release.salt):
        raise RejectError("podl-release-null", "previous block, test root or salt is zero")
    if time < earliest_release(log):
        raise RejectError("podl-release-time", f"not before {earliest_release(log)}, received {time}")
    task = log.task_for(height).body
    _check_shard(release, task, log.shard_list(height))
    if log.has_opened(release.test_root):
        raise RejectError("podl-release-shard-reused", "an earlier release opened this shard")
    _check_list(release, task)
    _check_prev(log, release, block_height)


def _check_shard(release: ReleaseBody, task: Task, shards: ShardList) -> None:
    if release.shard_index != shards.used:
        raise RejectError("podl-release-shard-order", f"shard {release.shard_index} instead of {shards.used}")
    if not task.shard_min <= release.n <= task.shard_max:
        raise RejectError(
            "podl-release-testsize", f"{release.n} samples, not {task.shard_min}..{task.shard_max}"
        )
    leaf = shard_commitment(release.salt, release.test_root, release.n)
    if not verify_leaf(leaf, shards.used, shards.count, release.path, shards.root):
        raise RejectError("podl-release-shard-root", "not the shard that the requester committed to")


def _check_shards(current: ShardList, shards: ShardsBody) -> None:
    if current.used < current.count:
        raise RejectError("podl-shards-early", f"{current.count - current.used} sealed shards are left")
    if not 1 <= shards.n_shards <= MAX_SHARDS or shards.shard_list_root == ZERO_HASH:
        raise RejectError(
            "podl-shards-range", f"{shards.n_shards} shards, not 1..{MAX_SHARDS}, or a zero root"
        )


def _check_list(release: ReleaseBody, task: Task) -> None:
    listed = release.listed
    if not 1 <= len(listed) <= task.list_size:
        raise RejectError("podl-release-list", f"{len(listed)} headers, not 1..{task.list_size}")
    if len(set(listed)) != len(listed) or ZERO_HASH in listed:
        raise RejectError("podl-release-list", "a hash is zero or listed twice")


def _check_prev(log: ScheduleLog, release: ReleaseBody, block_height: BlockHeight) -> None:
    expected = log.commit_prev(release.height)
    if expected is not None:
        if release.prev_block != expected:
            raise RejectError("podl-release-prev", "not the block of the last final")
        return
    height = block_height(release.prev_block)
    if height is None:
        raise RejectError(
            "podl-release-prev", "the previous block is not known here", failure=FailureClass.LATER
        )
    if height != release.height - 1:
        raise RejectError("podl-release-prev", f"the previous block has height {height}")


def _check_final(log: ScheduleLog, final: FinalBody, time: int) -> None:
    current = Round.current(log)
    if current is None:
        raise RejectError("podl-entry-grammar", "no release of this height before the final")
    attempt = current.release.body.attempt
    if (final.height, final.attempt) != (current.height, attempt):
        raise RejectError("podl-entry-grammar", f"expected height {current.height}, attempt {attempt}")
    if time < earliest_final(current):
        raise RejectError("podl-final-time", f"not before {earliest_final(current)}, received {time}")
    check_final(current, final)
