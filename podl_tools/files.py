"""Files that are either whole or not there, and data directories that belong to one chain."""

from __future__ import annotations

import fcntl
import json
import os
import secrets
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final

from podl_tools.tool_errors import InputFileError, SettingsError, WrongChainError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

__all__ = [
    "PRIVATE",
    "PUBLIC",
    "ChainMark",
    "lock_directory",
    "make_directory",
    "read_file",
    "read_json",
    "write_file",
    "write_json",
]

PRIVATE: Final = 0o600
PUBLIC: Final = 0o644
_PRIVATE_DIRECTORY: Final = 0o700


def write_file(path: Path, data: bytes, mode: int = PRIVATE) -> None:
    """
    Replace a file in one step; it is on disk when this returns.

    Parameters
    ----------
    path
        Where; its directory exists.
    data
        Everything it shall hold.
    mode
        Permission bits from the first moment on.

    Raises
    ------
    OSError
        It cannot be written; what was there before still is.

    """
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    try:
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
        with os.fdopen(descriptor, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except OSError as error:
        error.filename = str(path)  # a full disk names no file
        raise
    finally:
        temporary.unlink(missing_ok=True)
    _sync_directory(path.parent)


def write_json(path: Path, value: dict[str, Any], mode: int = PRIVATE) -> None:
    """Replace a file with a JSON object, in one step."""
    write_file(path, (json.dumps(value, indent=1, sort_keys=True) + "\n").encode(), mode)


def read_json(path: Path) -> dict[str, Any]:
    """
    Read a JSON object.

    Raises
    ------
    InputFileError
        The file is missing, unreadable or holds something else.

    """
    try:
        value = json.loads(read_file(path))
    except (ValueError, RecursionError):
        raise InputFileError(f"{path}: not valid JSON") from None
    if not isinstance(value, dict):
        raise InputFileError(f"{path}: expected a JSON object")
    return value


def read_file(path: Path) -> bytes:
    """
    Read a whole file.

    Raises
    ------
    InputFileError
        The file is missing or unreadable.

    """
    try:
        return path.read_bytes()
    except OSError as error:
        raise InputFileError(f"{path}: {error.strerror}") from error


def make_directory(path: Path) -> None:
    """
    Make a directory that only its owner can enter, with its parents.

    Raises
    ------
    SettingsError
        It cannot be made.

    """
    try:
        path.mkdir(mode=_PRIVATE_DIRECTORY, parents=True, exist_ok=True)
    except OSError as error:
        raise SettingsError(f"data directory {path}: {error.strerror}") from error


@contextmanager
def lock_directory(path: Path) -> Iterator[None]:
    """
    Keep a second program out of a data directory while the block runs.

    Raises
    ------
    SettingsError
        Another program has it.

    """
    make_directory(path)
    with (path / ".lock").open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise SettingsError(f"data directory {path} is in use by another program") from None
        yield


class ChainMark:
    """
    Ties a data directory to the chain it was first used with.

    Parameters
    ----------
    directory
        The data directory.

    """

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._chain_id: bytes | None = None

    def check(self, chain_id: bytes) -> None:
        """
        Demand that the directory belongs to this chain; the first chain it meets becomes its own.

        Raises
        ------
        WrongChainError
            It belongs to another chain.

        """
        if self._chain_id is None:
            self._chain_id = self._read_or_write(chain_id)
        if self._chain_id != chain_id:
            raise WrongChainError(
                f"data directory {self._directory} belongs to chain {self._chain_id.hex()}, "
                f"the node is on {chain_id.hex()}"
            )

    def _read_or_write(self, chain_id: bytes) -> bytes:
        path = self._directory / "chain"
        if not path.exists():
            write_file(path, f"{chain_id.hex()}\n".encode())
            return chain_id
        try:
            return bytes.fromhex(read_file(path).decode("ascii").strip())
        except ValueError:
            raise InputFileError(f"{path}: expected a chain id in hex") from None


def _sync_directory(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
