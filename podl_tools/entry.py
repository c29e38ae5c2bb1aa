"""Entries of the schedule, the requester's signed log: bytes, ids and signatures (protocol section 5)."""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import IntEnum
from functools import cached_property
from typing import TYPE_CHECKING, Final

from podl_tools.codec import Kind, Layout, Reader, Writer
from podl_tools.constants import MAX_ENTRY_SIZE, SIGNATURE_SIZE
from podl_tools.disclosure import Disclosure
from podl_tools.errors import RejectError
from podl_tools.keys import entry_id, verify_entry
from podl_tools.task import Task

if TYPE_CHECKING:
    from podl_tools.keys import SigningKey

__all__ = ["Body", "Entry", "EntryType", "FinalBody", "ReleaseBody", "ShardsBody", "SkipReason", "Skipped"]

_VERSION: Final = 1
_REASON: Final = "podl-entry-noncanonical"
_HEAD: Final[Layout] = (("chain_id", Kind.H32), ("prev", Kind.H32), ("time", Kind.U64))
_RELEASE: Final[Layout] = (
    ("height", Kind.U32),
    ("attempt", Kind.U16),
    ("prev_block", Kind.H32),
    ("shard_index", Kind.U32),
    ("test_root", Kind.H32),
    ("n", Kind.U32),
    ("salt", Kind.H32),
)
_SHARDS: Final[Layout] = (("shard_list_root", Kind.H32), ("n_shards", Kind.U32))


class EntryType(IntEnum):
    """The type byte of an entry."""

    TASK = 1
    RELEASE = 2
    FINAL = 3
    SHARDS = 4


class SkipReason(IntEnum):
    """Why a final passes over a better candidate."""

    REPLAY_MISMATCH = 1
    NOT_SERVED = 2
    INVALID = 3


@dataclass(frozen=True)
class ReleaseBody:
    """
    Closes Phase 1 of an attempt and opens its test shard.

    Parameters
    ----------
    height, attempt
        Block height, and number of the attempt from 0.
    prev_block
        Block that the height builds on, in the order of its bytes.
    shard_index, test_root, n, salt, path
        The opened shard: place in the task's list, Merkle root, samples, salt and proof in the shard list.
    listed
        Block hashes of the admitted headers, in the order of their bytes.

    """

    height: int
    attempt: int
    prev_block: bytes
    shard_index: int
    test_root: bytes
    n: int
    salt: bytes
    path: tuple[bytes, ...]
    listed: tuple[bytes, ...]

    def write(self, writer: Writer) -> None:
        """Append the body's bytes."""
        writer.fields(_RELEASE, self)
        writer.number(Kind.U8, len(self.path))
        writer.hashes(self.path)
        writer.number(Kind.U16, len(self.listed))
        writer.hashes(self.listed)

    @classmethod
    def read(cls, reader: Reader) -> ReleaseBody:
        """Read the body's bytes; rules are checked by the schedule."""
        fields = reader.fields(_RELEASE)
        path = reader.hashes(reader.number(Kind.U8))
        return cls(**fields, path=path, listed=reader.hashes(reader.number(Kind.U16)))


@dataclass(frozen=True)
class Skipped:
    """A better candidate that a final passes over: its index in the list, and a `SkipReason` as stored."""

    index: int
    reason: int


@dataclass(frozen=True)
class FinalBody:
    """
    Names the block of a height.

    Parameters
    ----------
    height, attempt
        As in the release whose list holds the header.
    disclosure
        Header, opening, recipe and payout script of the winner.
    claim
        Correctly classified samples.
    reveal_signature
        The winner's signature of its claim.
    replayed
        Whether the requester repeated the training.
    skipped
        Better candidates passed over.

    """

    height: int
    attempt: int
    disclosure: Disclosure
    claim: int
    reveal_signature: bytes
    replayed: bool
    skipped: tuple[Skipped, ...]

    def write(self, writer: Writer) -> None:
        """Append the body's bytes."""
        writer.number(Kind.U32, self.height)
        writer.number(Kind.U16, self.attempt)
        self.disclosure.write(writer)
        writer.number(Kind.U32, self.claim)
        writer.raw(self.reveal_signature, SIGNATURE_SIZE)
        writer.number(Kind.U8, self.replayed)
        writer.number(Kind.U16, len(self.skipped))
        for skipped in self.skipped:
            writer.number(Kind.U16, skipped.index)
            writer.number(Kind.U8, skipped.reason)

    @classmethod
    def read(cls, reader: Reader) -> FinalBody:
        """Read the body's bytes; rules are checked by the schedule."""
        height = reader.number(Kind.U32)
        attempt = reader.number(Kind.U16)
        disclosure = Disclosure.read(reader)
        claim = reader.number(Kind.U32)
        signature = reader.take(SIGNATURE_SIZE)
        replayed = reader.flag()
        rows = range(reader.number(Kind.U16))
        skipped = tuple(Skipped(reader.number(Kind.U16), reader.number(Kind.U8)) for _ in rows)
        return cls(height, attempt, disclosure, claim, signature, replayed, skipped)


