"""
The protocol's random numbers: SHA-256 in counter mode.

`p = SHA256(seed || "|" || tag)`; block c is `SHA256(p || c as 8 bytes big-endian)`, read as eight big-endian
uint32 words. Generators of numpy or TensorFlow are not used: their streams may change with a version.
Source: arithmetic.md 1.3.
"""

from __future__ import annotations

from hashlib import sha256
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

_WORDS_PER_BLOCK = 8


def words(seed: bytes, tag: str, count: int) -> NDArray[np.uint32]:
    """
    First `count` words of the stream of (seed, tag).

    Parameters
    ----------
    seed
        32 bytes on the chain; tests use short strings.
    tag
        ASCII name of the stream, such as `init0` or `perm3`.
    count
        Number of uint32 words.

    """
    prefix = sha256(seed + b"|" + tag.encode("ascii"))
    blocks = bytearray()
    for counter in range(-(-count // _WORDS_PER_BLOCK)):
        block = sha256(prefix.digest())
        block.update(counter.to_bytes(8, "big"))
        blocks += block.digest()
    return np.frombuffer(bytes(blocks), dtype=">u4")[:count].astype(np.uint32)


def permutation(seed: bytes, tag: str, size: int) -> NDArray[np.int64]:
    """
    Order of `size` items: stable argsort of 64-bit keys, two words each, the first one high.

    Returns
    -------
    NDArray[np.int64]
        Shape (size,): the item that comes first, second, ...

    """
    pairs = words(seed, tag, 2 * size).astype(np.uint64).reshape(size, 2)
    keys = (pairs[:, 0] << np.uint64(32)) | pairs[:, 1]
    return np.argsort(keys, kind="stable").astype(np.int64)


def epoch_order(seed: bytes, epoch: int, size: int) -> NDArray[np.int64]:
    """Order in which epoch `epoch` (from 0) visits `size` samples."""
    return permutation(seed, f"perm{epoch}", size)


def uniform_integers(seed: bytes, tag: str, count: int, limit: int) -> NDArray[np.int32]:
    """
    `count` integers in -limit..limit, `(word * (2 * limit + 1) >> 32) - limit`.

    Parameters
    ----------
    seed, tag
        As in `words`.
    count
        Number of integers.
    limit
        Largest absolute value, below 2**30 (the product then fits 63 bits).

    """
    drawn = words(seed, tag, count).astype(np.int64)
    return ((drawn * (2 * limit + 1) >> 32) - limit).astype(np.int32)
