"""A miner's reveal: a disclosure and its signed claim for one attempt (protocol section 6)."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Final

from podl_tools.codec import Kind, Reader, Writer
from podl_tools.constants import MAX_REVEAL_SIZE, SIGNATURE_SIZE
from podl_tools.disclosure import Disclosure
from podl_tools.errors import RejectError
from podl_tools.hashing import Tag, tagged_hash
from podl_tools.keys import verify_reveal

if TYPE_CHECKING:
    from podl_tools.keys import SigningKey

__all__ = ["Reveal"]

_VERSION: Final = 1
_REASON: Final = "podl-reveal-noncanonical"


@dataclass(frozen=True)
class Reveal:
    """
    A reveal.

    Parameters
    ----------
    disclosure
        Header, opening, recipe and payout script.
    release_id
        Id of the attempt that the claim is signed for.
    claim
        Correctly classified samples of that attempt's shard.
    signature
        BIP340 signature by the opening's reveal key, 64 bytes.

    """

    disclosure: Disclosure
    release_id: bytes
    claim: int
    signature: bytes

    @cached_property
    def unsigned(self) -> bytes:
        """All bytes without the signature."""
        writer = Writer(_REASON)
        writer.number(Kind.U8, _VERSION)
        self.disclosure.write(writer)
        writer.hashes([self.release_id])
        writer.number(Kind.U32, self.claim)
        return writer.bytes()

    def serialize(self) -> bytes:
        """Return the reveal's bytes."""
        writer = Writer(_REASON)
        writer.raw(self.unsigned)
        writer.raw(self.signature, SIGNATURE_SIZE)
        return writer.bytes()

    @property
    def id(self) -> bytes:
        """Tagged hash of the bytes without the signature."""
        return tagged_hash(Tag.REVEAL_ID, self.unsigned)

    @classmethod
    def parse(cls, data: bytes) -> Reveal:
        """
        Read a reveal.

        Raises
        ------
        RejectError
            `podl-reveal-size`: more than 4 KiB; `podl-reveal-noncanonical`: anything else that `serialize`
            would not have written.

        """
        if len(data) > MAX_REVEAL_SIZE:
            raise RejectError("podl-reveal-size", f"at most {MAX_REVEAL_SIZE} bytes, received {len(data)}")
        reader = Reader(data, _REASON)
        if reader.number(Kind.U8) != _VERSION:
            raise reader.fail(f"version must be {_VERSION}")
        disclosure = Disclosure.read(reader)
        release_id = reader.hash()
        claim = reader.number(Kind.U32)
        reveal = cls(disclosure, release_id, claim, reader.take(SIGNATURE_SIZE))
        reader.finish()
        return reveal

    @classmethod
    def sign(cls, key: SigningKey, disclosure: Disclosure, release_id: bytes, claim: int) -> Reveal:
        """Claim `claim` correct samples for the attempt `release_id`."""
        block_hash = disclosure.header.hash
        signature = key.sign_reveal(disclosure.opening.chain_id, release_id, block_hash, claim)
        return cls(disclosure, release_id, claim, signature)

    def verify(self) -> bool:
        """Whether the signature is that of the opening's reveal key."""
        opening = self.disclosure.opening
        return verify_reveal(
            opening.reveal_key,
            opening.chain_id,
            self.release_id,
            self.disclosure.header.hash,
            self.claim,
            self.signature,
        )
