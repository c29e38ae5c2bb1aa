from __future__ import annotations

import copy
import pickle
from dataclasses import replace
from io import BytesIO
from typing import Any

import pytest
from bitcoin.core import CBlock, CBlockHeader, CheckBlockError
from bitcoin.core.serialize import VectorSerializer
from hypothesis import given
from hypothesis import strategies as st

from dev.vector_cases.block_cases import TRANSACTIONS, block_arguments
from dev.vector_cases.fixture import make_header, named
from podl_tools.block import PodlBlock, PodlBlockHeader, make_block, parse_block
from podl_tools.constants import ZERO_HASH
from podl_tools.errors import RejectError
from podl_tools.header import PODL_VERSION, Header
from tests.strategies import check_canonical, headers, mutations

HEADER = make_header(named("model"), merkle_root=CBlock.build_merkle_tree_from_txs(TRANSACTIONS)[-1])
ORDINARY = block_arguments(2)
PODL = block_arguments(PODL_VERSION)


def wrapped(header: Header) -> PodlBlockHeader:
    fields = header.version, header.prev_block, header.merkle_root, header.time, header.bits, header.nonce
    return PodlBlockHeader(*fields, header.model_hash)


@given(header=headers, low=st.integers(0, (1 << 29) - 1))
def test_a_header_with_hash_model_has_112_bytes(header: Header, low: int) -> None:
    header = replace(header, version=PODL_VERSION | low)
    found = wrapped(header)
    assert isinstance(found, CBlockHeader)
    assert found.serialize() == header.serialize()
    assert found.GetHash() == header.hash
    assert found.hashModel == header.model_hash


@given(header=headers)
def test_without_our_parameters_every_header_has_80_bytes(header: Header) -> None:
    data = header.serialize()[:80]
    for version in (data[:4], PODL_VERSION.to_bytes(4, "little")):
        found = PodlBlockHeader.deserialize(version + data[4:])
        assert found.hashModel is None
        assert found == CBlockHeader.deserialize(version + data[4:])
        assert found.serialize() == version + data[4:]
        assert found.GetHash() == CBlockHeader.deserialize(version + data[4:]).GetHash()


def test_an_ordinary_block_is_the_librarys() -> None:
    ours, theirs = PodlBlock(**ORDINARY, vtx=TRANSACTIONS), CBlock(**ORDINARY, vtx=TRANSACTIONS)
    assert ours == theirs
    assert theirs == ours
    assert hash(ours) == hash(theirs)
    assert (ours.GetHash(), ours.GetWeight()) == (theirs.GetHash(), theirs.GetWeight())
    assert (ours.difficulty, ours.vMerkleTree) == (theirs.difficulty, theirs.vMerkleTree)
    assert ours.get_header() == theirs.get_header()
    assert repr(ours) == repr(theirs).replace("CBlock", "PodlBlock")
    assert PodlBlock.deserialize(theirs.serialize()) == theirs
    with pytest.raises(RejectError) as caught:
        ours.header  # noqa: B018 - a property that raises
    assert caught.value.reason == "podl-commit-size"


def test_defaults_are_the_librarys() -> None:
    assert PodlBlock() == CBlock()
    assert PodlBlockHeader() == CBlockHeader()
    filled = PodlBlock(vtx=TRANSACTIONS, nVersion=PODL_VERSION, hashModel=named("model"))
    assert filled.hashMerkleRoot == HEADER.merkle_root
    with pytest.raises(CheckBlockError):
        PodlBlock(**PODL | {"hashMerkleRoot": named("other")}, vtx=TRANSACTIONS, hashModel=named("model"))


def test_hash_model_is_part_of_what_compares_and_hashes() -> None:
    first, second = (PodlBlockHeader(**PODL, hashModel=named(name)) for name in ("model", "other"))
    assert first == PodlBlockHeader(**PODL, hashModel=named("model"))
    assert first != second
    assert len({hash(first), hash(second)}) == 2
    assert first.GetHash() != second.GetHash()
    assert repr(first) == repr(CBlockHeader(**PODL)).replace("CBlockHeader", "PodlBlockHeader")[:-1] + (
        f", hashModel=x({named('model').hex()}))"
    )


