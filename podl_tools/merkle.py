"""
Merkle trees over data and over given leaves (protocol section 2).

Leaf, node and root hashes have their own tags, length and leaf count are bound into the root, and a last node
without partner moves up unchanged. Nothing is ever duplicated (CVE-2012-2459).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from podl_tools.constants import CHUNK_SIZE, HASH_SIZE
from podl_tools.errors import RejectError
from podl_tools.hashing import Tag, tagged_hash

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = [
    "chunk_count",
    "data_leaves",
    "data_proof",
    "data_root",
    "leaf_hash",
    "proof_length",
    "tree_proof",
    "tree_root",
    "verify_chunk",
    "verify_leaf",
]

_PROOF_REASON = "podl-chunk-proof"


def leaf_hash(chunk: bytes) -> bytes:
    """Hash of one chunk of data."""
    return tagged_hash(Tag.LEAF, chunk)


def chunk_count(size: int) -> int:
    """Chunks of 64 KiB that `size` bytes are cut into."""
    return -(-size // CHUNK_SIZE)


def data_leaves(data: bytes) -> list[bytes]:
    """
    Leaf hashes of the chunks of `data`.

    Raises
    ------
    RejectError
        `podl-data-size`: there are no bytes; an empty string has no tree.

    """
    if not data:
        raise RejectError("podl-data-size", "an empty byte string has no Merkle tree")
    view = memoryview(data)
    return [tagged_hash(Tag.LEAF, view[at : at + CHUNK_SIZE]) for at in range(0, len(data), CHUNK_SIZE)]


def data_root(data: bytes) -> bytes:
    """Root of the tree over `data`, at least one byte."""
    leaves = data_leaves(data)
    return _root(len(data), len(leaves), _top(leaves))


def tree_root(leaves: Sequence[bytes]) -> bytes:
    """
    Root of the tree over given 32-byte leaves.

    Raises
    ------
    RejectError
        `podl-data-size`: there are no leaves.

    """
    if not leaves:
        raise RejectError("podl-data-size", "no leaves, no Merkle tree")
    return _root(HASH_SIZE * len(leaves), len(leaves), _top(leaves))


def proof_length(index: int, n_leaves: int) -> int:
    """Count the partners of leaf `index` from the bottom to the top of a tree of `n_leaves`."""
    length = 0
    while n_leaves > 1:
        length += index ^ 1 < n_leaves
        index //= 2
        n_leaves = (n_leaves + 1) // 2
    return length


def tree_proof(leaves: Sequence[bytes], index: int) -> list[bytes]:
    """
    Partners of leaf `index` from the bottom up, none on a level where its node moves up alone.

    Raises
    ------
    RejectError
        `podl-chunk-proof`: there is no such leaf.

    """
    if not 0 <= index < len(leaves):
        raise RejectError(_PROOF_REASON, f"no leaf {index} among {len(leaves)}")
    path = []
    level = list(leaves)
    while len(level) > 1:
        if index ^ 1 < len(level):
            path.append(level[index ^ 1])
        level = _parents(level)
        index //= 2
    return path


def data_proof(data: bytes, index: int) -> list[bytes]:
    """Partners of chunk `index` of `data`."""
    return tree_proof(data_leaves(data), index)


def verify_leaf(leaf: bytes, index: int, n_leaves: int, path: Sequence[bytes], root: bytes) -> bool:
    """Whether `path` leads from leaf `index` of `n_leaves` given 32-byte leaves to `root`."""
    return _verify(leaf, index, n_leaves, HASH_SIZE * n_leaves, path, root)


def verify_chunk(chunk: bytes, index: int, size: int, path: Sequence[bytes], root: bytes) -> bool:
    """
    Whether `path` leads from chunk `index` of a byte string to its `root`.

    Parameters
    ----------
    chunk
        64 KiB, the last one what is left.
    index
        Position of the chunk.
    size
        Length of the whole string in bytes.
    path
        Partners from the bottom up.
    root
        Root of the whole string.

    """
    start = index * CHUNK_SIZE
    if not 0 <= start < size or len(chunk) != min(CHUNK_SIZE, size - start):
        return False
    return _verify(leaf_hash(chunk), index, chunk_count(size), size, path, root)


def _verify(leaf: bytes, index: int, n_leaves: int, size: int, path: Sequence[bytes], root: bytes) -> bool:
    if not 0 <= index < n_leaves or len(path) != proof_length(index, n_leaves):
        return False
    node, width = leaf, n_leaves
    partners = iter(path)
    while width > 1:
        if index ^ 1 < width:
            partner = next(partners)
            node = _node(partner, node) if index & 1 else _node(node, partner)
        index //= 2
        width = (width + 1) // 2
    return _root(size, n_leaves, node) == root


def _node(left: bytes, right: bytes) -> bytes:
    return tagged_hash(Tag.NODE, left, right)


def _parents(level: Sequence[bytes]) -> list[bytes]:
    pairs = len(level) // 2
    parents = [_node(level[2 * at], level[2 * at + 1]) for at in range(pairs)]
    return parents + list(level[2 * pairs :])


def _top(leaves: Sequence[bytes]) -> bytes:
    level = list(leaves)
    while len(level) > 1:
        level = _parents(level)
    return level[0]


def _root(size: int, n_leaves: int, top: bytes) -> bytes:
    return tagged_hash(Tag.ROOT, size.to_bytes(8, "little"), n_leaves.to_bytes(4, "little"), top)
