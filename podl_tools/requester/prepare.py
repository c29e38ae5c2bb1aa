"""Preparing a task: from arrays to sealed shards, a signed task entry and a data directory."""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from podl_tools.constants import HASH_SIZE
from podl_tools.dataset import parse_examples, sample_ids, split
from podl_tools.errors import RejectError
from podl_tools.example_files import load_examples
from podl_tools.examples import Examples
from podl_tools.files import PUBLIC, ChainMark, make_directory, write_file
from podl_tools.keys import SigningKey
from podl_tools.program import parse_program
from podl_tools.requester.signed import SignedEntries
from podl_tools.requester.tasks import TaskShelf, own_key, write_key, write_shards, write_task
from podl_tools.schedule import Schedule
from podl_tools.sealing import SealedTask, seal_more, seal_task
from podl_tools.task import check_later_task
from podl_tools.tool_errors import SettingsError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from podl_tools.sealing import SealedShards, TaskOptions
    from podl_tools.task import Task

__all__ = [
    "ENTRIES",
    "TASKS",
    "TASK_FILE",
    "Ingredients",
    "deal_shards",
    "further_shards",
    "further_task",
    "new_chain",
    "seal",
]

TASKS: Final = "tasks"
ENTRIES: Final = "entries"
TASK_FILE: Final = "task.hex"
_SECRET_SIZE: Final = 32


@dataclass(frozen=True)
class Ingredients:
    """
    What a task is made from.

    Parameters
    ----------
    training, test
        Files with the arrays `samples` (n, ...) int8 and `labels` (n,) uint8 (numpy's .npz).
    programs
        Layer programs as text.
    shards, shard_size
        Number of sealed shards, and samples in each.

    """

    training: Path
    test: Path
    programs: Sequence[str]
    shards: int
    shard_size: int


def deal_shards(test: Examples, shards: int, size: int) -> list[Examples]:
    """
    Deal the test samples into shards, in an order nobody can predict.

    Raises
    ------
    SettingsError
        There are fewer samples than the shards need.

    """
    if shards * size > len(test):
        raise SettingsError(f"{shards} shards of {size} need {shards * size} samples, there are {len(test)}")
    order = list(range(len(test)))
    secrets.SystemRandom().shuffle(order)
    return split(Examples(test.samples[order], test.labels[order]), [size] * shards)


def seal(ingredients: Ingredients, options: TaskOptions, key: SigningKey) -> SealedTask:
    """
    Build a task and seal its shards.

    Raises
    ------
    PodlError
        The ingredients do not make a task that a node takes; the message says why.

    """
    return seal_task(
        load_examples(ingredients.training),
        deal_shards(load_examples(ingredients.test), ingredients.shards, ingredients.shard_size),
        [parse_program(text) for text in ingredients.programs],
        options,
        requester_key=key.public,
        secret=secrets.token_bytes(_SECRET_SIZE),
    )


def new_chain(
    directory: Path, ingredients: Ingredients, options: TaskOptions, secret: bytes | None, now: int
) -> bytes:
    """
    Make a requester's data directory with a signed first task.

    Parameters
    ----------
    directory
        Must not hold a requester yet.
    ingredients, options
        What the task is made from.
    secret
        Secret key to use; None makes one.
    now
        Time of the task entry in seconds.

    Returns
    -------
    bytes
        The chain id.

    Raises
    ------
    SettingsError
        The directory holds a requester already.

    """
    make_directory(directory)
    if any((directory / name).exists() for name in (TASKS, ENTRIES, TASK_FILE)):
        raise SettingsError(f"{directory} holds a requester already; a second one would sign over it")
    secret = secret or secrets.token_bytes(HASH_SIZE)
    key = SigningKey(secret)
    sealed = seal(ingredients, options, key)
    write_key(directory, secret)
    _store(directory, sealed)
    entry = SignedEntries(directory / ENTRIES, key).sign(Schedule(), now, sealed.task)
    ChainMark(directory).check(entry.id)
    write_file(directory / TASK_FILE, f"{entry.serialize().hex()}\n".encode(), PUBLIC)
    return entry.id


def further_task(directory: Path, ingredients: Ingredients, options: TaskOptions) -> bytes:
    """
    Prepare a task that the running requester publishes behind a final.

    Returns
    -------
    bytes
        Root of its shard list, which names it here.

    Raises
    ------
    PodlError
        There is no chain here, or its rules do not allow this task; the message says why.

    """
    key = own_key(directory)
    first = SignedEntries(directory / ENTRIES, key).first_task()
    sealed = seal(ingredients, options, key)
    check_later_task(sealed.task, first)
    _check_fresh(sealed.shards, sealed.task, TaskShelf(directory / TASKS, key.public).tasks)
    _store(directory, sealed)
    return sealed.task.shard_list_root


def further_shards(directory: Path, test: Path, shards: int, size: int, first_height: int | None) -> bytes:
    """
    Seal further shards for a task; the running requester publishes them when the task's own run out.

    Parameters
    ----------
    directory
        The requester's data directory.
    test
        File with the test samples, as in `Ingredients`.
    shards, size
        Number of shards, and samples in each.
    first_height
        Of the task that they continue; None for the latest one.

    Returns
    -------
    bytes
        Root of their list.

    Raises
    ------
    PodlError
        There is no such task here, or its rules do not allow these shards; the message says why.

    """
    key = own_key(directory)
    tasks = TaskShelf(directory / TASKS, key.public).tasks
    found = [old.task for old in tasks if first_height in (None, old.task.first_height)]
    if not found:
        raise SettingsError(f"{directory} has no task whose first height is {first_height}")
    parts = deal_shards(load_examples(test), shards, size)
    sealed = seal_more(parts, found[-1], secret=secrets.token_bytes(_SECRET_SIZE))
    _check_fresh(sealed, found[-1], tasks)
    write_shards(directory / TASKS / found[-1].shard_list_root.hex(), sealed)
    return sealed.root


def _check_fresh(shards: SealedShards, task: Task, earlier: Sequence[SealedTask]) -> None:
    """Refuse shards with a sample that miners of what was prepared before have seen, or will see."""
    seen: set[bytes] = set()
    for old in earlier:
        seen.update(_sample_ids(old.task, old.training, old.task.training_n))
        for shard in (shard for held in old.lists.values() for shard in held):
            seen.update(_sample_ids(old.task, shard.data, shard.n))
    for at, shard in enumerate(shards):
        if not seen.isdisjoint(_sample_ids(task, shard.data, shard.n)):
            raise RejectError("podl-data-overlap", f"a sample of shard {at} is in an earlier task or list")


def _sample_ids(task: Task, data: bytes, n: int) -> list[bytes]:
    return sample_ids(parse_examples(data, n, task.dims, task.classes))


def _store(directory: Path, sealed: SealedTask) -> None:
    make_directory(directory / TASKS)
    write_task(directory / TASKS / sealed.task.shard_list_root.hex(), sealed)
