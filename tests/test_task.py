from __future__ import annotations

from dataclasses import fields, replace
from typing import Any

import pytest
from hypothesis import given

from dev.vector_cases.fixture import CONV, LINEAR, MLP, REQUESTER, TASK, key
from dev.vector_cases.task_cases import BUDGET, LATER, RANGE, VALID
from podl_tools.codec import Reader, Writer
from podl_tools.constants import ZERO_HASH
from podl_tools.entry import Entry
from podl_tools.errors import ProgramError, RejectError
from podl_tools.task import Task, check_later_task, check_task
from tests.strategies import tasks

U64_MAX = (1 << 64) - 1


def test_fields_stand_in_the_order_of_their_bytes() -> None:
    """Every field is given its own value; the bytes then show their order."""
    numbers: dict[str, Any] = {
        field.name: index + 1 for index, field in enumerate(fields(Task)) if field.type == "int"
    }
    names = ("requester_key", "training_root", "shard_list_root")
    roots: dict[str, Any] = {name: bytes([200 + at]) * 32 for at, name in enumerate(names)}
    task = replace(TASK, **numbers, **roots, dims=(51, 52), programs=(b"\x53", b"\x54\x55"))
    writer = Writer("podl-test")
    task.write(writer)
    assert writer.bytes().hex() == (
        "01" "02000000" + "c8" * 32 + "c9" * 32 + "05000000" "02" "3300" "3400" "0700" "02"
        "0100" "53" "0200" "5455"
        "09" "0a" "0b" "0c" "0d" "0e" "0f00000000000000" "10000000" + "ca" * 32 + "12000000" "13000000"
        "14000000" "15000000" "16000000" "17" "18" "19" "1a00" "1b00" "1c000000" "1d00000000000000"
        "1e" "1f" "20000000" "21000000"
    )  # fmt: skip
    assert Task.read(Reader(writer.bytes(), "podl-test")) == task


def test_programs_load_with_the_tasks_shape() -> None:
    assert TASK.loaded_programs == (MLP, LINEAR, CONV)
    assert TASK.sample_size == 16


@pytest.mark.parametrize("changes", [{"dims": (15,)}, {"classes": 3}])
def test_programs_of_another_shape_do_not_load(changes: dict[str, Any]) -> None:
    with pytest.raises(ProgramError, match="the task has"):
        replace(TASK, **changes).loaded_programs  # noqa: B018  the property raises


@pytest.mark.parametrize(("case", "changes"), VALID)
def test_tasks_within_their_caps(case: str, changes: dict[str, Any]) -> None:
    assert case
    check_task(replace(TASK, **changes))


@pytest.mark.parametrize(("case", "changes"), RANGE)
def test_hard_caps(case: str, changes: dict[str, Any]) -> None:
    with pytest.raises(RejectError) as caught:
        check_task(replace(TASK, **changes))
    assert caught.value.reason == "podl-task-range", case


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"list_size": 65, "pool_size": 65}, "list_size must be 1..64, received 65"),
        ({"shard_min": 129}, "shard_min 129 exceeds shard_max 128"),
        ({"pool_size": 513}, "pool_size must be at most 512"),
        ({"training_n": 7}, "do not fill a batch"),
        ({"requester_key": ZERO_HASH}, "null"),
        ({"max_weights": MLP.n_params - 1}, "parameters exceed max_weights"),
    ],
)
def test_messages_name_the_field(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(RejectError, match=message):
        check_task(replace(TASK, **changes))


@pytest.mark.parametrize(("case", "changes"), BUDGET)
def test_budget(case: str, changes: dict[str, Any]) -> None:
    with pytest.raises(RejectError) as caught:
        check_task(replace(TASK, **changes))
    assert caught.value.reason == "podl-task-budget", case


def test_budget_does_not_wrap_at_64_bits() -> None:
    check_task(replace(TASK, evaluation_rate=U64_MAX, max_phase=(1 << 32) - 1))


@pytest.mark.parametrize(("case", "changes"), LATER)
def test_later_tasks(case: str, changes: dict[str, Any]) -> None:
    later = replace(TASK, first_height=200, **changes)
    if case in {"unchanged", "tighter everywhere", "another training set and shards"}:
        check_later_task(later, TASK)
        return
    with pytest.raises(RejectError) as caught:
        check_later_task(later, TASK)
    assert caught.value.reason == "podl-task-conflict", case


def is_bound(name: str, step: int) -> bool:
    """Whether a later task may not move this field that way."""
    changes: dict[str, Any] = {name: getattr(TASK, name) + step}
    try:
        check_later_task(replace(TASK, **changes), TASK)
    except RejectError:
        return True
    return False


@given(task=tasks)
def test_any_task_passes_or_is_refused_by_name(task: Task) -> None:
    try:
        check_task(task)
    except RejectError as error:
        refusal = error
    else:
        assert task.loaded_programs
        return
    assert refusal.reason in {"podl-task-range", "podl-task-budget"}


def test_every_cap_of_the_protocol_binds_later_tasks() -> None:
    """Raise or lower each field by one; only those that the protocol names may be refused."""
    numbers = [field.name for field in fields(Task) if field.type == "int"]
    bound = {(name, step) for name in numbers for step in (1, -1) if is_bound(name, step)}
    assert bound == {
        *((name, 1) for name in ("stamp_bits", "list_size", "pool_size", "max_weights")),
        *((name, 1) for name in ("buffer_bytes", "disk_bytes", "shard_max", "max_phase")),
        *((name, -1) for name in ("min_commit", "min_reveal")),
    }
    with pytest.raises(RejectError, match="key"):
        check_later_task(replace(TASK, requester_key=key("other").public), TASK)


@pytest.mark.parametrize(
    "changes", [{"dims": ()}, {"dims": (1, 1, 1, 1)}, {"programs": ()}, {"programs": (b"",) * 17}]
)
def test_counts_outside_the_layout_do_not_parse(changes: dict[str, Any]) -> None:
    entry = Entry.sign(REQUESTER, ZERO_HASH, ZERO_HASH, 0, replace(TASK, **changes))
    with pytest.raises(RejectError) as caught:
        Entry.parse(entry.serialize())
    assert caught.value.reason == "podl-entry-noncanonical"
