"""
Notifications of a node (`-zmqpubpodl`).

They are hints only: a publisher is not authenticated and messages can be lost, so whoever waits here asks the
node by RPC for everything that matters (attacks I2 and I3).
"""

from __future__ import annotations

import logging
import struct
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import zmq

from podl_tools.tool_errors import SettingsError

if TYPE_CHECKING:
    from podl_tools.services import Wakeup

__all__ = ["Change", "Event", "EventSource", "SequenceCheck", "parse_event"]

_LOGGER = logging.getLogger(__name__)
_SEQUENCE: Final = struct.Struct("<I")
_FRAMES: Final = 3
_BODY_SIZES: Final = {"podlentry": 32, "podlcommitment": 32, "podlcandidate": 32, "podlverdict": 64}
_MAX_DRAIN: Final = 1000  # a flood of hints must not keep us from looking at the node


@dataclass(frozen=True)
class Event:
    """
    One notification.

    Parameters
    ----------
    topic
        `podlentry`, `podlcommitment`, `podlcandidate` or `podlverdict`.
    body
        32 bytes, for `podlverdict` 64.
    sequence
        The socket's counter over all topics.

    """

    topic: str
    body: bytes
    sequence: int


def parse_event(frames: list[bytes]) -> Event | None:
    """Read a message's frames; None for what is no PoDL notification."""
    if len(frames) != _FRAMES:
        return None
    topic = frames[0].decode("ascii", errors="replace")
    if _BODY_SIZES.get(topic) != len(frames[1]) or len(frames[2]) != _SEQUENCE.size:
        return None
    return Event(topic, frames[1], _SEQUENCE.unpack(frames[2])[0])


class SequenceCheck:
    """Tells whether messages were lost between one notification and the next."""

    def __init__(self) -> None:
        self._expected: int | None = None

    def gap(self, sequence: int) -> bool:
        """Note a sequence number; True when it is not the one expected."""
        missed = self._expected is not None and sequence != self._expected
        self._expected = (sequence + 1) & 0xFFFFFFFF
        return missed


@dataclass(frozen=True)
class Change:
    """What a wait brought: hints, and whether some were lost. Empty after a time-out."""

    events: tuple[Event, ...] = ()
    gap: bool = False


class EventSource:
    """
    Waits for notifications, a wake-up or a time-out, whichever comes first.

    Parameters
    ----------
    address
        What the node was given as `-zmqpubpodl`; None waits for time-outs and wake-ups alone.
    wakeup
        Also ends a wait.

    """

    def __init__(self, address: str | None, wakeup: Wakeup) -> None:
        self._wakeup = wakeup
        self._check = SequenceCheck()
        self._context: zmq.Context[zmq.Socket[bytes]] | None = None
        self._socket: zmq.Socket[bytes] | None = None
        self._poller = zmq.Poller()
        self._poller.register(wakeup.fileno(), zmq.POLLIN)
        if address is not None:
            self._context = zmq.Context()
            self._socket = _subscribe(self._context, address)
            self._poller.register(self._socket, zmq.POLLIN)

    def close(self) -> None:
        """Close the socket; the source cannot be used afterwards."""
        if self._socket is not None:
            self._socket.close()
        if self._context is not None:
            self._context.term()

    def wait_for_change(self, timeout: float) -> Change:
        """
        Wait for news.

        Parameters
        ----------
        timeout
            Longest wait in seconds; the caller then asks the node anyway.

        """
        if self._wakeup.stopped:
            return Change()
        self._poller.poll(max(0, round(timeout * 1000)))
        self._wakeup.drain()
        return self._drain()

    def _drain(self) -> Change:
        if self._socket is None:
            return Change()
        events: list[Event] = []
        gap = False
        for _ in range(_MAX_DRAIN):
            try:
                frames = self._socket.recv_multipart(zmq.NOBLOCK)
            except zmq.Again:
                break
            event = parse_event(frames)
            if event is None:
                _LOGGER.debug("ignoring a message that is no PoDL notification")
                continue
            gap = self._check.gap(event.sequence) or gap
            events.append(event)
        if gap:
            _LOGGER.info("notifications were lost or the node restarted; asking it for everything")
        return Change(tuple(events), gap)


def _subscribe(context: zmq.Context[zmq.Socket[bytes]], address: str) -> zmq.Socket[bytes]:
    found = context.socket(zmq.SUB)
    found.setsockopt(zmq.LINGER, 0)
    found.setsockopt(zmq.SUBSCRIBE, b"podl")
    try:
        found.connect(address)
    except zmq.ZMQError as error:
        found.close()
        context.term()
        raise SettingsError(f"--zmqpubpodl {address}: {error}") from None
    return found
