"""The 112-byte block header: Bitcoin's 80 bytes and `hashModel` (protocol section 3)."""

from __future__ import annotations

import struct
from dataclasses import dataclass, replace
from typing import Final

from bitcoin.core.serialize import uint256_from_compact

from podl_tools.constants import HEADER_SIZE, ZERO_HASH
from podl_tools.errors import PodlError, RejectError
from podl_tools.hashing import sha256d

__all__ = ["PODL_VERSION", "GrindError", "Header", "check_commitment", "grind", "is_podl_version"]

PODL_VERSION: Final = 0x4000_0000
_VERSION_MASK: Final = 0xE000_0000
_HEADER: Final = struct.Struct("<i32s32sIII32s")
_NONCES: Final = 1 << 32


class GrindError(PodlError):
    """No nonce of this header meets the stamp; change the time or a transaction."""

    reason = "podl-commit-stamp"


def is_podl_version(version: int) -> bool:
    """Whether the version bits mark a PoDL header (on a PoDL chain; elsewhere they mean nothing)."""
    return version & _VERSION_MASK == PODL_VERSION


@dataclass(frozen=True)
class Header:
    """
    A PoDL block header.

    Parameters
    ----------
    version
        Signed 32-bit version.
    prev_block, merkle_root
        As in Bitcoin, in the order of their bytes.
    time, bits, nonce
        As in Bitcoin.
    model_hash
        `hashModel`, the commitment.

    """

    version: int
    prev_block: bytes
    merkle_root: bytes
    time: int
    bits: int
    nonce: int
    model_hash: bytes

    def serialize(self) -> bytes:
        """
        Return the 112 bytes.

        Raises
        ------
        RejectError
            `podl-commit-size`: a field that does not fit.

        """
        if any(
            len(value) != len(ZERO_HASH) for value in (self.prev_block, self.merkle_root, self.model_hash)
        ):
            raise RejectError("podl-commit-size", "a hash of the header does not have 32 bytes")
        try:
            return _HEADER.pack(
                self.version,
                self.prev_block,
                self.merkle_root,
                self.time,
                self.bits,
                self.nonce,
                self.model_hash,
            )
        except struct.error as error:
            raise RejectError("podl-commit-size", f"header field out of range: {error}") from None

    @classmethod
    def parse(cls, data: bytes) -> Header:
        """
        Read 112 bytes.

        Raises
        ------
        RejectError
            `podl-commit-size`: another length.

        """
        if len(data) != HEADER_SIZE:
            raise RejectError("podl-commit-size", f"a header has {HEADER_SIZE} bytes, received {len(data)}")
        return cls(*_HEADER.unpack(data))

    @property
    def hash(self) -> bytes:
        """Block hash in the order of its bytes; Bitcoin shows it reversed."""
        return sha256d(self.serialize())

    @property
    def is_podl(self) -> bool:
        """Whether the version bits mark a PoDL header."""
        return is_podl_version(self.version)

    def meets_stamp(self, stamp_bits: int) -> bool:
        """Whether the block hash, read as a little-endian number, is below 2**(256 - stamp_bits)."""
        return int.from_bytes(self.hash, "little") >> (256 - stamp_bits) == 0


def check_commitment(data: bytes, stamp_bits: int) -> Header:
    """
    Check what a commitment's bytes alone show.

    Parameters
    ----------
    data
        The header.
    stamp_bits
        Of the task in force.

    Raises
    ------
    RejectError
        `podl-commit-size`, `podl-commit-version`, `podl-hashmodel-null` or `podl-commit-stamp`.

    """
    header = Header.parse(data)
    if not header.is_podl:
        raise RejectError("podl-commit-version", f"version {header.version:#x} is not that of a PoDL header")
    if header.model_hash == ZERO_HASH:
        raise RejectError("podl-hashmodel-null", "hashModel is null")
    if not header.meets_stamp(stamp_bits):
        raise RejectError("podl-commit-stamp", f"the block hash lacks {stamp_bits} leading zero bits")
    return header


def grind(header: Header, stamp_bits: int) -> Header:
    """
    Find the first nonce, counting up from the header's, that meets the stamp and Bitcoin's own `bits`.

    Raises
    ------
    GrindError
        The nonces are used up.

    """
    limit = min(1 << (256 - stamp_bits), uint256_from_compact(header.bits) + 1)
    prefix, suffix = header.serialize()[:76], header.model_hash
    for nonce in range(header.nonce, _NONCES):
        found = sha256d(prefix + nonce.to_bytes(4, "little") + suffix)
        if int.from_bytes(found, "little") < limit:
            return replace(header, nonce=nonce)
    raise GrindError(f"no nonce from {header.nonce} on meets {stamp_bits} bits")
