"""
What the requester has signed, one file per slot of the schedule.

A slot is the id of the entry before; behind a void final it is another one than before the final was proven
void, for what was signed there without that knowledge counts for nothing. An entry is on disk before any node
sees it, and a slot that has a file is never signed again: two different entries for one slot would freeze the
chain (protocol section 5, "Equivocation").
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from podl_tools.constants import ZERO_HASH
from podl_tools.drafting import sign_next
from podl_tools.entry import Entry
from podl_tools.errors import RejectError
from podl_tools.files import make_directory, read_file, write_file
from podl_tools.task import Task
from podl_tools.tool_errors import InputFileError, WrongChainError

if TYPE_CHECKING:
    from pathlib import Path

    from podl_tools.entry import Body
    from podl_tools.keys import SigningKey
    from podl_tools.schedule import Schedule, ScheduleLog

__all__ = ["SignedEntries"]


class SignedEntries:
    """
    Signs entries, and remembers them.

    Parameters
    ----------
    directory
        Made when missing.
    key
        The requester's key.

    """

    def __init__(self, directory: Path, key: SigningKey) -> None:
        make_directory(directory)
        self._directory = directory
        self._key = key

    def next_of(self, log: ScheduleLog) -> Entry | None:
        """Return what was signed to follow the log's last entry; raises as `for_slot` does."""
        return self.for_slot(log.last_id, behind_void=log.void_final is not None)

    def for_slot(self, slot: bytes, *, behind_void: bool = False) -> Entry | None:
        """
        Return what was signed for a slot, None when nothing was.

        Parameters
        ----------
        slot
            Id of the entry before.
        behind_void
            Whether it follows a final that was known to be void.

        Raises
        ------
        InputFileError
            The file is damaged; signing anew might equivocate, so nothing may go on.

        """
        path = self._path(slot, behind_void)
        if not path.exists():
            return None
        try:
            entry = Entry.parse(read_file(path))
        except RejectError as error:
            raise InputFileError(f"{path} is damaged, restore it before going on: {error}") from None
        if entry.prev != slot or not entry.verify(self._key.public):
            raise InputFileError(f"{path} does not hold an entry of ours for its slot")
        return entry

    def first_task(self) -> Task:
        """
        Return the task that began the chain.

        Raises
        ------
        InputFileError
            It is not here, and with it what was signed since: signing on might equivocate.

        """
        entry = self.for_slot(ZERO_HASH)
        if entry is None or not isinstance(entry.body, Task):
            raise InputFileError(f"{self._directory}: the chain's first signed entry is missing")
        return entry.body

    def sign(self, log: Schedule, time: int, body: Body) -> Entry:
        """
        Sign the entry that follows the log's last one; return the earlier one when the slot is taken.

        An entry that breaks a rule would take up its slot for good and end the chain: it is never written.

        Parameters
        ----------
        log
            The schedule as the node has it.
        time
            Time of the entry in seconds.
        body
            What it says.

        Raises
        ------
        RejectError
            Every node would refuse the entry; the slot is still free.

        """
        earlier = self.next_of(log)
        if earlier is not None:
            return earlier
        entry = sign_next(log, self._key, time, body)
        # The block below the first height is the node's business.
        log.check(entry, time, lambda _: log.first_height - 1)
        write_file(self._path(log.last_id, log.void_final is not None), entry.serialize())
        return entry

    def check(self, log: ScheduleLog, entry: Entry) -> None:
        """
        Demand that an entry of the node's log does not contradict what was signed here.

        Parameters
        ----------
        log
            The node's log.
        entry
            One of its entries.

        Raises
        ------
        WrongChainError
            Another entry stands in its slot: the key is used elsewhere too, or the directory is an old copy.

        """
        before = log.final_before(entry)
        ours = self.for_slot(entry.prev, behind_void=before is not None and not log.counts(before))
        if ours is not None and ours.id != entry.id:
            raise WrongChainError(
                f"the node has entry {entry.id.hex()} where this data directory signed {ours.id.hex()}: "
                "another copy of the requester is running, or this directory is out of date"
            )

    def _path(self, slot: bytes, behind_void: bool) -> Path:
        return self._directory / f"{slot.hex()}{'.void' if behind_void else ''}"
