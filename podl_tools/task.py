"""
What the requester wants learned: the body of a `task` entry (protocol section 5).

`Task.read` reads the layout alone; `check_task` applies the hard caps and the evaluation budget,
`check_later_task` the rules that bind a later task to the chain's first one.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from math import prod
from typing import TYPE_CHECKING, Final

from podl_tools.codec import Kind, Layout
from podl_tools.constants import ARITHMETIC_VERSION, MAX_SHARDS, ZERO_HASH
from podl_tools.errors import ProgramError, RejectError
from podl_tools.program import Program

if TYPE_CHECKING:
    from podl_tools.codec import Reader, Writer

__all__ = ["Task", "check_later_task", "check_task"]

_MIB: Final = 1 << 20
_MAX_DIMENSIONS: Final = 3
_MAX_PROGRAMS: Final = 16

_HEAD: Final[Layout] = (
    ("arithmetic", Kind.U8),
    ("first_height", Kind.U32),
    ("requester_key", Kind.H32),
    ("training_root", Kind.H32),
    ("training_n", Kind.U32),
)
_TAIL: Final[Layout] = (
    ("b_min", Kind.U8),
    ("b_max", Kind.U8),
    ("epochs_min", Kind.U8),
    ("epochs_max", Kind.U8),
    ("k_min", Kind.U8),
    ("k_max", Kind.U8),
    ("max_replay_macs", Kind.U64),
    ("n_shards", Kind.U32),
    ("shard_list_root", Kind.H32),
    ("shard_min", Kind.U32),
    ("shard_max", Kind.U32),
    ("min_commit", Kind.U32),
    ("min_reveal", Kind.U32),
    ("max_phase", Kind.U32),
    ("require_replay", Kind.U8),
    ("max_replays", Kind.U8),
    ("stamp_bits", Kind.U8),
    ("list_size", Kind.U16),
    ("pool_size", Kind.U16),
    ("max_weights", Kind.U32),
    ("evaluation_rate", Kind.U64),
    ("chunks_in_flight", Kind.U8),
    ("downloads", Kind.U8),
    ("buffer_bytes", Kind.U32),
    ("disk_bytes", Kind.U32),
)
# Fields with a fixed range: name, lowest, highest.
_RANGES: Final = (
    ("arithmetic", ARITHMETIC_VERSION, ARITHMETIC_VERSION),
    ("first_height", 1, 0xFFFF_FFFF),
    ("classes", 2, 256),
    ("list_size", 1, 64),
    ("max_weights", 1, 4 * _MIB),
    ("shard_min", 64, 20_000),
    ("shard_max", 64, 20_000),
    ("b_min", 1, 15),
    ("b_max", 1, 15),
    ("epochs_min", 1, 254),
    ("epochs_max", 1, 254),
    ("k_min", 0, 16),
    ("k_max", 0, 16),
    ("require_replay", 0, 1),
    ("stamp_bits", 0, 32),
    ("chunks_in_flight", 1, 16),
    ("downloads", 1, 8),
    ("buffer_bytes", 0, 32 * _MIB),
    ("disk_bytes", 0, 256 * _MIB),
    ("n_shards", 1, MAX_SHARDS),
    ("training_n", 1, 1 << 24),
)
# Pairs whose first must not exceed the second.
_ORDERED: Final = (
    ("shard_min", "shard_max"),
    ("b_min", "b_max"),
    ("epochs_min", "epochs_max"),
    ("k_min", "k_max"),
    ("list_size", "pool_size"),
    ("min_reveal", "max_phase"),
)
_MAX_POOL: Final = 512
# What a later task must not raise above, and not lower below, the chain's first task.
_CAPS: Final = (
    "stamp_bits",
    "list_size",
    "pool_size",
    "max_weights",
    "buffer_bytes",
    "disk_bytes",
    "shard_max",
    "max_phase",
)
_FLOORS: Final = ("min_commit", "min_reveal")


@dataclass(frozen=True)
class Task:
    """
    Body of a `task` entry; fields in the order of their bytes.

    Parameters
    ----------
    arithmetic
        Version of the arithmetic, 1.
    first_height
        First block height at which the task is in force.
    requester_key
        x-only BIP340 key that signs the schedule.
    training_root, training_n
        Merkle root and number of samples of the training set.
    dims
        Shape of one sample, 1 to 3 dimensions.
    classes
        Number of classes.
    programs
        Layer programs a recipe may choose from, as bytes.
    b_min, b_max, epochs_min, epochs_max, k_min, k_max
        Bounds of a recipe's batch exponent, epochs and rate exponent.
    max_replay_macs
        Multiply-adds that replaying one training may cost.
    n_shards, shard_list_root
        Number of sealed test shards and root of the tree over their commitments.
    shard_min, shard_max
        Bounds of a shard's number of samples.
    min_commit, min_reveal, max_phase
        Phase times in seconds.
    require_replay, max_replays
        Whether a final needs a replay (0 or 1), and failed replays after which the requester goes on.
    stamp_bits
        Leading zero bits a commitment's block hash needs.
    list_size, pool_size
        Commitments in a release, and in a node's pool.
    max_weights
        Bytes of weights, one per parameter.
    evaluation_rate
        Multiply-adds per second that an evaluator is expected to reach.
    chunks_in_flight, downloads, buffer_bytes, disk_bytes
        Limits of a node's transfers.

    """

    arithmetic: int
    first_height: int
    requester_key: bytes
    training_root: bytes
    training_n: int
    dims: tuple[int, ...]
    classes: int
    programs: tuple[bytes, ...]
    b_min: int
    b_max: int
    epochs_min: int
    epochs_max: int
    k_min: int
    k_max: int
    max_replay_macs: int
    n_shards: int
    shard_list_root: bytes
    shard_min: int
    shard_max: int
    min_commit: int
    min_reveal: int
    max_phase: int
    require_replay: int
    max_replays: int
    stamp_bits: int
    list_size: int
    pool_size: int
    max_weights: int
    evaluation_rate: int
    chunks_in_flight: int
    downloads: int
    buffer_bytes: int
    disk_bytes: int

    @cached_property
    def loaded_programs(self) -> tuple[Program, ...]:
        """
        The layer programs, parsed and matched with the sample shape and the classes.

        Raises
        ------
        ProgramError
            One of them does not load; `podl-model-range`.

        """
        loaded = tuple(Program.parse(data) for data in self.programs)
        for program in loaded:
            if program.sample_size != self.sample_size or program.classes != self.classes:
                raise ProgramError(
                    f"program for {program.sample_size} values and {program.classes} classes, "
                    f"the task has {self.sample_size} and {self.classes}"
                )
        return loaded

    @property
    def sample_size(self) -> int:
        """Values in one sample, the product of `dims`."""
        return prod(self.dims)

    def write(self, writer: Writer) -> None:
        """Append the body's bytes."""
        writer.fields(_HEAD, self)
        writer.number(Kind.U8, len(self.dims))
        for size in self.dims:
            writer.number(Kind.U16, size)
        writer.number(Kind.U16, self.classes)
        writer.number(Kind.U8, len(self.programs))
        for program in self.programs:
            writer.number(Kind.U16, len(program))
            writer.raw(program)
        writer.fields(_TAIL, self)

    @classmethod
    def read(cls, reader: Reader) -> Task:
        """
        Read the body's bytes; ranges are not checked yet.

        Raises
        ------
        RejectError
            With the reader's reason: missing bytes, or a number of dimensions or programs outside the layout.

        """
        head = reader.fields(_HEAD)
        ndim = reader.number(Kind.U8)
        if not 1 <= ndim <= _MAX_DIMENSIONS:
            raise reader.fail(f"a sample has 1 to {_MAX_DIMENSIONS} dimensions, received {ndim}")
        dims = tuple(reader.number(Kind.U16) for _ in range(ndim))
        classes = reader.number(Kind.U16)
        count = reader.number(Kind.U8)
        if not 1 <= count <= _MAX_PROGRAMS:
            raise reader.fail(f"a task has 1 to {_MAX_PROGRAMS} programs, received {count}")
        programs = tuple(reader.take(reader.number(Kind.U16)) for _ in range(count))
        return cls(**head, dims=dims, classes=classes, programs=programs, **reader.fields(_TAIL))


