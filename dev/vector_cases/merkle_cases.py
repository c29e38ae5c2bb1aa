"""Cases of merkle.json."""

from __future__ import annotations

from dev.vector_cases.fixture import Json, decoded, named
from podl_tools.constants import CHUNK_SIZE
from podl_tools.merkle import (
    chunk_count,
    data_proof,
    data_root,
    proof_length,
    tree_proof,
    tree_root,
    verify_chunk,
    verify_leaf,
)

_SIZES = (
    1,
    64,
    CHUNK_SIZE - 1,
    CHUNK_SIZE,
    CHUNK_SIZE + 1,
    2 * CHUNK_SIZE,
    3 * CHUNK_SIZE - 5,
    5 * CHUNK_SIZE + 1,
    7 * CHUNK_SIZE,
)
_LEAF_COUNTS = (1, 2, 3, 4, 5, 6, 7, 8, 11, 13)


def pattern(size: int, seed: int) -> bytes:
    """Return the bytes whose i-th is (seed + 31 i + floor(i / 256) + 7 floor(i / 65536)) mod 256."""
    return bytes((seed + 31 * at + (at >> 8) + 7 * (at >> 16)) & 0xFF for at in range(size))


def build() -> Json:
    """Roots and proofs over data and over given leaves, and proofs that must fail."""
    return {
        "data": [_data(size, seed) for seed, size in enumerate(_SIZES)],
        "data_invalid": _data_invalid(),
        "tree": [_tree(count) for count in _LEAF_COUNTS],
        "tree_invalid": _tree_invalid(),
        "proof_length": _lengths(),
    }


def _data(size: int, seed: int) -> Json:
    data = pattern(size, seed)
    proofs = [decoded(data_proof(data, index)) for index in range(chunk_count(size))]
    root = data_root(data).hex()
    return {"size": size, "seed": seed, "n_leaves": chunk_count(size), "root": root, "proofs": proofs}


def _data_invalid() -> list[Json]:
    size, seed = 3 * CHUNK_SIZE - 5, 9
    data = pattern(size, seed)
    root, path = data_root(data), data_proof(data, 1)
    first, lone = data_proof(data, 0), data_proof(data, 2)
    small = pattern(100, seed)
    rows = [
        ("partners in another order", size, 1, list(reversed(path)), root),
        ("partner missing", size, 1, path[:-1], root),
        ("partner too many", size, 1, [*path, named("partner")], root),
        ("lone last node with a partner for each level", size, 2, [lone[0], lone[0]], root),
        ("proof of another chunk", size, 1, first, root),
        ("another length of the whole", size - 1, 0, first, root),
        ("index past the end", size, 3, path, root),
        ("another root", size, 1, path, named("root")),
        ("one chunk, no partner needed, one given", 100, 0, [named("partner")], data_root(small)),
        ("one chunk, the leaf instead of the root", 100, 0, [], named("leaf")),
    ]
    cases = []
    for case, length, index, partners, top in rows:
        chunk = pattern(length, seed)[index * CHUNK_SIZE :][:CHUNK_SIZE]
        if verify_chunk(chunk, index, length, partners, top):
            raise ValueError(f"case {case!r} verifies")
        cases.append(
            {
                "case": case,
                "size": length,
                "seed": seed,
                "index": index,
                "path": decoded(partners),
                "root": top.hex(),
            }
        )
    return cases


def _leaves(count: int) -> list[bytes]:
    return [named(f"leaf {index}") for index in range(count)]


def _tree(count: int) -> Json:
    leaves = _leaves(count)
    proofs = [decoded(tree_proof(leaves, index)) for index in range(count)]
    return {"leaves": decoded(leaves), "root": tree_root(leaves).hex(), "proofs": proofs}


def _tree_invalid() -> list[Json]:
    leaves = _leaves(5)
    root, path = tree_root(leaves), tree_proof(leaves, 1)
    rows = [
        ("another leaf", named("other"), 1, 5, path, root),
        ("another index", leaves[1], 0, 5, path, root),
        ("another number of leaves with the same path length", leaves[1], 1, 6, path, root),
        ("index past the end", leaves[4], 5, 5, tree_proof(leaves, 4), root),
        ("no leaves", leaves[0], 0, 0, [], root),
        ("last leaf doubled", leaves[4], 5, 6, [leaves[4], *tree_proof(leaves, 4)], root),
        ("data root taken for a tree root", named("leaf 0"), 0, 1, [], data_root(named("leaf 0"))),
    ]
    cases = []
    for case, leaf, index, count, partners, top in rows:
        if verify_leaf(leaf, index, count, partners, top):
            raise ValueError(f"case {case!r} verifies")
        cases.append(
            {
                "case": case,
                "leaf": leaf.hex(),
                "index": index,
                "n_leaves": count,
                "path": decoded(partners),
                "root": top.hex(),
            }
        )
    return cases


def _lengths() -> list[Json]:
    counts = (1, 2, 3, 5, 8, 9, 65_536)
    return [
        {"index": index, "n_leaves": count, "length": proof_length(index, count)}
        for count in counts
        for index in sorted({0, count // 2, count - 1})
    ]
