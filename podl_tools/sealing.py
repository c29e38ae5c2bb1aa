"""
What a requester prepares: a task from arrays, and the test shards that stay sealed until their release.

Pure: nothing is read or written, the requester's secret is handed in.
"""

from __future__ import annotations

import hmac
from dataclasses import asdict, dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Final

from podl_tools.constants import ARITHMETIC_VERSION
from podl_tools.dataset import check_disjoint, serialize_examples, shard_commitment
from podl_tools.errors import RejectError
from podl_tools.merkle import data_root, tree_proof, tree_root
from podl_tools.task import Task, check_task

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from podl_tools.examples import Examples
    from podl_tools.program import Program

__all__ = ["SealedShard", "SealedShards", "SealedTask", "TaskOptions", "seal_more", "seal_task"]

_MIN_SECRET: Final = 16


@dataclass(frozen=True)
class TaskOptions:
    """
    The requester's choices; fields as in `Task`.

    Defaults are those of a test network: they suit small models on ordinary machines.
    """

    first_height: int
    min_commit: int
    min_reveal: int
    max_phase: int
    b_min: int = 3
    b_max: int = 8
    epochs_min: int = 1
    epochs_max: int = 50
    k_min: int = 3
    k_max: int = 10
    max_replay_macs: int = 10**12
    require_replay: int = 1
    max_replays: int = 4
    stamp_bits: int = 0
    list_size: int = 64
    pool_size: int = 64
    max_weights: int = 1 << 20
    evaluation_rate: int = 10**9
    chunks_in_flight: int = 4
    downloads: int = 8
    buffer_bytes: int = 32 << 20
    disk_bytes: int = 256 << 20


@dataclass(frozen=True)
class SealedShard:
    """
    A test shard as its requester keeps it.

    Parameters
    ----------
    data
        Bytes of the data set.
    n
        Number of samples.
    salt
        32 bytes, published with the release.

    """

    data: bytes
    n: int
    salt: bytes

    @cached_property
    def root(self) -> bytes:
        """Merkle root of the bytes."""
        return data_root(self.data)

    @property
    def commitment(self) -> bytes:
        """Leaf of the task's shard list."""
        return shard_commitment(self.salt, self.root, self.n)


class SealedShards(tuple[SealedShard, ...]):
    """One list of sealed test shards, in the order of their release."""

    __slots__ = ()

    @property
    def root(self) -> bytes:
        """Root of the list."""
        return tree_root([shard.commitment for shard in self])

    def path(self, index: int) -> tuple[bytes, ...]:
        """Partners that lead from shard `index` to the list's root."""
        return tuple(tree_proof([shard.commitment for shard in self], index))


@dataclass(frozen=True)
class SealedTask:
    """
    A task with the data behind its roots.

    Parameters
    ----------
    task
        What is published.
    training
        Bytes of the training set.
    lists
        Sealed test shards by the root of their list: the task's own first, then those that continue it.

    """

    task: Task
    training: bytes
    lists: Mapping[bytes, SealedShards]

    @property
    def shards(self) -> SealedShards:
        """The task's own shards."""
        return self.lists[self.task.shard_list_root]

    def shard(self, test_root: bytes) -> SealedShard:
        """
        Return the shard with this root.

        Raises
        ------
        RejectError
            `podl-data-shards`: it is in none of the lists.

        """
        for shards in self.lists.values():
            for shard in shards:
                if shard.root == test_root:
                    return shard
        raise RejectError("podl-data-shards", f"no sealed shard has the root {test_root.hex()}")


def seal_task(
    training: Examples,
    shards: Sequence[Examples],
    programs: Sequence[Program],
    options: TaskOptions,
    *,
    requester_key: bytes,
    secret: bytes,
) -> SealedTask:
    """
    Build a task and seal its shards.

    Parameters
    ----------
    training
        Training set; its sample shape is the task's.
    shards
        Test shards in the order of their release, of one shape with the training set.
    programs
        Layer programs a recipe may choose from.
    options
        Everything else.
    requester_key
        x-only key that signs the schedule.
    secret
        At least 16 bytes that only the requester has; the shards' salts follow from it.

    Raises
    ------
    RejectError
        `podl-data-shape`: no shards, or of another shape; `podl-key`: the secret is too short;
        `podl-shard-label`: a label is no class; `podl-data-overlap`: a sample is in two parts;
        `podl-task-range` or `podl-task-budget`: no node would take this task.

    """
    shape = training.samples.shape[1:]
    if not programs:
        raise RejectError("podl-data-shape", "expected at least one program")
    classes = programs[0].classes
    _check_parts(shards, shape, classes, secret)
    if training.labels.max(initial=0) >= classes:
        raise RejectError("podl-shard-label", f"labels must be below {classes}")
    check_disjoint([("training set", training), *((f"shard {at}", part) for at, part in enumerate(shards))])
    sealed = _seal(shards, secret)
    data = serialize_examples(training)
    task = Task(
        arithmetic=ARITHMETIC_VERSION,
        requester_key=requester_key,
        training_root=data_root(data),
        training_n=len(training),
        dims=tuple(shape),
        classes=classes,
        programs=tuple(program.serialize() for program in programs),
        n_shards=len(sealed),
        shard_list_root=sealed.root,
        shard_min=min(shard.n for shard in sealed),
        shard_max=max(shard.n for shard in sealed),
        **asdict(options),
    )
    check_task(task)
    return SealedTask(task, data, {sealed.root: sealed})


def seal_more(shards: Sequence[Examples], task: Task, *, secret: bytes) -> SealedShards:
    """
    Seal further shards for a task whose own run out.

    Raises
    ------
    RejectError
        `podl-data-shape`: no shards, or of another shape; `podl-key`: the secret is too short;
        `podl-shard-label`: a label is no class; `podl-shard-size`: not shard_min..shard_max samples;
        `podl-data-overlap`: a sample is in two shards.

    """
    if any(not task.shard_min <= len(part) <= task.shard_max for part in shards):
        raise RejectError("podl-shard-size", f"a shard has {task.shard_min}..{task.shard_max} samples")
    _check_parts(shards, task.dims, task.classes, secret)
    check_disjoint([(f"shard {at}", part) for at, part in enumerate(shards)])
    return _seal(shards, secret)


def _check_parts(shards: Sequence[Examples], shape: tuple[int, ...], classes: int, secret: bytes) -> None:
    if not shards or any(shard.samples.shape[1:] != shape for shard in shards):
        raise RejectError("podl-data-shape", f"expected shards with samples of shape {shape}")
    if len(secret) < _MIN_SECRET:
        raise RejectError("podl-key", f"the secret needs {_MIN_SECRET} bytes, received {len(secret)}")
    if any(part.labels.max(initial=0) >= classes for part in shards):
        raise RejectError("podl-shard-label", f"labels must be below {classes}")


def _seal(shards: Sequence[Examples], secret: bytes) -> SealedShards:
    return SealedShards(
        SealedShard(serialize_examples(part), len(part), _salt(secret, at)) for at, part in enumerate(shards)
    )


def _salt(secret: bytes, index: int) -> bytes:
    return hmac.digest(secret, b"PoDL shard salt" + index.to_bytes(4, "little"), "sha256")
