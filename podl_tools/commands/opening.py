"""The argument MODEL: a folder, or a file of bare bytes and the layer program it is for."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import click

from podl_tools.constants import HASH_SIZE
from podl_tools.entry import Entry
from podl_tools.errors import RejectError
from podl_tools.files import read_file
from podl_tools.program import Program, parse_program
from podl_tools.settings import Wrapped, option
from podl_tools.stored_model import StoredModel, read_bytes, read_folder
from podl_tools.task import Task, check_task
from podl_tools.tool_errors import InputFileError, SettingsError

__all__ = ["model_options", "open_model", "read_task_file"]

_FILE: Final = click.Path(path_type=Path, dir_okay=False)


def model_options(function: Wrapped) -> Wrapped:
    """Declare MODEL and what a bare file needs besides."""
    for add in (
        option("root", metavar="HEX", help="Merkle root that the bytes of a file must have."),
        option("architecture", type=click.IntRange(0), default=0, help="Index of the task's layer program."),
        option("task", type=_FILE, help="Signed task of the chain (task.hex) that names the layer program."),
        option("program", metavar="TEXT", help="Layer program, such as 'input 64, dense 64, output 10'."),
        click.argument("path", metavar="MODEL", type=click.Path(path_type=Path)),
    ):
        function = add(function)
    return function


def open_model(
    path: Path, program: str | None, task: Path | None, architecture: int, root: str | None
) -> StoredModel:
    """
    Open what MODEL and the options of `model_options` name.

    Raises
    ------
    SettingsError
        The options do not say which layer program a file is for.
    PodlError
        The model cannot be read or is not what its roots name.

    """
    if path.is_dir():
        if program is not None or task is not None or root is not None:
            raise SettingsError("--program, --task and --root are for a file; a folder says what is in it")
        return read_folder(path)
    if (program is None) == (task is None):
        raise SettingsError(
            f"{path} is no folder: give either --program or --task, whose layer program it is for"
        )
    found = _task_program(task, architecture) if task is not None else parse_program(program or "")
    return read_bytes(path, found, None if root is None else _root(root))


def read_task_file(path: Path) -> Task:
    """
    Read a signed task entry in hex, as nodes are given it with -podltask.

    Raises
    ------
    InputFileError
        The file is missing, or holds something else or a task that no node takes.

    """
    try:
        body = Entry.parse(bytes.fromhex(read_file(path).decode("ascii").strip())).body
        if not isinstance(body, Task):
            raise InputFileError(f"{path}: an entry, but no task")
        check_task(body)
    except (RejectError, ValueError) as error:
        raise InputFileError(f"{path}: expected a task entry in hex: {error}") from None
    return body


def _task_program(path: Path, architecture: int) -> Program:
    programs = read_task_file(path).loaded_programs
    if architecture >= len(programs):
        raise SettingsError(f"--architecture {architecture}: the task has {len(programs)} layer programs")
    return programs[architecture]


def _root(text: str) -> bytes:
    try:
        root = bytes.fromhex(text)
    except ValueError:
        root = b""
    if len(root) != HASH_SIZE:
        raise SettingsError(f"--root is {HASH_SIZE} bytes in hex, received {text!r:.80}")
    return root
