"""The schedule as a state machine: what an entry, and what a reveal, meets on arrival."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING

from podl_tools.constants import FREEZE_DEPTH, MAX_FUTURE_SECONDS, ZERO_HASH
from podl_tools.entry import Entry, ReleaseBody
from podl_tools.errors import FailureClass, RejectError
from podl_tools.schedule.final_check import Round, check_disclosure, check_listed
from podl_tools.schedule.log import ScheduleLog
from podl_tools.schedule.rules import check_body
from podl_tools.task import Task, check_task

if TYPE_CHECKING:
    from podl_tools.reveal import Reveal
    from podl_tools.schedule.log import BlockHeight

__all__ = ["Equivocation", "Schedule", "Status", "Submission"]


class Status(Enum):
    """Outcome of a submission, as the node's RPC names it."""

    ACCEPTED = "accepted"
    DUPLICATE = "duplicate"
    LATER = "later"
    REFUSED = "refused"


@dataclass(frozen=True)
class Submission:
    """
    What became of an entry.

    Parameters
    ----------
    status
        Outcome.
    reason, detail
        Reject reason and, for `podl-final-invalid`, the rule's own reason; empty unless later or refused.
    failure
        Failure class; None unless later or refused.

    """

    status: Status
    reason: str = ""
    detail: str = ""
    failure: FailureClass | None = None

    @classmethod
    def of_error(cls, error: RejectError) -> Submission:
        """Outcome of a refusal."""
        status = Status.LATER if error.failure is FailureClass.LATER else Status.REFUSED
        return cls(status, error.reason, error.detail, error.failure)


@dataclass(frozen=True)
class Equivocation:
    """
    Evidence of two signed entries for one slot.

    Parameters
    ----------
    slot
        Index of the accepted entry.
    accepted, other
        Both ids.
    is_deep
        Enough finals lie behind the slot: an alarm, but no freeze.

    """

    slot: int
    accepted: bytes
    other: bytes
    is_deep: bool


class Schedule(ScheduleLog):
    """
    The log with its rules.

    `check` never changes anything; `submit` checks and then appends or freezes. Blocks and clock belong to
    the receiver and are handed in.
    """

    def __init__(self) -> None:
        super().__init__()
        self.alarms: list[Equivocation] = []
        self.is_frozen = False

    def submit(self, entry: Entry, now: int, block_height: BlockHeight) -> Submission:
        """
        Check an entry and append it when it passes; evidence of a recent slot freezes the schedule.

        Parameters
        ----------
        entry
            What arrived.
        now
            The receiver's clock in seconds.
        block_height
            Height of a block the receiver knows.

        """
        try:
            if not self.check(entry, now, block_height):
                return Submission(Status.DUPLICATE)
        except RejectError as error:
            if error.reason == "podl-entry-equivocation":
                self._raise_alarm(entry)
            return Submission.of_error(error)
        self.append(entry)
        return Submission(Status.ACCEPTED)

    def check(self, entry: Entry, now: int, block_height: BlockHeight) -> bool:
        """
        Decide whether an entry may be appended now.

        Returns
        -------
        bool
            True: append it. False: it is in the log already, whatever its signature.

        Raises
        ------
        RejectError
            The first broken rule, in the order of protocol section 5.

        """
        if self.find(entry.id) is not None:
            return False
        if not self.entries:
            _check_first(entry, now)
            return True
        if entry.chain_id != self.chain_id:
            raise RejectError("podl-entry-chain", "the entry belongs to another chain")
        if not entry.verify(self.tasks[0].body.requester_key):
            raise RejectError("podl-entry-badsig", "not signed by the requester")
        self._check_link(entry)
        _check_not_future(entry, now)
        check_body(self, entry, block_height)
        return True

    def _check_void(self, entry: Entry) -> None:
        final = self.withdraws(entry)
        if final is not None and self.counts(final):
            raise RejectError(
                "podl-void-unproven", "the final before it is not proven void", failure=FailureClass.LATER
            )
        if self.is_idle(entry):
            raise RejectError(
                "podl-final-void",
                "the final before it is void, only the next attempt can follow",
                failure=FailureClass.LATER,
            )

    def _check_link(self, entry: Entry) -> None:
        self._check_void(entry)
        if self.find_conflict(entry) is not None:
            raise RejectError(
                "podl-entry-equivocation",
                "another entry was accepted behind the same one",
                failure=FailureClass.EVIDENCE,
            )
        if self.is_frozen:
            raise RejectError(
                "podl-schedule-frozen", "the schedule takes no more entries", failure=FailureClass.LATER
            )
        if entry.prev != self.last_id:
            raise RejectError(
                "podl-entry-prev", "the entry before it is not known here", failure=FailureClass.LATER
            )
        if entry.time < self.entries[-1].time:
            raise RejectError("podl-entry-time", "dated before its predecessor")

    def find_conflict(self, entry: Entry) -> Equivocation | None:
        """Return the accepted entry that a signed, different one contradicts: both follow the same entry."""
        before = self.find(entry.prev)
        if before is None or before + 1 == len(self.entries):
            return None
        slot = before + 1
        accepted = self.entries[slot].id
        if accepted == entry.id:
            return None
        return Equivocation(slot, accepted, entry.id, self.finals_behind(slot) >= FREEZE_DEPTH)

    def _raise_alarm(self, entry: Entry) -> None:
        evidence = self.find_conflict(entry)
        if evidence is None or evidence in self.alarms:
            return
        self.alarms.append(evidence)
        self.is_frozen = self.is_frozen or not evidence.is_deep

    def check_reveal(self, reveal: Reveal) -> None:
        """
        Demand that a reveal belongs to the open round and discloses what its header commits to.

        Raises
        ------
        RejectError
            LATER: `podl-reveal-release`, `podl-late-reveal`, `podl-not-committed`, `podl-commit-prev`,
            `podl-commit-time`. DATA: `podl-commit-version`, `podl-commit-stamp`, the disclosure's rules.

        """
        header = reveal.disclosure.header
        if not header.is_podl:
            raise RejectError("podl-commit-version", f"version {header.version:#x}")
        index = self.find(reveal.release_id)
        if index is None or not isinstance(self.entries[index].body, ReleaseBody):
            raise RejectError(
                "podl-reveal-release", "the release is not known here", failure=FailureClass.LATER
            )
        current = Round.current(self)
        if current is None or current.release.id != reveal.release_id:
            raise RejectError("podl-late-reveal", "the release's attempt is over", failure=FailureClass.LATER)
        check_listed(current, header)
        if not header.meets_stamp(current.task.body.stamp_bits):
            raise RejectError("podl-commit-stamp", "the header lacks the stamp")
        check_disclosure(current, reveal.disclosure, reveal.claim, reveal.signature)


def _check_not_future(entry: Entry, now: int) -> None:
    if entry.time > now + MAX_FUTURE_SECONDS:
        raise RejectError(
            "podl-entry-future", f"dated {entry.time - now} s ahead", failure=FailureClass.LATER
        )


def _check_first(entry: Entry, now: int) -> None:
    """Check the chain's first entry, which names the key it is signed with."""
    if not isinstance(entry.body, Task):
        raise RejectError("podl-entry-grammar", "a chain starts with a task")
    if (entry.chain_id, entry.prev) != (ZERO_HASH, ZERO_HASH):
        raise RejectError("podl-entry-chain", "a chain's first task has neither chain nor predecessor")
    if not entry.verify(entry.body.requester_key):
        raise RejectError("podl-entry-badsig", "not signed by its own requester key")
    _check_not_future(entry, now)
    check_task(entry.body)
