from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dev.vector_cases.fixture import FIRST_TASK, REQUESTER, TASK, key, make_disclosure
from podl_tools.entry import Entry, EntryType, FinalBody, ReleaseBody, ShardsBody, Skipped
from podl_tools.errors import RejectError
from podl_tools.hashing import Tag, tagged_hash
from podl_tools.task import Task
from tests.strategies import check_canonical, check_exact, entries, mutations

BODIES = {
    EntryType.TASK: Task,
    EntryType.RELEASE: ReleaseBody,
    EntryType.FINAL: FinalBody,
    EntryType.SHARDS: ShardsBody,
}


@given(entry=entries, cut=st.integers(0))
def test_entries_read_back(entry: Entry, cut: int) -> None:
    check_exact(Entry.parse, entry, cut)
    assert BODIES[EntryType(entry.serialize()[1])] is type(entry.body)


def test_layout_of_a_release() -> None:
    body = ReleaseBody(
        1, 2, b"\x03" * 32, 4, b"\x05" * 32, 6, b"\x07" * 32, (b"\x08" * 32,), (b"\x09" * 32,) * 2
    )
    entry = Entry(b"\xaa" * 32, b"\xbb" * 32, 0xCC, body, b"\xdd" * 64)
    assert entry.serialize().hex() == (
        "0102" + "aa" * 32 + "bb" * 32 + "cc00000000000000"
        "01000000" "0200" + "03" * 32 + "04000000" + "05" * 32 + "06000000" + "07" * 32
        + "01" + "08" * 32 + "0200" + "09" * 64 + "dd" * 64
    )  # fmt: skip


def test_layout_of_a_final() -> None:
    disclosure = make_disclosure()
    skipped = (Skipped(0x0102, 3),)
    body = FinalBody(1, 2, disclosure, 4, b"\x05" * 64, replayed=True, skipped=skipped)
    entry = Entry(b"\xaa" * 32, b"\xbb" * 32, 0xCC, body, b"\xdd" * 64)
    disclosed = disclosure.header.serialize() + disclosure.opening.serialize() + disclosure.recipe
    assert entry.serialize().hex() == (
        "0103" + "aa" * 32 + "bb" * 32 + "cc00000000000000" "01000000" "0200" + disclosed.hex()
        + f"{len(disclosure.payout):02x}" + disclosure.payout.hex()
        + "04000000" + "05" * 64 + "01" "0100" "0201" "03" + "dd" * 64
    )  # fmt: skip


def test_layout_of_more_shards() -> None:
    entry = Entry(bytes(32), bytes(32), 0, ShardsBody(b"\x01" * 32, 2), bytes(64))
    assert entry.serialize().hex() == "0104" + "00" * 72 + "01" * 32 + "02000000" + "00" * 64


@given(data=mutations(entries.map(Entry.serialize)) | st.binary(max_size=1500))
def test_other_bytes_are_refused_by_name(data: bytes) -> None:
    check_canonical(Entry.parse, data, "podl-entry-noncanonical")


@given(entry=entries)
def test_the_id_leaves_the_signature_out(entry: Entry) -> None:
    assert entry.id == tagged_hash(Tag.ENTRY, entry.serialize()[:-64])
    assert replace(entry, signature=bytes(64)).id == entry.id
    assert replace(entry, time=entry.time ^ 1).id != entry.id


@given(entry=entries)
def test_signed_entries_verify(entry: Entry) -> None:
    signed = Entry.sign(REQUESTER, entry.chain_id, entry.prev, entry.time, entry.body)
    assert signed.verify(REQUESTER.public)
    assert not signed.verify(key("thief").public)
    assert not replace(signed, time=signed.time ^ 1).verify(REQUESTER.public)


@pytest.mark.parametrize(("offset", "value"), [(0, 0), (0, 2), (1, 0), (1, 5), (1, 255)])
def test_unknown_versions_and_types(offset: int, value: int) -> None:
    data = bytearray(FIRST_TASK.serialize())
    data[offset] = value
    with pytest.raises(RejectError) as caught:
        Entry.parse(bytes(data))
    assert caught.value.reason == "podl-entry-noncanonical"


def test_at_most_64_kib() -> None:
    task = replace(TASK, programs=(bytes(60_000),))
    fitting = Entry.sign(REQUESTER, bytes(32), bytes(32), 0, task)
    assert Entry.parse(fitting.serialize()) == fitting
    spare = 65_536 - len(fitting.serialize())
    full = Entry.sign(REQUESTER, bytes(32), bytes(32), 0, replace(TASK, programs=(bytes(60_000 + spare),)))
    assert len(full.serialize()) == 65_536
    large = Entry.sign(REQUESTER, bytes(32), bytes(32), 0, replace(TASK, programs=(bytes(60_001 + spare),)))
    with pytest.raises(RejectError, match="at most 65536"):
        large.serialize()
    with pytest.raises(RejectError, match="at most 65536"):
        Entry.parse(large.unsigned + large.signature)


@pytest.mark.parametrize(
    "changes", [{"time": -1}, {"time": 1 << 64}, {"prev": b""}, {"signature": bytes(63)}]
)
def test_fields_that_do_not_fit_are_refused(changes: dict[str, int | bytes]) -> None:
    with pytest.raises(RejectError) as caught:
        replace(FIRST_TASK, **changes).serialize()  # type: ignore[arg-type]  # wrong on purpose
    assert caught.value.reason == "podl-entry-noncanonical"
