from __future__ import annotations

from hashlib import sha256

import pytest
from hypothesis import given
from hypothesis import strategies as st

from podl_tools.constants import CHUNK_SIZE
from podl_tools.errors import RejectError
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
from tests.strategies import h32


def tagged(tag: str, data: bytes) -> bytes:
    """Second, plain implementation."""
    prefix = sha256(tag.encode()).digest()
    return sha256(prefix + prefix + data).digest()


def plain_root(data: bytes) -> bytes:
    """Root straight from the text of the protocol."""
    level = [tagged("PoDL/leaf/v1", data[at : at + 65536]) for at in range(0, len(data), 65536)]
    n_leaves = len(level)
    while len(level) > 1:
        odd = [level.pop()] if len(level) % 2 else []
        level = [tagged("PoDL/node/v1", level[at] + level[at + 1]) for at in range(0, len(level), 2)] + odd
    return tagged("PoDL/root/v1", len(data).to_bytes(8, "little") + n_leaves.to_bytes(4, "little") + level[0])


@pytest.mark.parametrize("size", [1, 1000, CHUNK_SIZE, CHUNK_SIZE + 1, 3 * CHUNK_SIZE, 6 * CHUNK_SIZE + 17])
def test_data_root_is_that_of_the_text(size: int) -> None:
    data = bytes(index * 7 % 251 for index in range(size))
    assert data_root(data) == plain_root(data)
    for index in range(chunk_count(size)):
        chunk = data[index * CHUNK_SIZE : (index + 1) * CHUNK_SIZE]
        assert verify_chunk(chunk, index, size, data_proof(data, index), data_root(data))


def test_nothing_to_hash_is_refused() -> None:
    with pytest.raises(RejectError) as caught:
        data_root(b"")
    assert caught.value.reason == "podl-data-size"
    with pytest.raises(RejectError):
        tree_root([])


@given(leaves=st.lists(h32, min_size=1, max_size=20))
def test_every_leaf_has_a_proof_of_the_given_length(leaves: list[bytes]) -> None:
    root = tree_root(leaves)
    for index, leaf in enumerate(leaves):
        path = tree_proof(leaves, index)
        assert len(path) == proof_length(index, len(leaves))
        assert verify_leaf(leaf, index, len(leaves), path, root)


@given(leaves=st.lists(h32, min_size=1, max_size=9, unique=True), data=st.data())
def test_a_proof_holds_for_one_leaf_index_count_and_path(leaves: list[bytes], data: st.DataObject) -> None:
    root = tree_root(leaves)
    index = data.draw(st.integers(0, len(leaves) - 1))
    path = tree_proof(leaves, index)
    other = data.draw(st.integers(0, 2 * len(leaves)).filter(lambda at: at != index))
    assert not verify_leaf(leaves[index], other, len(leaves), path, root)
    assert not verify_leaf(leaves[index], index, len(leaves) + data.draw(st.integers(1, 4)), path, root)
    assert not verify_leaf(
        data.draw(h32.filter(lambda leaf: leaf != leaves[index])), index, len(leaves), path, root
    )
    assert not verify_leaf(leaves[index], index, len(leaves), [*path, leaves[0]], root)
    if path:
        assert not verify_leaf(leaves[index], index, len(leaves), path[:-1], root)


@given(leaves=st.lists(h32, min_size=1, max_size=9))
def test_doubling_the_last_leaf_changes_the_root(leaves: list[bytes]) -> None:
    assert tree_root(leaves) != tree_root([*leaves, leaves[-1]])


def test_a_proof_needs_an_existing_leaf() -> None:
    with pytest.raises(RejectError) as caught:
        tree_proof([bytes(32)], 1)
    assert caught.value.reason == "podl-chunk-proof"


@pytest.mark.parametrize(("index", "size"), [(-1, 10), (1, 10), (0, 9), (0, 11)])
def test_a_chunk_has_its_place_and_length(index: int, size: int) -> None:
    chunk = bytes(10)
    assert not verify_chunk(chunk, index, size, [], data_root(chunk))
    assert verify_chunk(chunk, 0, 10, [], data_root(chunk))
