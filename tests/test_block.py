from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from bitcoin.core import CBlock, CBlockHeader, CMutableTransaction, CTransaction, CTxIn, CTxOut
from bitcoin.core.script import CScript
from hypothesis import given
from hypothesis import strategies as st

from dev.vector_cases.fixture import PAYOUT, make_header, named
from podl_tools.block import PodlBlock, PodlBlockHeader, make_block, parse_block
from podl_tools.errors import RejectError
from tests.strategies import check_canonical, headers, mutations

if TYPE_CHECKING:
    from podl_tools.header import Header


def make_transaction(value: int) -> CTransaction:
    outputs = [CTxOut(value, CScript(PAYOUT))]
    return CTransaction.from_tx(CMutableTransaction([CTxIn(scriptSig=CScript(b"\x01\x65\x00"))], outputs))


TRANSACTIONS = [make_transaction(value) for value in (50, 10, 1)]
HEADER = make_header(named("model"), merkle_root=CBlock.build_merkle_tree_from_txs(TRANSACTIONS)[-1])


@given(header=headers)
def test_header_of_the_library_has_112_bytes(header: Header) -> None:
    wrapped = PodlBlockHeader(header)
    assert isinstance(wrapped, CBlockHeader)
    assert wrapped.serialize() == header.serialize()
    assert wrapped.GetHash() == header.hash
    assert PodlBlockHeader.deserialize(header.serialize()) == wrapped
    assert wrapped.hashModel == header.model_hash


def test_block_reads_back_and_hashes_its_header() -> None:
    block = make_block(HEADER, TRANSACTIONS)
    data = block.serialize()
    assert data[:112] == HEADER.serialize()
    assert block.GetHash() == HEADER.hash
    assert block.get_header().GetHash() == HEADER.hash
    again = parse_block(data)
    assert isinstance(again, CBlock)
    assert again.header == HEADER
    assert again.vtx == block.vtx
    assert again.serialize() == data
    assert PodlBlock.deserialize(data) == block


def test_transactions_must_match_the_merkle_root() -> None:
    with pytest.raises(RejectError) as caught:
        make_block(HEADER, TRANSACTIONS[:2])
    assert caught.value.reason == "podl-body-mismatch"
    null_root = replace(HEADER, merkle_root=bytes(32))
    with pytest.raises(RejectError):
        make_block(null_root, TRANSACTIONS)
    with pytest.raises(RejectError):
        make_block(HEADER, [])


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
