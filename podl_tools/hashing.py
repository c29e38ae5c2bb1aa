"""The protocol's hashes: BIP340's tagged SHA-256, and Bitcoin's double SHA-256 (protocol section 2)."""

from __future__ import annotations

from enum import Enum, unique
from functools import cache
from hashlib import sha256

__all__ = ["Tag", "sha256d", "tagged_hash"]


@unique
class Tag(Enum):
    """Every domain that is hashed; a tag is used for one purpose only (attack H8)."""

    LEAF = "PoDL/leaf/v1"
    NODE = "PoDL/node/v1"
    ROOT = "PoDL/root/v1"
    COMMIT = "PoDL/commit/v1"
    RECIPE = "PoDL/recipe/v1"
    SEED = "PoDL/seed/v1"
    CHECKPOINT = "PoDL/ckpt/v1"
    SAMPLE = "PoDL/sample/v1"
    SHARD = "PoDL/shard/v1"
    ENTRY = "PoDL/entry/v1"
    REVEAL = "PoDL/reveal/v1"
    REVEAL_ID = "PoDL/revealid/v1"


@cache
def _prefix(tag: Tag) -> bytes:
    return sha256(tag.value.encode("ascii")).digest() * 2


def tagged_hash(tag: Tag, *parts: bytes | memoryview) -> bytes:
    """
    `SHA256(SHA256(tag) | SHA256(tag) | parts)`.

    Parameters
    ----------
    tag
        Domain of the hash.
    parts
        Hashed one after the other, as if joined.

    Returns
    -------
    bytes
        32 bytes.

    """
    state = sha256(_prefix(tag))
    for part in parts:
        state.update(part)
    return state.digest()


def sha256d(data: bytes) -> bytes:
    """Bitcoin's double SHA-256 of block headers and transactions, in the order of its bytes."""
    return sha256(sha256(data).digest()).digest()
