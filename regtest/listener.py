"""When what happened, by the notifications of all nodes: one clock, no polling."""

from __future__ import annotations

import threading
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

import zmq

from podl_tools.chain.events import parse_event
from podl_tools.services import Wakeup

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

# Node, topic, body of the notification.
Key = tuple[int, str, bytes]


class Listener:
    """Notes the first arrival of every notification.

    Parameters
    ----------
    addresses : sequence of str
        ``-zmqpubpodl`` of each node.
    """

    def __init__(self, addresses: Sequence[str]) -> None:
        self._addresses = addresses
        self._times: dict[Key, float] = {}
        self._changed = threading.Event()
        self._wakeup = Wakeup()
        self._thread = threading.Thread(target=self._run, name="listener")

    def start(self) -> None:
        """Start to listen."""
        self._thread.start()

    def stop(self) -> None:
        """Stop to listen; what was noted stays."""
        self._wakeup.stop()
        self._thread.join()
        self._wakeup.close()

    def wait(self, seconds: float) -> None:
        """Wait for any news, at most so long."""
        self._changed.wait(seconds)
        self._changed.clear()

    def note(self, node: int, topic: str, body: bytes, now: float) -> None:
        """Note a notification; only the first of its kind counts."""
        self._times.setdefault((node, topic, body), now)
        self._changed.set()

    def entry_time(self, node: int, entry_id: bytes) -> float | None:
        """Return when a node announced a schedule entry, on the monotonic clock; None when unknown."""
        return self._times.get((node, "podlentry", entry_id))

    def verdict_seconds(
        self, node: int, block_hash: bytes, weights_root: bytes, test_root: bytes
    ) -> float | None:
        """Return the time between a reveal and the verdict on it at a node; None without verdict.

        Parameters
        ----------
        node : int
            Index of the node.
        block_hash : bytes
            Of the candidate, in the order of its bytes.
        weights_root, test_root : bytes
            What the verdict is about.
        """
        revealed = self._times.get((node, "podlcandidate", block_hash[::-1]))
        judged = self._times.get((node, "podlverdict", weights_root + test_root))
        return None if revealed is None or judged is None else judged - revealed

    def _run(self) -> None:
        with zmq.Context() as context:
            sockets = [_subscribe(context, address) for address in self._addresses]
            poller = zmq.Poller()
            poller.register(self._wakeup.fileno(), zmq.POLLIN)
            for subscribed in sockets:
                poller.register(subscribed, zmq.POLLIN)
            while not self._wakeup.stopped:
                ready = dict(poller.poll())
                now = time.monotonic()
                for node, subscribed in enumerate(sockets):
                    if subscribed in ready:
                        self._take(node, subscribed.recv_multipart(), now)
            for subscribed in sockets:
                subscribed.close()

    def _take(self, node: int, frames: list[bytes], now: float) -> None:
        event = parse_event(frames)
        if event is not None:
            self.note(node, event.topic, event.body, now)


@contextmanager
def listening(addresses: Sequence[str]) -> Iterator[Listener]:
    """Listen while the block runs."""
    listener = Listener(addresses)
    listener.start()
    try:
        yield listener
    finally:
        listener.stop()


def _subscribe(context: zmq.Context[zmq.Socket[bytes]], address: str) -> zmq.Socket[bytes]:
    subscribed = context.socket(zmq.SUB)
    subscribed.setsockopt(zmq.LINGER, 0)
    subscribed.setsockopt(zmq.SUBSCRIBE, b"podl")
    subscribed.connect(address)
    return subscribed
