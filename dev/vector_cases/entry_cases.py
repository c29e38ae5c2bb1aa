"""Cases of entries.json."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from dev.vector_cases.fixture import (
    FIRST_TASK,
    MINER,
    MLP,
    REQUESTER,
    START,
    TASK,
    Json,
    cut_and_extended,
    decoded,
    key,
    make_disclosure,
    named,
    patched,
    refused,
)
from podl_tools.constants import MAX_ENTRY_SIZE, ZERO_HASH
from podl_tools.entry import Body, Entry, FinalBody, ReleaseBody, ShardsBody, Skipped
from podl_tools.keys import SigningKey

_BODY_AT = 2 + 32 + 32 + 8


def build() -> Json:
    """One entry of every type with its fields and id, and bytes that no parser may take."""
    entries = [
        ("first task", FIRST_TASK),
        ("later task", _entry(replace(TASK, first_height=200))),
        ("release", _entry(_release())),
        ("release with empty path and list", _entry(replace(_release(), path=(), listed=()))),
        ("final", _entry(_final())),
        ("final without replay or skipped", _entry(replace(_final(), replayed=False, skipped=()))),
        ("shards", _entry(ShardsBody(named("more shards"), 5))),
    ]
    return {
        "requester_key": REQUESTER.public.hex(),
        "valid": [_valid(case, entry) for case, entry in entries],
        "same_id": _same_id(),
        "invalid": _invalid(),
    }


def _entry(body: Body) -> Entry:
    return Entry.sign(REQUESTER, FIRST_TASK.id, named("entry before"), START + 100, body)


def _release() -> ReleaseBody:
    return ReleaseBody(
        height=101,
        attempt=1,
        prev_block=named("block 100"),
        shard_index=3,
        test_root=named("shard"),
        n=64,
        salt=named("shard salt"),
        path=(named("partner 0"), named("partner 1"), named("partner 2")),
        listed=(named("header 0"), named("header 1")),
    )


def _final() -> FinalBody:
    disclosure = make_disclosure()
    signature = MINER.sign_reveal(FIRST_TASK.id, named("release"), disclosure.header.hash, 50)
    skipped = (Skipped(0, 1), Skipped(3, 2), Skipped(65_535, 3))
    return FinalBody(101, 0, disclosure, 50, signature, replayed=True, skipped=skipped)


def _valid(case: str, entry: Entry) -> Json:
    return {
        "case": case,
        "hex": entry.serialize().hex(),
        "type": int(entry.type),
        "chain_id": entry.chain_id.hex(),
        "prev": entry.prev.hex(),
        "time": entry.time,
        "body": decoded(entry.body),
        "signature": entry.signature.hex(),
        "id": entry.id.hex(),
        "signature_valid": entry.verify(REQUESTER.public),
    }


def _same_id() -> list[Json]:
    """One entry, other signatures: the id stays."""
    entry = _entry(_release())
    second = SigningKey(named("key requester"), aux=named("other randomness"))
    rows = [
        ("another valid signature", replace(entry, signature=second.sign_entry(entry.unsigned))),
        ("signature of another key", replace(entry, signature=key("thief").sign_entry(entry.unsigned))),
        ("null signature", replace(entry, signature=bytes(64))),
    ]
    return [_valid(case, row) for case, row in rows]


def _invalid() -> list[Json]:
    cases = []
    for name, entry in (
        ("task", FIRST_TASK),
        ("release", _entry(_release())),
        ("final", _entry(_final())),
        ("shards", _entry(ShardsBody(named("more shards"), 5))),
    ):
        data = entry.serialize()
        cases += [{**row, "case": f"{name}: {row['case']}"} for row in cut_and_extended(data, Entry.parse)]
    return cases + _invalid_head() + _invalid_task() + _invalid_release() + _invalid_final()


def _invalid_head() -> list[Json]:
    data = _entry(ShardsBody(named("more shards"), 5)).serialize()
    return [
        refused("version 0", patched(data, 0, b"\x00"), Entry.parse),
        refused("version 2", patched(data, 0, b"\x02"), Entry.parse),
        refused("type 0", patched(data, 1, b"\x00"), Entry.parse),
        refused("type 5", patched(data, 1, b"\x05"), Entry.parse),
        refused("type of another body", patched(data, 1, b"\x02"), Entry.parse),
        refused("more than 64 KiB", data + bytes(MAX_ENTRY_SIZE + 1 - len(data)), Entry.parse),
    ]


def _invalid_task() -> list[Json]:
    def encoded(**changes: Any) -> bytes:
        return Entry.sign(REQUESTER, ZERO_HASH, ZERO_HASH, START, replace(TASK, **changes)).serialize()

    program = MLP.serialize()
    first_program_at = _BODY_AT + 1 + 4 + 32 + 32 + 4 + 1 + 2 * len(TASK.dims) + 2 + 1
    data = FIRST_TASK.serialize()
    return [
        refused("task: no dimensions", encoded(dims=()), Entry.parse),
        refused("task: four dimensions", encoded(dims=(2, 2, 2, 2)), Entry.parse),
        refused("task: no programs", encoded(programs=()), Entry.parse),
        refused("task: 17 programs", encoded(programs=(program,) * 17), Entry.parse),
        refused(
            "task: program longer than the rest", patched(data, first_program_at, b"\xff\xff"), Entry.parse
        ),
    ]


def _invalid_release() -> list[Json]:
    data = _entry(_release()).serialize()
    path_at = _BODY_AT + 4 + 2 + 32 + 4 + 32 + 4 + 32
    list_at = path_at + 1 + 3 * 32
    return [
        refused("release: path longer than the rest", patched(data, path_at, b"\xff"), Entry.parse),
        refused("release: list longer than the rest", patched(data, list_at, b"\xff\xff"), Entry.parse),
        refused("release: list one shorter than its bytes", patched(data, list_at, b"\x01"), Entry.parse),
    ]


def _invalid_final() -> list[Json]:
    data = _entry(_final()).serialize()
    script_at = _BODY_AT + 4 + 2 + 112 + 329 + 96
    length = data[script_at]
    flag_at = script_at + 1 + length + 4 + 64
    no_script = data[:script_at] + b"\0" + data[script_at + 1 + length :]
    long_script = data[:script_at] + b"\x81" + bytes(129) + data[script_at + 1 + length :]
    return [
        refused("final: no payout script", no_script, Entry.parse),
        refused("final: payout script of 129 bytes", long_script, Entry.parse),
        refused("final: replayed 2", patched(data, flag_at, b"\x02"), Entry.parse),
        refused("final: more skipped than bytes", patched(data, flag_at + 1, b"\xff\xff"), Entry.parse),
    ]
