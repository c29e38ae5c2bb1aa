"""The requester's tasks on disk: what is public at once, and the shards that stay sealed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from podl_tools.codec import Reader, Writer
from podl_tools.dataset import data_size
from podl_tools.errors import RejectError
from podl_tools.files import make_directory, read_file, read_json, write_file, write_json
from podl_tools.keys import SigningKey
from podl_tools.merkle import data_root
from podl_tools.sealing import SealedShard, SealedShards, SealedTask
from podl_tools.task import Task, check_task
from podl_tools.tool_errors import InputFileError, WrongChainError

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["TaskShelf", "own_key", "read_secret", "read_task", "write_key", "write_shards", "write_task"]

_TASK: Final = "task"
_TRAINING: Final = "training"
_SHARDS: Final = "shards.json"
_MORE: Final = "more"
_KEY: Final = "requester.key"
_REASON: Final = "podl-data-file"


def write_task(directory: Path, sealed: SealedTask) -> None:
    """Write a sealed task into a new directory; the task's own bytes come last and make it count."""
    _write_shards(directory, sealed.shards)
    write_file(directory / _TRAINING, sealed.training)
    writer = Writer(_REASON)
    sealed.task.write(writer)
    write_file(directory / _TASK, writer.bytes())


def write_shards(directory: Path, shards: SealedShards) -> None:
    """Write shards that continue a task into its directory; their list comes last and makes them count."""
    make_directory(directory / _MORE)
    _write_shards(directory / _MORE / shards.root.hex(), shards)


def _write_shards(directory: Path, shards: SealedShards) -> None:
    make_directory(directory)
    for index, shard in enumerate(shards):
        write_file(directory / f"shard{index}", shard.data)
    salts = [{"n": shard.n, "salt": shard.salt.hex()} for shard in shards]
    write_json(directory / _SHARDS, {"shards": salts})


def read_task(directory: Path) -> SealedTask:
    """
    Read a sealed task and check everything against its roots.

    Raises
    ------
    InputFileError
        A file is missing or damaged.

    """
    try:
        reader = Reader(read_file(directory / _TASK), _REASON)
        task = Task.read(reader)
        reader.finish()
        shards = {task.shard_list_root: _read_shards(directory, task.shard_list_root)}
        for path in sorted(directory.glob(f"{_MORE}/*/{_SHARDS}")):
            root = bytes.fromhex(path.parent.name)
            shards[root] = _read_shards(path.parent, root)
        sealed = SealedTask(task, read_file(directory / _TRAINING), shards)
        _check(sealed)
    except (RejectError, KeyError, TypeError, ValueError) as error:
        raise InputFileError(f"{directory}: damaged: {error}") from None
    return sealed


class TaskShelf:
    """
    The tasks of a data directory; new ones are noticed while the requester runs.

    Parameters
    ----------
    directory
        Holds one directory per task.
    public_key
        The requester's key, which every task names.

    Raises
    ------
    InputFileError
        There is no task, a file is damaged, or a task names another key.

    """

    def __init__(self, directory: Path, public_key: bytes) -> None:
        self._directory = directory
        self._public_key = public_key
        self._tasks: dict[str, SealedTask] = {}
        self.refresh()
        if not self._tasks:
            raise InputFileError(f"{directory}: no task here, make one with `podl-requester init`")

    def refresh(self) -> None:
        """Read tasks and shards that were prepared since the last look; raises as the constructor does."""
        for path in sorted(self._directory.glob(f"*/{_TASK}")):
            held = self._tasks.get(path.parent.name)
            lists = 1 + len(list(path.parent.glob(f"{_MORE}/*/{_SHARDS}")))
            if held is None or len(held.lists) != lists:
                self._tasks[path.parent.name] = self._read(path.parent)

    @property
    def tasks(self) -> list[SealedTask]:
        """All tasks in the order of their first heights."""
        return sorted(self._tasks.values(), key=lambda sealed: sealed.task.first_height)

    def find(self, task: Task) -> SealedTask:
        """
        Sealed shards of a task.

        Raises
        ------
        WrongChainError
            They are not in this data directory.

        """
        sealed = self._tasks.get(task.shard_list_root.hex())
        if sealed is None:
            raise WrongChainError(
                f"no sealed shards here for the task with list {task.shard_list_root.hex()}"
            )
        return sealed

    def _read(self, directory: Path) -> SealedTask:
        sealed = read_task(directory)
        if sealed.task.requester_key != self._public_key:
            raise InputFileError(f"{directory}: the task names another requester key than the one here")
        if sealed.task.shard_list_root.hex() != directory.name:
            raise InputFileError(f"{directory}: not named after the shard list of its task")
        return sealed


def write_key(directory: Path, secret: bytes) -> None:
    """Write the requester's secret, readable by its owner alone."""
    write_file(directory / _KEY, f"{secret.hex()}\n".encode())


def read_secret(path: Path) -> bytes:
    """
    Read a secret key in hex.

    Raises
    ------
    InputFileError
        The file is missing, or holds no key.

    """
    try:
        secret = bytes.fromhex(read_file(path).decode("ascii").strip())
        SigningKey(secret)
    except (ValueError, RejectError):
        raise InputFileError(f"{path}: expected a secret key of 32 bytes in hex") from None
    return secret


def own_key(directory: Path) -> SigningKey:
    """
    Read the key of a data directory.

    Raises
    ------
    InputFileError
        There is no requester in this directory, or its key file holds no key.

    """
    path = directory / _KEY
    if not path.exists():
        raise InputFileError(
            f"{directory} holds no requester: make one first with `podl-requester init --datadir={directory}`"
        )
    return SigningKey(read_secret(path))


def _read_shard(directory: Path, index: int, record: dict[str, Any]) -> SealedShard:
    return SealedShard(
        read_file(directory / f"shard{index}"), int(record["n"]), bytes.fromhex(record["salt"])
    )


def _read_shards(directory: Path, root: bytes) -> SealedShards:
    records = read_json(directory / _SHARDS).get("shards", [])
    shards = SealedShards(_read_shard(directory, index, record) for index, record in enumerate(records))
    if not shards or shards.root != root:
        raise RejectError(_REASON, "the shards are not those of their list")
    return shards


def _check(sealed: SealedTask) -> None:
    task = sealed.task
    check_task(task)
    if len(sealed.training) != data_size(task.training_n, task.dims):
        raise RejectError(_REASON, "the training set has another size than the task says")
    if data_root(sealed.training) != task.training_root:
        raise RejectError(_REASON, "the training set is not the one the task names")
