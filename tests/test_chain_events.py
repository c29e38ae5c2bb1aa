"""Notifications: parsing, gaps, wake-ups; against a real publisher."""

from __future__ import annotations

import struct
import time
from types import SimpleNamespace
from typing import TYPE_CHECKING

import pytest
import zmq
from hypothesis import given
from hypothesis import strategies as st

from podl_tools.chain.events import Change, Event, EventSource, SequenceCheck, parse_event
from podl_tools.services import Wakeup
from podl_tools.tool_errors import SettingsError

if TYPE_CHECKING:
    from collections.abc import Iterator

BODY = bytes(range(32))


def frames(sequence: int, topic: bytes = b"podlentry", body: bytes = BODY) -> list[bytes]:
    return [topic, body, struct.pack("<I", sequence)]


@pytest.fixture
def wakeup() -> Iterator[Wakeup]:
    found = Wakeup()
    yield found
    found.close()


def test_parse() -> None:
    assert parse_event(frames(7)) == Event("podlentry", BODY, 7)
    assert parse_event(frames(1, b"podlverdict", BODY * 2)) == Event("podlverdict", BODY * 2, 1)


@given(st.lists(st.binary(max_size=70), max_size=4))
def test_anything_else_is_no_event(parts: list[bytes]) -> None:
    event = parse_event(parts)
    assert event is None or [event.topic.encode(), event.body, struct.pack("<I", event.sequence)] == parts


@pytest.mark.parametrize(
    "parts",
    [[], frames(1)[:2], [*frames(1), b""], frames(1, b"hashblock"), frames(1, body=BODY[:31]),
     [*frames(1)[:2], b"1"], frames(1, b"podlverdict"), frames(1, b"\xff\xfe")],
)  # fmt: skip
def test_malformed(parts: list[bytes]) -> None:
    assert parse_event(parts) is None


def test_gaps() -> None:
    check = SequenceCheck()
    assert [check.gap(number) for number in (5, 6, 7, 9, 10, 0, 0xFFFFFFFF, 0)] == [
        False, False, False, True, False, True, True, False,
    ]  # fmt: skip


def test_wait_ends_at_a_notification(wakeup: Wakeup) -> None:
    context = zmq.Context()
    publisher = context.socket(zmq.XPUB)
    port = publisher.bind_to_random_port("tcp://127.0.0.1")
    source = EventSource(f"tcp://127.0.0.1:{port}", wakeup)
    try:
        assert publisher.poll(5000)  # the subscription has arrived
        for sequence in (0, 1, 3):
            publisher.send_multipart(frames(sequence))
        publisher.send_multipart([b"podljunk"])
        change = source.wait_for_change(5)
        while len(change.events) < 3:
            more = source.wait_for_change(5)
            change = Change(change.events + more.events, change.gap or more.gap)
        assert [event.sequence for event in change.events] == [0, 1, 3]
        assert change.gap
    finally:
        source.close()
        publisher.close()
        context.term()


def test_flood_of_anything_ends(wakeup: Wakeup, monkeypatch: pytest.MonkeyPatch) -> None:
    source = EventSource("tcp://127.0.0.1:1", wakeup)
    received = []

    def flood(*_: object) -> list[bytes]:
        received.append(1)
        if len(received) > 5000:
            raise zmq.Again
        return [b"podljunk"]

    socket = source._socket
    monkeypatch.setattr(source, "_socket", SimpleNamespace(recv_multipart=flood))
    assert source.wait_for_change(0) == Change()
    assert len(received) <= 1000
    monkeypatch.setattr(source, "_socket", socket)
    source.close()


def test_wait_without_address_is_a_timeout_or_a_wake_up(wakeup: Wakeup) -> None:
    source = EventSource(None, wakeup)
    assert source.wait_for_change(0.01) == Change()
    wakeup.wake()
    start = time.monotonic()
    assert source.wait_for_change(30) == Change()
    wakeup.stop()
    assert source.wait_for_change(30) == Change()
    assert source.wait_for_change(30) == Change()
    assert time.monotonic() - start < 20
    source.close()


def test_address_that_is_none(wakeup: Wakeup) -> None:
    with pytest.raises(SettingsError, match="--zmqpubpodl nonsense"):
        EventSource("nonsense", wakeup)
