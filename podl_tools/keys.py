"""
BIP340 signatures of the protocol.

Only typed messages are signed: the bytes of a schedule entry, or the four fields of a claim. There is no way
to sign a digest that somebody else made.
"""

from __future__ import annotations

from typing import Final

from coincurve import PrivateKey, PublicKeyXOnly

from podl_tools.constants import HASH_SIZE, SIGNATURE_SIZE
from podl_tools.errors import RejectError
from podl_tools.hashing import Tag, tagged_hash

__all__ = ["ZERO_AUX", "SigningKey", "entry_id", "verify_entry", "verify_reveal"]

# Makes signatures repeatable; for test vectors. BIP340 wants fresh randomness in production.
ZERO_AUX: Final = bytes(HASH_SIZE)


def entry_id(unsigned: bytes) -> bytes:
    """Id of a schedule entry: tagged hash of all its bytes without the signature (protocol section 5)."""
    return tagged_hash(Tag.ENTRY, unsigned)


def _claim_digest(chain_id: bytes, release_id: bytes, block_hash: bytes, claim: int) -> bytes:
    return tagged_hash(Tag.REVEAL, chain_id, release_id, block_hash, claim.to_bytes(4, "little"))


class SigningKey:
    """
    A secret key that signs entries and claims, and nothing else.

    Parameters
    ----------
    secret
        32 bytes, a number between 1 and the group order.
    aux
        32 bytes of auxiliary randomness for every signature; fresh ones when None.

    Raises
    ------
    RejectError
        `podl-key`: the secret is no valid key.

    """

    def __init__(self, secret: bytes, *, aux: bytes | None = None) -> None:
        if len(secret) != HASH_SIZE:
            raise RejectError("podl-key", f"a secret key has {HASH_SIZE} bytes, received {len(secret)}")
        try:
            self._key = PrivateKey(secret)
        except ValueError:
            raise RejectError("podl-key", "the secret key is zero or not below the group order") from None
        self._aux = aux

    def __repr__(self) -> str:
        """Show the public key; the secret never appears in logs."""
        return f"SigningKey({self.public.hex()})"

    @property
    def public(self) -> bytes:
        """The x-only public key, 32 bytes."""
        return self._key.public_key_xonly.format()

    def sign_entry(self, unsigned: bytes) -> bytes:
        """Sign a schedule entry, given as all its bytes without the signature; 64 bytes."""
        return self._sign(entry_id(unsigned))

    def sign_reveal(self, chain_id: bytes, release_id: bytes, block_hash: bytes, claim: int) -> bytes:
        """Sign a claim for one attempt (protocol section 6); 64 bytes."""
        return self._sign(_claim_digest(chain_id, release_id, block_hash, claim))

    def _sign(self, digest: bytes) -> bytes:
        return self._key.sign_schnorr(digest, b"" if self._aux is None else self._aux)


def verify_entry(public: bytes, unsigned: bytes, signature: bytes) -> bool:
    """Whether `signature` is that of key `public` over a schedule entry without its signature."""
    return _verify(public, entry_id(unsigned), signature)


def verify_reveal(
    public: bytes, chain_id: bytes, release_id: bytes, block_hash: bytes, claim: int, signature: bytes
) -> bool:
    """Whether `signature` is that of key `public` over a claim for one attempt."""
    return _verify(public, _claim_digest(chain_id, release_id, block_hash, claim), signature)


def _verify(public: bytes, digest: bytes, signature: bytes) -> bool:
    if len(public) != HASH_SIZE or len(signature) != SIGNATURE_SIZE:
        return False
    try:
        return PublicKeyXOnly(public).verify(signature, digest)
    except ValueError:  # no point of the curve has this x
        return False
