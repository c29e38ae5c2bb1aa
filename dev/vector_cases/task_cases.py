"""Cases of task.json."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from dev.vector_cases.fixture import (
    CONV,
    FIRST_TASK,
    LINEAR,
    MLP,
    REQUESTER,
    START,
    TASK,
    Json,
    decoded,
    key,
    outcome,
)
from podl_tools.constants import ZERO_HASH
from podl_tools.entry import Entry
from podl_tools.program import parse_program
from podl_tools.task import Task, check_later_task, check_task

_U32 = (1 << 32) - 1
_U64 = (1 << 64) - 1
_MIB = 1 << 20
_LARGE = parse_program("input 16, dense 1000, dense 1000, output 4")

# Changes that leave the task within range.
VALID: tuple[tuple[str, dict[str, Any]], ...] = (
    ("as it is", {}),
    ("highest list and pool", {"list_size": 64, "pool_size": 512}),
    ("highest limits", {"max_weights": 4 * _MIB, "buffer_bytes": 32 * _MIB, "disk_bytes": 256 * _MIB}),
    (
        "lowest limits",
        {"buffer_bytes": 0, "disk_bytes": 0, "min_commit": 0, "min_reveal": 0, "max_replays": 0},
    ),
    ("all shards of one size", {"shard_min": 128, "shard_max": 128}),
    (
        "longest phase and fastest evaluation",
        {"max_phase": _U32, "min_reveal": _U32, "evaluation_rate": _U64},
    ),
    ("another shape of the same size", {"dims": (16,)}),
    ("most shards and samples", {"n_shards": 65_536, "training_n": 1 << 24}),
    ("no stamp, no replay", {"stamp_bits": 0, "require_replay": 0}),
    ("exact number of parameters", {"max_weights": MLP.n_params}),
    ("budget used up", {"evaluation_rate": 3 * 8 * CONV.macs * 128, "max_phase": 1, "min_reveal": 1}),
)
RANGE: tuple[tuple[str, dict[str, Any]], ...] = (
    ("arithmetic 0", {"arithmetic": 0}),
    ("arithmetic 2", {"arithmetic": 2}),
    ("first height 0", {"first_height": 0}),
    ("null key", {"requester_key": ZERO_HASH}),
    ("null training root", {"training_root": ZERO_HASH}),
    ("null shard list root", {"shard_list_root": ZERO_HASH}),
    ("fewer samples than a batch", {"training_n": 7}),
    ("too many samples", {"training_n": (1 << 24) + 1}),
    ("dimension 0", {"dims": (16, 0)}),
    ("programs for another shape", {"dims": (15,)}),
    ("one class", {"classes": 1}),
    ("257 classes", {"classes": 257}),
    ("programs for another number of classes", {"classes": 5}),
    ("empty program", {"programs": (b"",)}),
    ("program with a byte too many", {"programs": (LINEAR.serialize() + b"\0",)}),
    ("second program malformed", {"programs": (LINEAR.serialize(), LINEAR.serialize()[:-1])}),
    ("more parameters than max_weights", {"max_weights": MLP.n_params - 1}),
    ("program of a million parameters", {"programs": (_LARGE.serialize(),), "max_weights": _MIB - 65_536}),
    ("b_min 0", {"b_min": 0}),
    ("b_max 16", {"b_max": 16}),
    ("b_min above b_max", {"b_min": 9, "b_max": 8, "training_n": 1024}),
    ("epochs_min 0", {"epochs_min": 0}),
    ("epochs_max 255", {"epochs_max": 255}),
    ("epochs_min above epochs_max", {"epochs_min": 11}),
    ("k_max 17", {"k_max": 17}),
    ("k_min above k_max", {"k_min": 9}),
    ("no shards", {"n_shards": 0}),
    ("too many shards", {"n_shards": 65_537}),
    ("shard_min 63", {"shard_min": 63}),
    ("shard_max 20001", {"shard_max": 20_001, "evaluation_rate": _U64}),
    ("shard_min above shard_max", {"shard_min": 129}),
    ("max_phase below min_reveal", {"max_phase": 19}),
    ("require_replay 2", {"require_replay": 2}),
    ("stamp_bits 33", {"stamp_bits": 33}),
    ("list_size 0", {"list_size": 0}),
    ("list_size 65", {"list_size": 65, "pool_size": 65}),
    ("pool smaller than the list", {"pool_size": 7}),
    ("pool_size 513", {"pool_size": 513}),
    ("max_weights 0", {"max_weights": 0}),
    ("max_weights above 4 MiB", {"max_weights": 4 * _MIB + 1}),
    ("chunks_in_flight 0", {"chunks_in_flight": 0}),
    ("chunks_in_flight 17", {"chunks_in_flight": 17}),
    ("downloads 0", {"downloads": 0}),
    ("downloads 9", {"downloads": 9}),
    ("buffer_bytes above 32 MiB", {"buffer_bytes": 32 * _MIB + 1}),
    ("disk_bytes above 256 MiB", {"disk_bytes": 256 * _MIB + 1}),
)
BUDGET: tuple[tuple[str, dict[str, Any]], ...] = (
    (
        "one multiply-add a second short",
        {"evaluation_rate": 3 * 8 * CONV.macs * 128 - 1, "max_phase": 1, "min_reveal": 1},
    ),
    ("rate 0", {"evaluation_rate": 0}),
    ("phase 0", {"max_phase": 0, "min_reveal": 0}),
)
LATER: tuple[tuple[str, dict[str, Any]], ...] = (
    ("unchanged", {}),
    (
        "tighter everywhere",
        {"stamp_bits": 3, "list_size": 7, "pool_size": 15, "shard_max": 100, "min_commit": 11},
    ),
    (
        "another training set and shards",
        {"training_root": bytes([7]) * 32, "shard_list_root": bytes([8]) * 32},
    ),
    ("another key", {"requester_key": key("other").public}),
    ("stamp_bits above", {"stamp_bits": 5}),
    ("list_size above", {"list_size": 9}),
    ("pool_size above", {"pool_size": 17}),
    ("max_weights above", {"max_weights": 1001}),
    ("buffer_bytes above", {"buffer_bytes": (1 << 20) + 1}),
    ("disk_bytes above", {"disk_bytes": (1 << 24) + 1}),
    ("shard_max above", {"shard_max": 129}),
    ("min_commit below", {"min_commit": 9}),
    ("min_reveal below", {"min_reveal": 19}),
    ("max_phase above", {"max_phase": 61}),
)


def build() -> Json:
    """Tasks with their fields and sizes, tasks out of range or budget, later tasks against the first."""
    return {
        "valid": [_valid(case, replace(TASK, **changes)) for case, changes in VALID],
        "invalid": [_checked(case, changes) for case, changes in RANGE + BUDGET],
        "first": FIRST_TASK.serialize().hex(),
        "later": [_later(case, changes) for case, changes in LATER],
    }


def _entry(task: Task) -> Entry:
    return Entry.sign(REQUESTER, ZERO_HASH, ZERO_HASH, START, task)


def _valid(case: str, task: Task) -> Json:
    check_task(task)
    entry = _entry(task)
    sizes = [{"n_params": program.n_params, "macs": program.macs} for program in task.loaded_programs]
    return {
        "case": case,
        "hex": entry.serialize().hex(),
        "id": entry.id.hex(),
        "fields": decoded(task),
        "programs": sizes,
    }


def _checked(case: str, changes: dict[str, Any]) -> Json:
    task = replace(TASK, **changes)
    reason = outcome(lambda: check_task(task))["reason"]
    if not reason:
        raise ValueError(f"case {case!r} is in range")
    return {"case": case, "hex": _entry(task).serialize().hex(), "reason": reason}


def _later(case: str, changes: dict[str, Any]) -> Json:
    task = replace(TASK, first_height=TASK.first_height + 10, **changes)
    entry = Entry.sign(REQUESTER, FIRST_TASK.id, FIRST_TASK.id, START + 1, task)
    reason = outcome(lambda: check_later_task(task, TASK))["reason"]
    return {"case": case, "hex": entry.serialize().hex(), "reason": reason}
