"""One child process with its log file: start, watch, stop."""

from __future__ import annotations

import contextlib
import signal
import subprocess
from typing import TYPE_CHECKING

import psutil

from regtest.errors import DemoError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

STOP_SECONDS = 30


class ProcessDiedError(DemoError):
    """A process of the network ended by itself; the message holds the end of its log."""


class Process:
    """A named child process that writes stdout and stderr to a log file.

    Parameters
    ----------
    name : str
        What the process is called in messages and tables.
    command : sequence of str
        Program and arguments; no shell is involved.
    log : Path
        File that receives all output.
    """

    def __init__(self, name: str, command: Sequence[str], log: Path) -> None:
        self.name = name
        self.command = list(command)
        self.log = log
        self.peak_rss = 0
        self.child: psutil.Popen | None = None

    def start(self) -> None:
        """Start the process; its output is appended to the log.

        A session of its own keeps a terminal's Ctrl-C away from it: the network is stopped in order.
        """
        with self.log.open("ab") as output:
            self.child = psutil.Popen(
                self.command,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    def check(self) -> None:
        """Raise ProcessDiedError if the process has ended by itself."""
        if self.child is not None and self.child.poll() is not None:
            raise ProcessDiedError(
                f"{self.name} ended with code {self.child.returncode}; end of {self.log}:\n{self.tail()}"
            )

    def tail(self, lines: int = 15) -> str:
        """Return the last lines of the log."""
        if not self.log.exists():
            return ""
        return "\n".join(self.log.read_text(encoding="utf-8", errors="replace").splitlines()[-lines:])

    def sample_memory(self) -> int:
        """Return the largest resident memory seen so far, bytes; call it now and then."""
        if self.child is not None:
            with contextlib.suppress(psutil.Error):
                self.peak_rss = max(self.peak_rss, self.child.memory_info().rss)
        return self.peak_rss


def stop_processes(processes: Sequence[Process]) -> None:
    """Stop processes that this program started, as `terminate` does; they may be started again."""
    terminate([process.child for process in processes if process.child is not None])
    for process in processes:
        process.child = None


def terminate(processes: Sequence[psutil.Process]) -> None:
    """Send SIGTERM to all at once, wait at most 30 s, kill what is left."""
    for process in processes:
        with contextlib.suppress(psutil.NoSuchProcess):
            process.terminate()
    _, alive = psutil.wait_procs(processes, STOP_SECONDS)
    for process in alive:
        with contextlib.suppress(psutil.NoSuchProcess):
            process.kill()
    psutil.wait_procs(alive, STOP_SECONDS)


@contextlib.contextmanager
def uninterrupted() -> Iterator[None]:
    """Ignore Ctrl-C and SIGTERM while the block runs, so that stopping is not stopped half-way."""
    numbers = (signal.SIGINT, signal.SIGTERM)
    before = [signal.signal(number, signal.SIG_IGN) for number in numbers]
    try:
        yield
    finally:
        for number, handler in zip(numbers, before, strict=True):
            signal.signal(number, handler)
