"""Following the requester's schedule on a node: every entry is checked here again, signatures included."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Final

from podl_tools.entry import Entry
from podl_tools.errors import RejectError
from podl_tools.schedule import Schedule, Status
from podl_tools.tool_errors import NodeAnswerError

if TYPE_CHECKING:
    from podl_tools.chain.answers import Info
    from podl_tools.chain.node import Node

__all__ = ["ScheduleFollower"]

_LOGGER = logging.getLogger(__name__)
_TRIES: Final = 5  # the schedule may move on while it is read


class ScheduleFollower:
    """
    A copy of the node's schedule.

    Parameters
    ----------
    node
        Asked for entries.

    """

    def __init__(self, node: Node) -> None:
        self._node = node
        self.schedule = Schedule()

    def update(self) -> Info:
        """
        Fetch and check what is new.

        Returns
        -------
        Info
            The node's state; its `entries` and `digest` are those of `schedule` now.

        Raises
        ------
        NodeAnswerError
            An entry breaks a rule of the protocol: the node is no PoDL node of this version.

        """
        for _ in range(_TRIES):
            info = self._node.info()
            self._forget_other_log(info)
            held = len(self.schedule.entries)
            try:
                while len(self.schedule.entries) < info.entries:
                    self._append_page(info)
            except NodeAnswerError:
                if not held:
                    raise
                continue  # the node has cut its log and gone on: all of it is read anew
            if self.schedule.last_id == info.digest:
                self._note_void(info)
                return info
        raise NodeAnswerError("getpodlschedule: the entries do not lead to the digest of getpodlinfo")

    def _forget_other_log(self, info: Info) -> None:
        held = len(self.schedule.entries)
        known = self.schedule.find(info.digest)
        is_other = held > info.entries or (held == info.entries and known != held - 1)
        # A final whose proof has fallen counts again.
        is_restored = held == info.entries and self.schedule.void_final is not None and info.state != "void"
        if held and (is_other or is_restored):
            _LOGGER.warning("the node has another schedule than before; reading it anew")
            self.schedule = Schedule()

    def _note_void(self, info: Info) -> None:
        if info.state == "void" and self.schedule.void_final is None:
            self.schedule.void_last()

    def _append_page(self, info: Info) -> None:
        page = self._node.schedule(len(self.schedule.entries))
        if not page:
            raise NodeAnswerError(f"getpodlschedule: {info.entries} entries announced, fewer given")
        for data in page:
            self._append(data)

    def _append(self, data: bytes) -> None:
        try:
            entry = Entry.parse(data)
        except RejectError as error:
            raise NodeAnswerError(f"getpodlschedule: {error}") from None
        if self.schedule.void_final is None and self.schedule.withdraws(entry) is not None:
            self.schedule.void_last()  # the node has the proof
        # The clock and the block before the first height are the node's business; it has checked them.
        answer = self.schedule.submit(entry, entry.time, lambda _: self.schedule.first_height - 1)
        if answer.status is not Status.ACCEPTED:
            reason = answer.detail or answer.reason or answer.status.value
            self.schedule = Schedule()
            raise NodeAnswerError(f"getpodlschedule: entry {entry.id.hex()} breaks a rule: {reason}")