@dataclass(frozen=True)
class ShardsBody:
    """
    More shards for the task in force, whose own have run out.

    Parameters
    ----------
    shard_list_root, n_shards
        As in the task; the index of the opened shard starts again at 0.

    """

    shard_list_root: bytes
    n_shards: int

    def write(self, writer: Writer) -> None:
        """Append the body's bytes."""
        writer.fields(_SHARDS, self)

    @classmethod
    def read(cls, reader: Reader) -> ShardsBody:
        """Read the body's bytes."""
        return cls(**reader.fields(_SHARDS))


Body = Task | ReleaseBody | FinalBody | ShardsBody
_BODIES: Final[dict[EntryType, type[Body]]] = {
    EntryType.TASK: Task,
    EntryType.RELEASE: ReleaseBody,
    EntryType.FINAL: FinalBody,
    EntryType.SHARDS: ShardsBody,
}
_TYPES: Final = {body: kind for kind, body in _BODIES.items()}


@dataclass(frozen=True)
class Entry:
    """
    One entry of the schedule.

    Parameters
    ----------
    chain_id
        Id of the chain's first task entry; 32 zero bytes in that entry itself.
    prev
        Id of the entry before; 32 zero bytes in the first.
    time
        Seconds since 1970.
    body
        What the entry says.
    signature
        BIP340 signature by the requester key of the first task, 64 bytes.

    """

    chain_id: bytes
    prev: bytes
    time: int
    body: Body
    signature: bytes

    @property
    def type(self) -> EntryType:
        """The type byte."""
        return _TYPES[type(self.body)]

    @cached_property
    def unsigned(self) -> bytes:
        """All bytes without the signature."""
        writer = Writer(_REASON)
        writer.number(Kind.U8, _VERSION)
        writer.number(Kind.U8, self.type)
        writer.fields(_HEAD, self)
        self.body.write(writer)
        return writer.bytes()

    @cached_property
    def id(self) -> bytes:
        """Tagged hash of the bytes without the signature."""
        return entry_id(self.unsigned)

    def serialize(self) -> bytes:
        """
        Return the entry's bytes.

        Raises
        ------
        RejectError
            `podl-entry-noncanonical`: a field does not fit its layout, or the whole exceeds 64 KiB.

        """
        writer = Writer(_REASON)
        writer.raw(self.unsigned)
        writer.raw(self.signature, SIGNATURE_SIZE)
        data = writer.bytes()
        if len(data) > MAX_ENTRY_SIZE:
            raise RejectError(_REASON, f"an entry has at most {MAX_ENTRY_SIZE} bytes, this one {len(data)}")
        return data

    @classmethod
    def parse(cls, data: bytes) -> Entry:
        """
        Read an entry; only its layout is checked.

        Raises
        ------
        RejectError
            `podl-entry-noncanonical`: more than 64 KiB, or anything that `serialize` would not have written.

        """
        if len(data) > MAX_ENTRY_SIZE:
            raise RejectError(_REASON, f"an entry has at most {MAX_ENTRY_SIZE} bytes, received {len(data)}")
        reader = Reader(data, _REASON)
        if reader.number(Kind.U8) != _VERSION:
            raise reader.fail(f"version must be {_VERSION}")
        kind = reader.number(Kind.U8)
        if kind not in _BODIES:
            raise reader.fail(f"unknown entry type {kind}")
        head = reader.fields(_HEAD)
        body = _BODIES[EntryType(kind)].read(reader)
        entry = cls(**head, body=body, signature=reader.take(SIGNATURE_SIZE))
        reader.finish()
        return entry

    @classmethod
    def sign(cls, key: SigningKey, chain_id: bytes, prev: bytes, time: int, body: Body) -> Entry:
        """Make an entry and sign it with the requester's key."""
        blank = cls(chain_id, prev, time, body, bytes(SIGNATURE_SIZE))
        return replace(blank, signature=key.sign_entry(blank.unsigned))

    def verify(self, public: bytes) -> bool:
        """Whether the signature is that of key `public`."""
        return verify_entry(public, self.unsigned, self.signature)