def check_task(task: Task) -> None:
    """
    Apply the hard caps and the evaluation budget.

    Raises
    ------
    RejectError
        `podl-task-range`, or `podl-task-budget` when evaluating a full list does not fit a third of Phase 2.

    """
    for name, low, high in _RANGES:
        value = getattr(task, name)
        if not low <= value <= high:
            raise _out_of_range(f"{name} must be {low}..{high}, received {value}")
    for small, large in _ORDERED:
        if getattr(task, small) > getattr(task, large):
            raise _out_of_range(f"{small} {getattr(task, small)} exceeds {large} {getattr(task, large)}")
    if task.pool_size > _MAX_POOL:
        raise _out_of_range(f"pool_size must be at most {_MAX_POOL}, received {task.pool_size}")
    if task.training_n < 1 << task.b_min:
        raise _out_of_range(f"{task.training_n} training samples do not fill a batch of 2^{task.b_min}")
    if ZERO_HASH in (task.requester_key, task.training_root, task.shard_list_root):
        raise _out_of_range("a root or the key is null")
    _check_programs(task)
    work = task.list_size * max(program.macs for program in task.loaded_programs) * task.shard_max
    if 3 * work > task.evaluation_rate * task.max_phase:
        raise RejectError(
            "podl-task-budget", f"{work} multiply-adds do not fit a third of {task.max_phase} s"
        )


def _check_programs(task: Task) -> None:
    try:
        programs = task.loaded_programs
    except ProgramError as error:
        raise _out_of_range(str(error)) from None
    for program in programs:
        if program.n_params > task.max_weights:
            raise _out_of_range(f"{program.n_params} parameters exceed max_weights {task.max_weights}")


def _out_of_range(message: str) -> RejectError:
    return RejectError("podl-task-range", message)


def check_later_task(task: Task, first: Task) -> None:
    """
    Hold a later task to the chain's first one.

    Raises
    ------
    RejectError
        `podl-task-conflict`: another requester key, a cap raised, or a phase time loosened.

    """
    if task.requester_key != first.requester_key:
        raise RejectError("podl-task-conflict", "the requester key differs from the first task's")
    for name in _CAPS:
        if getattr(task, name) > getattr(first, name):
            raise RejectError("podl-task-conflict", f"{name} is above the first task's")
    for name in _FLOORS:
        if getattr(task, name) < getattr(first, name):
            raise RejectError("podl-task-conflict", f"{name} is below the first task's")
