from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dev.vector_cases.fixture import MINER, make_disclosure, named
from podl_tools.errors import RejectError
from podl_tools.hashing import Tag, tagged_hash
from podl_tools.reveal import Reveal
from tests.strategies import check_canonical, check_exact, mutations, reveals, u32


@given(reveal=reveals, cut=st.integers(0))
def test_reveals_read_back(reveal: Reveal, cut: int) -> None:
    check_exact(Reveal.parse, reveal, cut)


def test_layout() -> None:
    disclosure = make_disclosure()
    reveal = Reveal(disclosure, b"\x01" * 32, 2, b"\x03" * 64)
    disclosed = disclosure.header.serialize() + disclosure.opening.serialize() + disclosure.recipe
    payout = bytes([len(disclosure.payout)]) + disclosure.payout
    assert reveal.serialize() == b"\x01" + disclosed + payout + b"\x01" * 32 + b"\x02\0\0\0" + b"\x03" * 64


@given(data=mutations(reveals.map(Reveal.serialize)) | st.binary(max_size=900))
def test_other_bytes_are_refused_by_name(data: bytes) -> None:
    check_canonical(Reveal.parse, data, "podl-reveal-")


@given(reveal=reveals)
def test_the_id_leaves_the_signature_out(reveal: Reveal) -> None:
    assert reveal.id == tagged_hash(Tag.REVEAL_ID, reveal.serialize()[:-64])
    assert replace(reveal, signature=bytes(64)).id == reveal.id
    assert replace(reveal, claim=reveal.claim ^ 1).id != reveal.id


@given(claim=u32)
def test_a_signed_claim_verifies_for_its_release_and_count(claim: int) -> None:
    reveal = Reveal.sign(MINER, make_disclosure(), named("release"), claim)
    assert reveal.verify()
    assert not replace(reveal, claim=claim ^ 1).verify()
    assert not replace(reveal, release_id=named("other")).verify()


def test_a_claim_is_bound_to_its_block() -> None:
    reveal = Reveal.sign(MINER, make_disclosure(), named("release"), 1)
    header = replace(reveal.disclosure.header, nonce=1)
    assert not replace(reveal, disclosure=replace(reveal.disclosure, header=header)).verify()


def test_at_most_4_kib() -> None:
    with pytest.raises(RejectError) as caught:
        Reveal.parse(bytes(4097))
    assert caught.value.reason == "podl-reveal-size"
    with pytest.raises(RejectError) as caught:
        Reveal.parse(bytes(4096))
    assert caught.value.reason == "podl-reveal-noncanonical"


@pytest.mark.parametrize("size", [0, 129])
def test_the_payout_script_has_1_to_128_bytes(size: int) -> None:
    reveal = Reveal.sign(MINER, make_disclosure(payout=bytes(size)), named("release"), 1)
    with pytest.raises(RejectError, match="payout script"):
        Reveal.parse(reveal.serialize())


def test_a_recipe_out_of_bounds_still_parses() -> None:
    reveal = Reveal.sign(MINER, make_disclosure(recipe=b"\xff" * 96), named("release"), 1)
    assert Reveal.parse(reveal.serialize()).disclosure.recipe == b"\xff" * 96
