"""The requester's loop: follow the schedule, decide, act. Everything it signs is on disk first."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Final

from podl_tools.constants import ZERO_HASH
from podl_tools.drafting import draft_final, draft_release
from podl_tools.entry import ReleaseBody, ShardsBody
from podl_tools.header import Header
from podl_tools.log import Saying
from podl_tools.requester.decisions import (
    Check,
    Finalise,
    Measure,
    NextAttempt,
    PublishTask,
    Release,
    Wait,
    choose_list,
    decide_final,
    decide_release,
    next_shards,
    next_task,
)
from podl_tools.schedule import Round, earliest_release
from podl_tools.task import Task
from podl_tools.tool_errors import RefusedError

if TYPE_CHECKING:
    from collections.abc import Callable

    from podl_tools.chain.follow import ScheduleFollower
    from podl_tools.chain.node import Node
    from podl_tools.entry import Body, Entry
    from podl_tools.files import ChainMark
    from podl_tools.requester.decisions import Action, Policy
    from podl_tools.requester.phase2 import PhaseTwo
    from podl_tools.requester.signed import SignedEntries
    from podl_tools.requester.tasks import TaskShelf
    from podl_tools.schedule import Schedule
    from podl_tools.store import PublicObjects

__all__ = ["Requester"]

_LOGGER = logging.getLogger(__name__)
_FEW_SHARDS: Final = 4
_NO_SHARDS: Final = "the chain stands still until `podl-requester addshards` has sealed more"


class Requester:
    """
    Runs the schedule of one chain.

    Parameters
    ----------
    node
        Takes entries, gives commitments.
    follower
        The schedule on that node.
    mark
        Ties the data directory to the chain.
    shelf
        Sealed tasks.
    signed
        Signs and remembers entries.
    public
        What the HTTP store gives out.
    phase_two
        Collects and checks candidates.
    policy
        What the protocol leaves open.
    now
        Time in seconds since 1970.

    """

    def __init__(
        self,
        node: Node,
        follower: ScheduleFollower,
        mark: ChainMark,
        shelf: TaskShelf,
        signed: SignedEntries,
        public: PublicObjects,
        phase_two: PhaseTwo,
        policy: Policy,
        now: Callable[[], int],
    ) -> None:
        self._node = node
        self._follower = follower
        self._mark = mark
        self._shelf = shelf
        self._signed = signed
        self._public = public
        self._phase_two = phase_two
        self._policy = policy
        self._now = now
        self._taken_in = 0
        self._last_id = ZERO_HASH
        self._prev: bytes | None = None
        self._say = Saying(_LOGGER)

    def step(self) -> float | None:
        """
        Act until there is nothing to do but wait.

        Returns
        -------
        float or None
            Seconds until something is due.

        """
        while True:
            info = self._follower.update()
            self._mark.check(info.chain_id)
            self._prev = info.prev
            schedule = self._follower.schedule
            self._take_in(schedule)
            if info.state not in ("running", "void"):
                self._say(f"the node's schedule is {info.state}: nothing more can be signed", logging.ERROR)
                return None
            entry = self._signed.next_of(schedule)
            if entry is not None:
                if not self._submit(entry):
                    return None
                continue
            current = Round.current(schedule)
            action = self._decide(schedule, current)
            if isinstance(action, Wait):
                return None if action.seconds == float("inf") else action.seconds
            if not self._act(schedule, current, action):
                return None

    def _take_in(self, schedule: Schedule) -> None:
        """Compare new entries with what was signed here, and make public what they open."""
        known = self._taken_in
        if known > len(schedule.entries) or (known and schedule.entries[known - 1].id != self._last_id):
            known = 0  # the node has another log than before
        for entry in schedule.entries[known:]:
            self._signed.check(schedule, entry)
            if isinstance(entry.body, Task):
                sealed = self._shelf.find(entry.body)
                self._public.add(sealed.task.training_root, sealed.training)
            elif isinstance(entry.body, ReleaseBody):
                sealed = self._shelf.find(schedule.task_for(entry.body.height).body)
                shard = sealed.shard(entry.body.test_root)
                self._public.add(shard.root, shard.data)
        self._taken_in, self._last_id = len(schedule.entries), schedule.last_id

    def _decide(self, schedule: Schedule, current: Round | None) -> Action:
        now = self._time(schedule)
        if current is None:
            self._shelf.refresh()
            publish = next_task(schedule, [sealed.task for sealed in self._shelf.tasks])
            return publish or decide_release(schedule, self._policy, self._listed(schedule, now), now)
        if self._is_stranded(schedule, current):
            again = earliest_release(schedule)
            return NextAttempt() if now >= again else Wait(again - now)
        sealed = self._shelf.find(current.task.body)
        return decide_final(current, self._policy, self._phase_two.entrants(current, sealed), now)

    def _is_stranded(self, schedule: Schedule, current: Round | None) -> bool:
        """Whether the node's chain was reorganised below the first height, away from the release's block."""
        if current is None or schedule.commit_prev(current.height) is not None:
            return False
        return self._prev not in (None, current.release.body.prev_block)

    def _time(self, schedule: Schedule) -> int:
        """Time for an entry signed now: an entry must not be older than the one before it."""
        return max(self._now(), schedule.entries[-1].time)

    def _listed(self, schedule: Schedule, now: int) -> tuple[bytes, ...]:
        height = schedule.next_height
        # Behind a void final miners bring their commitments again, for most have given them up; on another
        # block than before they have to.
        is_anew = schedule.void_final is not None or self._is_stranded(schedule, Round.current(schedule))
        earlier = set() if is_anew else schedule.listed_for(height)
        pool = self._node.commitments()
        size = schedule.task_for(height).body.list_size
        silent = frozenset(earlier - self._phase_two.revealed)
        return choose_list(pool.commitments, sorted(earlier), self._phase_two.failed, silent, now, size)

    def _act(self, schedule: Schedule, current: Round | None, action: Action) -> bool:
        """Do one thing; False when it has to wait for something."""
        match action:
            case PublishTask(task):
                return self._sign(schedule, task)
            case Release(listed):
                return self._release(schedule, listed)
            case NextAttempt():
                listed = self._listed(schedule, self._time(schedule))
                return bool(listed) and self._release(schedule, listed)
        return current is not None and self._act_in_round(schedule, current, action)

    def _act_in_round(self, schedule: Schedule, current: Round, action: Action) -> bool:
        sealed = self._shelf.find(current.task.body)
        match action:
            case Measure(entrant):
                return self._phase_two.measure(current, sealed, entrant)
            case Check(entrant):
                return self._phase_two.check(current, schedule, sealed, entrant)
            case Finalise(entrant, skipped):
                if not self._phase_two.shard_held:
                    self._say("the node does not take the opened shard; nothing is signed", logging.ERROR)
                    return False
                disagreement = self._phase_two.disagreement(current, entrant)
                if disagreement:
                    self._say(f"podl-verdict-conflict: {disagreement}; nothing is signed", logging.ERROR)
                    return False
                reveal = self._phase_two.reveal(current, entrant)
                replayed = bool(current.task.body.require_replay)
                body = draft_final(reveal, current.release.body, replayed=replayed, skipped=skipped)
                return self._sign(schedule, body)
        return False

    def _release(self, schedule: Schedule, listed: tuple[bytes, ...]) -> bool:
        height = schedule.next_height
        self._shelf.refresh()
        sealed = self._shelf.find(schedule.task_for(height).body)
        current = schedule.shard_list(height)
        left = current.count - current.used
        further = next_shards(schedule, sealed.lists)
        if left < 1 and further is None:
            self._say(f"all {current.count} sealed shards have been opened: {_NO_SHARDS}", logging.ERROR)
            return False
        if left < 1 and further is not None:
            return self._sign(schedule, ShardsBody(further, len(sealed.lists[further])))
        if left <= _FEW_SHARDS and further is None and len(self._shelf.tasks) == len(schedule.tasks):
            self._say(
                f"sealed shards left: {left}; `podl-requester addshards` or a further task must come in time",
                logging.WARNING,
            )
        prev = schedule.commit_prev(height) or self._first_prev(schedule, listed)
        if prev is None:
            self._say(f"the node's block of height {height - 1} has changed; its commitments are listed anew")
            return False
        return self._sign(schedule, draft_release(schedule, sealed, prev, listed))

    def _first_prev(self, schedule: Schedule, listed: tuple[bytes, ...]) -> bytes | None:
        """
        Block below the first height: the one the listed headers build on, else that of an earlier attempt.

        Returns
        -------
        bytes or None
            None when the node has another block there by now and has dropped the listed headers.

        """
        pool = self._node.commitments().commitments
        pooled = [Header.parse(one.header).prev_block for one in pool if one.hash in listed]
        earlier = schedule.latest_release(schedule.next_height)
        if not pooled and earlier is not None and set(listed) <= set(earlier.body.listed):
            return earlier.body.prev_block
        return pooled[0] if pooled else None

    def _sign(self, schedule: Schedule, body: Body) -> bool:
        return self._submit(self._signed.sign(schedule, self._time(schedule), body))

    def _submit(self, entry: Entry) -> bool:
        """
        Hand a signed entry to the node.

        Raises
        ------
        RefusedError
            The node refuses it. Nothing else may be signed for its slot, so the operator has to look.

        """
        answer = self._node.submit_entry(entry.serialize())
        what = f"{entry.type.name.lower()} {entry.id.hex()}"
        if answer.refused:
            raise RefusedError(f"the node refuses the signed {what}: {answer}")
        self._say(f"{what}: {answer}")
        return answer.held
