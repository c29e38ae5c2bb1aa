from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from podl_tools.errors import RejectError
from podl_tools.hashing import Tag, tagged_hash
from podl_tools.keys import ZERO_AUX, SigningKey, entry_id, verify_entry, verify_reveal
from tests.strategies import h32, u32

SECRET = bytes(31) + b"\x03"
KEY = SigningKey(SECRET, aux=ZERO_AUX)
CHAIN, RELEASE, BLOCK = bytes([1]) * 32, bytes([2]) * 32, bytes([3]) * 32


def test_public_key_is_that_of_bip340s_first_vector() -> None:
    assert KEY.public.hex().upper() == "F9308A019258C31049344F85F89D5229B531C845836F99B08601F113BCE036F9"


@given(unsigned=st.binary(max_size=100))
def test_entry_signatures(unsigned: bytes) -> None:
    signature = KEY.sign_entry(unsigned)
    assert verify_entry(KEY.public, unsigned, signature)
    assert not verify_entry(KEY.public, unsigned + b"\0", signature)
    assert not verify_entry(KEY.public, unsigned, bytes(64))
    assert entry_id(unsigned) == tagged_hash(Tag.ENTRY, unsigned)


@given(chain_id=h32, release_id=h32, block_hash=h32, claim=u32)
def test_a_claim_is_signed_with_everything_it_depends_on(
    chain_id: bytes, release_id: bytes, block_hash: bytes, claim: int
) -> None:
    signature = KEY.sign_reveal(chain_id, release_id, block_hash, claim)
    assert verify_reveal(KEY.public, chain_id, release_id, block_hash, claim, signature)
    other = bytes([chain_id[0] ^ 1]) + chain_id[1:]
    assert not verify_reveal(KEY.public, other, release_id, block_hash, claim, signature)
    assert not verify_reveal(KEY.public, chain_id, block_hash, release_id, claim ^ 1, signature)


def test_an_entry_signature_is_no_claim_signature() -> None:
    message = CHAIN + RELEASE + BLOCK + bytes(4)
    assert not verify_reveal(KEY.public, CHAIN, RELEASE, BLOCK, 0, KEY.sign_entry(message))


def test_signatures_without_given_randomness_differ_and_verify() -> None:
    key = SigningKey(SECRET)
    first, second = key.sign_entry(b"x"), key.sign_entry(b"x")
    assert first != second
    assert verify_entry(KEY.public, b"x", first)
    assert verify_entry(KEY.public, b"x", second)


@pytest.mark.parametrize("public", [b"", bytes(32), b"\xff" * 32, KEY.public[:-1], KEY.public + b"\0"])
def test_a_key_that_is_no_point_verifies_nothing(public: bytes) -> None:
    assert not verify_entry(public, b"x", KEY.sign_entry(b"x"))


@pytest.mark.parametrize("size", [0, 63, 65])
def test_a_signature_has_64_bytes(size: int) -> None:
    assert not verify_entry(KEY.public, b"x", bytes(size))


@pytest.mark.parametrize("secret", [b"", bytes(32), b"\xff" * 32, SECRET[1:], SECRET + b"\0"])
def test_a_bad_secret_is_refused_and_not_shown(secret: bytes) -> None:
    with pytest.raises(RejectError) as caught:
        SigningKey(secret)
    assert caught.value.reason == "podl-key"
    assert not secret or secret.hex() not in str(caught.value)


def test_the_secret_is_not_in_the_representation() -> None:
    assert SECRET.hex() not in repr(KEY)
    assert KEY.public.hex() in repr(KEY)
