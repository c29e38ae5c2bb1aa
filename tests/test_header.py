from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dev.vector_cases.fixture import REGTEST_BITS, make_header, named
from podl_tools.errors import RejectError
from podl_tools.hashing import sha256d
from podl_tools.header import GrindError, Header, check_commitment, grind, is_podl_version
from tests.strategies import check_canonical, check_exact, headers

MAINNET_BITS = 0x1D00FFFF


@given(header=headers, cut=st.integers(0))
def test_headers_read_back(header: Header, cut: int) -> None:
    assert len(header.serialize()) == 112
    assert header.hash == sha256d(header.serialize())
    check_exact(Header.parse, header, cut)


def test_layout() -> None:
    header = Header(0x40000001, b"\x01" * 32, b"\x02" * 32, 3, 4, 5, b"\x06" * 32)
    assert header.serialize().hex() == (
        "01000040" + "01" * 32 + "02" * 32 + "03000000" + "04000000" + "05000000" + "06" * 32
    )


@given(data=st.binary(max_size=300))
def test_other_bytes_are_refused_by_name(data: bytes) -> None:
    check_canonical(Header.parse, data, "podl-commit-size")


@given(data=headers.map(Header.serialize) | st.binary(max_size=300), stamp_bits=st.integers(0, 3))
def test_a_commitment_passes_or_is_refused_by_name(data: bytes, stamp_bits: int) -> None:
    check_canonical(lambda raw: check_commitment(raw, stamp_bits), data, "podl-")


@pytest.mark.parametrize(
    ("version", "expected"),
    [
        (0x40000000, True),
        (0x5FFFFFFF, True),
        (0x20000000, False),
        (0x60000000, False),
        (4, False),
        (-1, False),
    ],
)
def test_version_bits(version: int, expected: bool) -> None:
    assert is_podl_version(version) is expected


@pytest.mark.parametrize("stamp_bits", [0, 1, 5, 9])
def test_grinding_meets_the_stamp_with_the_first_nonce(stamp_bits: int) -> None:
    found = grind(make_header(named("model")), stamp_bits)
    assert found.meets_stamp(stamp_bits)
    assert check_commitment(found.serialize(), stamp_bits) == found
    assert int.from_bytes(found.hash, "little") < 1 << (256 - stamp_bits)
    earlier = [replace(found, nonce=nonce) for nonce in range(found.nonce)]
    limit = min(1 << 255, 1 << (256 - stamp_bits))
    assert not [header for header in earlier if int.from_bytes(header.hash, "little") < limit]


def test_grinding_keeps_everything_but_the_nonce() -> None:
    header = make_header(named("model"))
    assert replace(grind(header, 4), nonce=0) == header


def test_grinding_obeys_bitcoins_bits_too() -> None:
    found = grind(make_header(named("model"), bits=0x1F7FFFFF), 0)
    assert int.from_bytes(found.hash, "little") <= 0x7FFFFF << 8 * (0x1F - 3)
    assert not make_header(named("model"), bits=REGTEST_BITS).meets_stamp(256)


def test_grinding_ends_with_the_nonces() -> None:
    header = make_header(named("model"), bits=MAINNET_BITS, nonce=(1 << 32) - 3)
    with pytest.raises(GrindError) as caught:
        grind(header, 32)
    assert caught.value.reason == "podl-commit-stamp"


@pytest.mark.parametrize(
    "changes",
    [{"time": 1 << 32}, {"nonce": -1}, {"version": 1 << 31}, {"prev_block": b""}, {"model_hash": bytes(33)}],
)
def test_fields_that_do_not_fit_are_refused(changes: dict[str, int | bytes]) -> None:
    with pytest.raises(RejectError) as caught:
        replace(make_header(named("model")), **changes).serialize()  # type: ignore[arg-type]  # wrong on purpose
    assert caught.value.reason == "podl-commit-size"
