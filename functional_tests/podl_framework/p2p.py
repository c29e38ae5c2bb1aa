"""A scripted peer that speaks PoDL's P2P messages, right or wrong as the test likes."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from io import BytesIO
from typing import TYPE_CHECKING

from test_framework.messages import ser_compact_size
from test_framework.p2p import MESSAGEMAP, P2PInterface, p2p_lock

from podl_tools.hashing import sha256d
from podl_tools.merkle import chunk_count, data_proof

if TYPE_CHECKING:
    from collections.abc import Callable

ENTRY, COMMITMENT, REVEAL, BODY, DATA = 1, 2, 3, 4, 5
CHUNK_SIZE = 64 * 1024
MAX_PAGE = 1_000_000


class RawMessage:
    """A message whose payload is bytes."""

    msgtype = b""

    def __init__(self, payload: bytes = b"") -> None:
        self.payload = payload

    def deserialize(self, f: BytesIO) -> None:
        """Take all bytes."""
        self.payload = f.read()

    def serialize(self) -> bytes:
        """Give them back."""
        return self.payload

    def __repr__(self) -> str:
        """Show type and size; the framework logs every message."""
        return f"{type(self).__name__}({len(self.payload)} bytes)"


def _message_class(name: str) -> type[RawMessage]:
    return type(f"msg_{name}", (RawMessage,), {"msgtype": name.encode()})


NAMES = ("sendpodl", "podlinv", "podlgetdata", "podldata", "getpodlsched", "podlsched")
CLASSES = {name: _message_class(name) for name in NAMES}
# Core's own classes read 80-byte headers, so that these must be taken as bytes, too.
BLOCK_MESSAGES = {name: _message_class(name) for name in ("headers", "cmpctblock", "block")}


def message(name: str, payload: bytes) -> RawMessage:
    """Build one of PoDL's messages."""
    return CLASSES[name](payload)


def block_hash(header: bytes) -> bytes:
    """Hash of a raw header of either size, in the order of its bytes."""
    return sha256d(header)


def no_headers() -> RawMessage:
    """Build an empty headers message, the answer of a peer that has nothing new."""
    return BLOCK_MESSAGES["headers"](b"\x00")


def handshake(chain_id: bytes, version: int = 1) -> RawMessage:
    """Build sendpodl."""
    return message("sendpodl", struct.pack("<I", version) + chain_id)


def inv(*objects: tuple[int, bytes]) -> RawMessage:
    """Build podlinv."""
    return message("podlinv", ser_compact_size(len(objects)) + b"".join(bytes([t]) + i for t, i in objects))


def getdata(kind: int, object_id: bytes, chunk: int = 0) -> RawMessage:
    """Build podlgetdata."""
    return message("podlgetdata", bytes([kind]) + object_id + struct.pack("<I", chunk))


def notfound(kind: int, object_id: bytes, chunk: int = 0) -> RawMessage:
    """Build podldata with status "not found"."""
    return message("podldata", bytes([kind]) + object_id + struct.pack("<IB", chunk, 1))


def data(
    kind: int, object_id: bytes, whole: bytes, chunk: int = 0, *, path: list[bytes] | None = None
) -> RawMessage:
    """Build podldata with one chunk of an object; its true path unless one is given."""
    if path is None:
        path = list(data_proof(whole, chunk)) if kind == DATA else []
    part = whole[chunk * CHUNK_SIZE :][:CHUNK_SIZE] if kind >= BODY else whole
    head = bytes([kind]) + object_id + struct.pack("<IBQB", chunk, 0, len(whole), len(path))
    return message("podldata", head + b"".join(path) + ser_compact_size(len(part)) + part)


def schedule(entries: list[bytes], *, more: bool = False) -> RawMessage:
    """Build podlsched."""
    body = b"".join(ser_compact_size(len(e)) + e for e in entries)
    return message("podlsched", bytes([more]) + ser_compact_size(len(entries)) + body)


@dataclass(frozen=True)
class Answer:
    """A podldata message taken apart."""

    kind: int
    id: bytes
    chunk: int
    size: int | None
    path: list[bytes]
    bytes: bytes


def _compact_size(f: BytesIO) -> int:
    first = f.read(1)[0]
    if first < 253:
        return first
    width = {253: 2, 254: 4, 255: 8}[first]
    return int.from_bytes(f.read(width), "little")


