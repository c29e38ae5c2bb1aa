"""Following a running network until it has made its blocks."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Final

from podl_tools.chain.follow import ScheduleFollower
from regtest.errors import DemoError
from regtest.history import Block, History
from regtest.plan import MINERS, PODL_HEIGHT

if TYPE_CHECKING:
    from podl_tools.chain.answers import Info
    from podl_tools.schedule import ScheduleLog
    from regtest.listener import Listener
    from regtest.network import Network
    from regtest.screen import Screen

_LOOK_SECONDS: Final = 0.25
_STALL_SECONDS: Final = 300


class Watcher:
    """Looks at node 0, where the requester is, and records height after height.

    Parameters
    ----------
    network, listener
        What is watched.
    screen
        Gets a line per block.
    """

    def __init__(self, network: Network, listener: Listener, screen: Screen) -> None:
        self._network = network
        self._listener = listener
        self._screen = screen
        self._node = network.node(0)
        self._follower = ScheduleFollower(self._node)
        self._history = History()
        self._times: dict[bytes, float] = {}
        self._started = time.monotonic()
        self._blocks: list[Block] = []

    @property
    def schedule(self) -> ScheduleLog:
        """The schedule as last seen."""
        return self._follower.schedule

    def run(self, count: int) -> list[Block]:
        """Watch until ``count`` heights are decided.

        Raises
        ------
        DemoError
            Nothing at all happened for five minutes.
        ProcessDiedError
            A process of the network ended.
        """
        seen: tuple[object, ...] = ()
        deadline = self._started + _STALL_SECONDS
        while len(self._blocks) < count:
            self._network.check()
            found = self._look()
            if found != seen:
                seen, deadline = found, time.monotonic() + _STALL_SECONDS
            if time.monotonic() > deadline:
                raise DemoError(
                    f"nothing happened for {_STALL_SECONDS} s ({self._state(*found)}); "
                    f"the logs are in {self._network.logs}"
                )
            self._listener.wait(_LOOK_SECONDS)
        return self._blocks[:count]

    def _look(self) -> tuple[Info, int, int]:
        info = self._follower.update()
        if info.alarms or info.state != "running":
            alarms = ", ".join(alarm.reason for alarm in info.alarms)
            raise DemoError(f"the node's schedule is {info.state}, alarms: {alarms}")
        self._note_times()
        candidates = self._node.candidates()
        if candidates.release_id is not None:
            self._history.see(candidates.height, candidates.candidates)
        pool = self._node.commitments()
        found = info, len(pool.commitments), len(self._history.entrants(info.height))
        self._screen.state(self._state(*found))
        self._report_new()
        return found

    def _note_times(self) -> None:
        for entry in self.schedule.entries[len(self._times) :]:
            announced = self._listener.entry_time(0, entry.id)
            self._times[entry.id] = time.monotonic() if announced is None else announced

    def _report_new(self) -> None:
        for height in range(PODL_HEIGHT + len(self._blocks), self.schedule.next_height):
            block = self._history.block(self.schedule, height, self._times, self._started)
            self._blocks.append(block)
            self._screen.line(block.line())
            self._screen.advance()

    @staticmethod
    def _state(info: Info, commitments: int, reveals: int) -> str:
        if info.committing:
            return f"height {info.height}: {commitments} of {len(MINERS)} commitments"
        return f"height {info.height}: {reveals} of {len(MINERS)} reveals"
