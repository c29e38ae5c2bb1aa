"""The file that says which processes a network consists of, so that another command can stop them."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Final

import psutil

from podl_tools.files import write_file
from regtest.errors import DemoError
from regtest.process import terminate

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

_FILE: Final = "processes.json"
_SAME_START: Final = 1.0  # seconds; tells a process from a later one with its number


@dataclass(frozen=True)
class Running:
    """A started process: name, number, start in seconds since 1970, whether it is a node."""

    name: str
    pid: int
    created: float
    is_node: bool


def write_record(directory: Path, running: Sequence[Running]) -> None:
    """Write the processes of the network in ``directory``."""
    text = json.dumps([asdict(process) for process in running], indent=1)
    write_file(directory / _FILE, f"{text}\n".encode())


def read_record(directory: Path) -> list[Running]:
    """Return the processes that were started in ``directory``.

    Raises
    ------
    DemoError
        There is no such file, or it is damaged.
    """
    try:
        values = json.loads((directory / _FILE).read_text(encoding="utf-8"))
        return [Running(**value) for value in values]
    except OSError as error:
        raise DemoError(f"{directory} holds no network of this program: {error.strerror}") from None
    except (ValueError, TypeError, RecursionError) as error:
        raise DemoError(f"{directory / _FILE} is damaged: {error}") from None


def alive(running: Running) -> psutil.Process | None:
    """Return the process if it still runs, None when its number is free or belongs to another one."""
    try:
        process = psutil.Process(running.pid)
        same = abs(process.create_time() - running.created) < _SAME_START
    except psutil.NoSuchProcess:
        return None
    return process if same else None


def stop_network(directory: Path) -> list[str]:
    """Stop what still runs, the programs around the nodes first, and forget the network.

    Returns
    -------
    list of str
        Names of the processes that were stopped.
    """
    found = [(running, alive(running)) for running in read_record(directory)]
    for is_node in (False, True):
        terminate([process for running, process in found if process and running.is_node == is_node])
    (directory / _FILE).unlink()
    return [running.name for running, process in found if process]