def read_data(payload: bytes) -> Answer:
    """Take podldata apart."""
    f = BytesIO(payload)
    kind, object_id = f.read(1)[0], f.read(32)
    chunk, status = struct.unpack("<IB", f.read(5))
    if status:
        return Answer(kind, object_id, chunk, None, [], b"")
    size, n_path = struct.unpack("<QB", f.read(9))
    path = [f.read(32) for _ in range(n_path)]
    part = f.read(_compact_size(f))
    assert not f.read()
    return Answer(kind, object_id, chunk, size, path, part)


def read_inv(payload: bytes) -> list[tuple[int, bytes]]:
    """Take podlinv apart."""
    f = BytesIO(payload)
    return [(f.read(1)[0], f.read(32)) for _ in range(_compact_size(f))]


def read_schedule(payload: bytes) -> tuple[bool, list[bytes]]:
    """Take podlsched apart."""
    f = BytesIO(payload)
    more = bool(f.read(1)[0])
    return more, [f.read(_compact_size(f)) for _ in range(_compact_size(f))]


def read_getdata(payload: bytes) -> tuple[int, bytes, int]:
    """Take podlgetdata apart."""
    return payload[0], payload[1:33], int.from_bytes(payload[33:37], "little")


class PodlPeer(P2PInterface):
    """A peer that does the handshake and keeps what it gets; it answers nothing by itself.

    Parameters
    ----------
    chain_id
        What to say in sendpodl; None to say nothing.
    before_verack
        Messages to send instead of the usual handshake.

    """

    def __init__(self, chain_id: bytes | None, *, before_verack: list[RawMessage] | None = None) -> None:
        super().__init__()
        MESSAGEMAP.update({name.encode(): cls for name, cls in (CLASSES | BLOCK_MESSAGES).items()})
        self.greetings = ([] if chain_id is None else [handshake(chain_id)]) + (before_verack or [])
        self.received: list[tuple[str, bytes]] = []

    def on_version(self, message) -> None:
        for greeting in self.greetings:
            self.send_without_ping(greeting)
        super().on_version(message)

    def on_message(self, message) -> None:
        with p2p_lock:
            if isinstance(message, RawMessage):
                self.received.append((message.msgtype.decode(), message.payload))
        super().on_message(message)

    def _ignore(self, _message) -> None:
        """Everything is kept by on_message."""

    on_sendpodl = on_podlinv = on_podlgetdata = on_podldata = on_getpodlsched = on_podlsched = _ignore
    on_headers = on_cmpctblock = on_block = _ignore

    def of(self, name: str) -> list[bytes]:
        """Payloads of all messages of a type, in order."""
        with p2p_lock:
            return [payload for kind, payload in self.received if kind == name]

    def forget(self) -> None:
        """Forget what came so far."""
        with p2p_lock:
            self.received.clear()

    def wait_for(self, name: str, test: Callable[[bytes], bool] = lambda _: True) -> bytes:
        """Wait for a message and return its payload."""
        self.wait_until(lambda: any(k == name and test(p) for k, p in self.received))
        return next(p for p in self.of(name) if test(p))

    def ask(self, kind: int, object_id: bytes, chunk: int = 0) -> Answer:
        """Request a chunk and return the answer."""
        self.forget()
        self.send_without_ping(getdata(kind, object_id, chunk))
        return read_data(self.wait_for("podldata", lambda p: read_getdata(p) == (kind, object_id, chunk)))

    def fetch(self, kind: int, object_id: bytes) -> bytes | None:
        """Fetch a whole object; None if the node does not give it."""
        first = self.ask(kind, object_id)
        if first.size is None:
            return None
        return first.bytes + b"".join(
            self.ask(kind, object_id, i).bytes for i in range(1, chunk_count(first.size))
        )

    def ask_schedule(self, after: bytes) -> tuple[bool, list[bytes]]:
        """Request the schedule and return the page."""
        self.forget()
        self.send_without_ping(message("getpodlsched", after))
        return read_schedule(self.wait_for("podlsched"))

    def wait_for_request(self, kind: int, object_id: bytes, chunk: int = 0) -> None:
        """Wait until the node requests a chunk."""
        self.wait_for("podlgetdata", lambda p: read_getdata(p) == (kind, object_id, chunk))
