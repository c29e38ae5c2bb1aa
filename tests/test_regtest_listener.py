"""Times of notifications, and the figures that follow from them."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import zmq

from regtest.figures import ProcessFigures, training_share
from regtest.listener import Listener, listening
from tests.regtest_samples import root
from tests.world import World

if TYPE_CHECKING:
    from pathlib import Path

    import pytest

HASH = bytes(range(32))


def test_time_from_reveal_to_verdict() -> None:
    listener = Listener([])
    assert listener.verdict_seconds(0, HASH, root(1), root(2)) is None
    listener.note(0, "podlcandidate", HASH[::-1], 10.0)  # notifications show block hashes reversed
    listener.note(0, "podlcandidate", HASH[::-1], 11.0)  # its state changed
    assert listener.verdict_seconds(0, HASH, root(1), root(2)) is None
    listener.note(0, "podlverdict", root(1) + root(2), 12.5)
    listener.note(1, "podlverdict", root(1) + root(2), 13.0)
    assert listener.verdict_seconds(0, HASH, root(1), root(2)) == 2.5
    assert listener.verdict_seconds(1, HASH, root(1), root(2)) is None


def test_notifications_arrive() -> None:
    with zmq.Context() as context, context.socket(zmq.XPUB) as publisher:
        port = publisher.bind_to_random_port("tcp://127.0.0.1")
        with listening([f"tcp://127.0.0.1:{port}"]) as listener:
            assert publisher.poll(10_000)
            assert publisher.recv() == b"\x01podl"
            before = time.monotonic()
            publisher.send_multipart([b"podlnonsense", b"", b""])
            publisher.send_multipart([b"podlentry", HASH, bytes(4)])
            deadline = time.monotonic() + 30
            while listener.entry_time(0, HASH) is None and time.monotonic() < deadline:
                listener.wait(1)
            seen = listener.entry_time(0, HASH)
            assert seen is not None
            assert before <= seen <= time.monotonic()
            assert listener.entry_time(0, root(9)) is None


def test_training_share_is_read_from_what_miners_log(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    assert training_share("nothing") is None
    caplog.set_level("INFO")
    world = World(tmp_path)
    miner = world.miner("ann")
    world.train("ann", miner)
    assert training_share(caplog.text) is not None
    caplog.clear()
    miner.stop()
    share = training_share(caplog.text)
    assert share is not None
    assert 0 <= share <= 1


def test_median() -> None:
    assert ProcessFigures("x", 1).median_verdict is None
    assert ProcessFigures("x", 1, None, (3.0, 1.0, 2.0)).median_verdict == 2.0
