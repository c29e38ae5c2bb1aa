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
            while len(self.schedule.entries) < info.entries:
                self._append_page(info)
            if self.schedule.last_id == info.digest:
                return info
        raise NodeAnswerError("getpodlschedule: the entries do not lead to the digest of getpodlinfo")

    def _forget_other_log(self, info: Info) -> None:
        held = len(self.schedule.entries)
        known = self.schedule.find(info.digest)
        if held and (held > info.entries or (held == info.entries and known != held - 1)):
            _LOGGER.warning("the node has another schedule than before; reading it anew")
            self.schedule = Schedule()

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
        # The clock and the block before the first height are the node's business; it has checked them.
        answer = self.schedule.submit(entry, entry.time, lambda _: self.schedule.first_height - 1)
        if answer.status is not Status.ACCEPTED:
            reason = answer.detail or answer.reason or answer.status.value
            self.schedule = Schedule()
            raise NodeAnswerError(f"getpodlschedule: entry {entry.id.hex()} breaks a rule: {reason}")
