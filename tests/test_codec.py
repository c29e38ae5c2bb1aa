from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from podl_tools.codec import Kind, Reader, Writer, layout_size
from podl_tools.errors import FailureClass, RejectError

LAYOUT = (("small", Kind.U8), ("hash", Kind.H32), ("large", Kind.U64))
REASON = "podl-test"


class Record:
    small = 7
    hash = bytes(range(32))
    large = 1 << 63


@pytest.mark.parametrize("kind", [kind for kind in Kind if kind.is_number])
@given(data=st.data())
def test_numbers_are_little_endian_and_read_back(kind: Kind, data: st.DataObject) -> None:
    value = data.draw(st.integers(0, (1 << 8 * kind.size) - 1))
    writer = Writer(REASON)
    writer.number(kind, value)
    assert writer.bytes() == value.to_bytes(kind.size, "little")
    reader = Reader(writer.bytes(), REASON)
    assert reader.number(kind) == value
    reader.finish()


@pytest.mark.parametrize("value", [-1, 256, 1 << 64])
def test_numbers_that_do_not_fit_are_refused(value: int) -> None:
    with pytest.raises(RejectError, match="does not fit u8") as caught:
        Writer(REASON).number(Kind.U8, value)
    assert caught.value.reason == REASON


def test_fields_follow_their_layout() -> None:
    writer = Writer(REASON)
    writer.fields(LAYOUT, Record())
    assert len(writer.bytes()) == layout_size(LAYOUT)
    assert Reader(writer.bytes(), REASON).fields(LAYOUT) == {
        "small": 7,
        "hash": Record.hash,
        "large": 1 << 63,
    }


def test_a_short_read_names_what_is_missing_and_takes_nothing() -> None:
    reader = Reader(b"\x01\x02", REASON)
    with pytest.raises(RejectError, match="expected 3 more bytes, 2 are left") as caught:
        reader.take(3)
    assert caught.value.failure is FailureClass.DATA
    assert reader.take(2) == b"\x01\x02"


def test_a_count_is_checked_before_anything_is_taken() -> None:
    reader = Reader(bytes(64), REASON)
    with pytest.raises(RejectError):
        reader.hashes(1 << 40)
    assert len(reader.hashes(2)) == 2


def test_left_over_bytes_are_refused() -> None:
    reader = Reader(b"\x01\x02", REASON)
    reader.number(Kind.U8)
    with pytest.raises(RejectError, match="1 bytes too many"):
        reader.finish()


@pytest.mark.parametrize(("byte", "expected"), [(b"\x00", False), (b"\x01", True)])
def test_flags(byte: bytes, expected: bool) -> None:
    assert Reader(byte, REASON).flag() is expected


def test_a_flag_has_two_values() -> None:
    with pytest.raises(RejectError, match="received 2"):
        Reader(b"\x02", REASON).flag()


@pytest.mark.parametrize("size", [31, 33])
def test_a_hash_has_32_bytes(size: int) -> None:
    with pytest.raises(RejectError, match=f"expected 32 bytes, received {size}"):
        Writer(REASON).hashes([bytes(32), bytes(size)])