@pytest.mark.parametrize("cls", [PodlBlock, PodlBlockHeader])
@pytest.mark.parametrize(
    ("version", "model"),
    [
        (2, named("model")),
        (0x6000_0000, named("model")),
        (PODL_VERSION, b""),
        (PODL_VERSION, bytes(31)),
        (PODL_VERSION, bytes(33)),
    ],
)
def test_what_would_not_read_back_cannot_be_made(cls: type, version: int, model: bytes) -> None:
    with pytest.raises(ValueError, match=r"hashModel"):
        cls(nVersion=version, hashModel=model)


BLOCKS = {
    "CBlock": CBlock(**ORDINARY, vtx=TRANSACTIONS),
    "CBlockHeader": CBlockHeader(**ORDINARY),
    "PodlBlock": make_block(HEADER, TRANSACTIONS),
    "PodlBlockHeader": PodlBlockHeader(**PODL, hashModel=named("model")),
}


@pytest.mark.parametrize("value", BLOCKS.values(), ids=BLOCKS)
def test_nothing_changes_an_object(value: Any) -> None:
    """Nor can it be copied or pickled: the library's immutable types cannot."""
    for name in ("nVersion", "hashModel", "vtx", "anything"):
        with pytest.raises(AttributeError, match="immutable"):
            setattr(value, name, 1)
        with pytest.raises(AttributeError, match="immutable"):
            delattr(value, name)
    with pytest.raises(AttributeError, match="immutable"):
        copy.copy(value)
    with pytest.raises(AttributeError, match="immutable"):
        pickle.loads(pickle.dumps(value))


def test_block_reads_back_and_hashes_its_header() -> None:
    block = make_block(HEADER, TRANSACTIONS)
    data = block.serialize()
    assert data[:112] == HEADER.serialize()
    assert block.GetHash() == HEADER.hash
    assert type(block.get_header()) is PodlBlockHeader
    assert block.get_header().GetHash() == HEADER.hash
    assert isinstance(block, CBlock)
    assert isinstance(block, PodlBlockHeader)
    again = parse_block(data)
    assert again == block
    assert again.header == HEADER
    assert again.vtx == block.vtx
    assert again.serialize() == data


def test_the_librarys_vectors_write_whole_headers() -> None:
    """`CBlock.stream_serialize` is called on the class there, not on the object."""
    block = make_block(HEADER, TRANSACTIONS)
    f = BytesIO()
    VectorSerializer.stream_serialize(CBlock, [block], f)
    assert f.getvalue() == b"\x01" + block.serialize()


def test_transactions_must_match_the_merkle_root() -> None:
    with pytest.raises(RejectError) as caught:
        make_block(HEADER, TRANSACTIONS[:2])
    assert caught.value.reason == "podl-body-mismatch"
    for header, vtx in (
        (replace(HEADER, merkle_root=ZERO_HASH), TRANSACTIONS),
        (replace(HEADER, version=4), TRANSACTIONS),
        (HEADER, []),
    ):
        with pytest.raises(RejectError) as caught:
            make_block(header, vtx)
        assert caught.value.reason == "podl-body-mismatch"


VALID = make_block(HEADER, TRANSACTIONS).serialize()


@given(data=mutations(st.just(VALID)) | st.binary(max_size=300))
def test_other_bytes_are_refused_by_name(data: bytes) -> None:
    check_canonical(parse_block, data, "podl-body-mismatch")


@given(size=st.integers(0, len(VALID) - 1))
def test_a_cut_block_is_refused(size: int) -> None:
    with pytest.raises(RejectError):
        parse_block(VALID[:size])
    with pytest.raises(RejectError):
        parse_block(VALID + b"\0")
