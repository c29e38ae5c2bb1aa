"""Run one of the programs, and stop it (SIGSTOP) exactly at a step: where it writes a file or calls its node.

Used by tests alone: ``stopping.py FILE STEPS MODULE ARGUMENT...`` runs MODULE as ``python -m`` would. STEPS
are joined by commas, each one ``before``, ``within`` or ``after``, a space, and the file or call, such as
``within signed release`` (written, but not yet under its name) or ``after submitpodlentry release``. When the
program comes to one of them for the first time, its name is added to FILE, and the program stops until
somebody continues or kills it. Started again with the same FILE it stops at those left. The programs know
nothing of this.
"""

from __future__ import annotations

import os
import runpy
import signal
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

PROJECT_DIR = Path(__file__).resolve().parents[2]
ENTRY_TYPES = {1: "task", 2: "release", 3: "final"}
TYPE_OFFSET = 1  # an entry begins with its version
HASH_CHARACTERS = 64

if TYPE_CHECKING:
    from collections.abc import Callable


class Steps:
    """The steps at which to stop, and those already taken."""

    def __init__(self, mark: Path, steps: str) -> None:
        self._mark = mark
        done = mark.read_text(encoding="utf-8").splitlines() if mark.exists() else []
        self._left = set(steps.split(",")) - set(done)

    def reached(self, step: str) -> None:
        """Stop here, the first time."""
        if step not in self._left:
            return
        self._left.remove(step)
        with self._mark.open("a", encoding="utf-8") as file:
            file.write(f"{step}\n")
        os.kill(os.getpid(), signal.SIGSTOP)


def name_of_file(path: Path, data: bytes) -> str:
    """Name a written file by what it is for: hashes in names differ from run to run."""
    if path.parent.name == "entries":
        return f"signed {ENTRY_TYPES[data[TYPE_OFFSET]]}"
    return path.parent.name if len(path.name) == HASH_CHARACTERS else path.name


def name_of_call(method: str, params: tuple[Any, ...]) -> str:
    """Name an RPC with the kind of the object or entry that it hands over or asks for."""
    if method == "submitpodlentry":
        return f"{method} {ENTRY_TYPES[bytes.fromhex(params[0])[TYPE_OFFSET]]}"
    return f"{method} {params[0]}" if method in ("submitpodldata", "getpodldata") else method


def watch_files(files: Any, steps: Steps) -> None:
    """Stop around the one function that writes files, and before its file gets its name."""
    real, sync = files.write_file, os.fsync

    def write_file(path: Path, data: bytes, *mode: int) -> None:
        name = name_of_file(path, data)

        def synced(descriptor: int) -> None:
            sync(descriptor)
            steps.reached(f"within {name}")

        steps.reached(f"before {name}")
        os.fsync = synced
        try:
            real(path, data, *mode)
        finally:
            os.fsync = sync
        steps.reached(f"after {name}")

    files.write_file = write_file


def watch_calls(transport: Any, steps: Steps) -> None:
    """Stop around the one function that calls the node."""
    real: Callable[..., Any] = transport.call

    def call(self: object, method: str, *params: object) -> object:
        name = name_of_call(method, params)
        steps.reached(f"before {name}")
        answer = real(self, method, *params)
        steps.reached(f"after {name}")
        return answer

    transport.call = call


def main() -> None:
    """Watch, then run the program."""
    mark, wanted, module, *arguments = sys.argv[1:]
    sys.path[0] = str(PROJECT_DIR)
    # Before anything else is imported: modules take over the names that they find.
    from podl_tools import files  # noqa: PLC0415
    from podl_tools.chain.rpc import HttpTransport  # noqa: PLC0415

    steps = Steps(Path(mark), wanted)
    watch_files(files, steps)
    watch_calls(HttpTransport, steps)
    sys.argv = [module, *arguments]
    runpy.run_module(module, run_name="__main__")


if __name__ == "__main__":
    main()
