"""One child process with its log file: start, watch, stop."""

from __future__ import annotations

import contextlib
import signal
import subprocess
from typing import TYPE_CHECKING, Final

import psutil

from regtest.errors import DemoError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path
    from types import FrameType

    Handler = signal.Handlers | Callable[[int, FrameType | None], object]

STOP_SECONDS: Final = 30
# SIGHUP: the processes have sessions of their own and would outlive the terminal.
INTERRUPTS: Final = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


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
        with self.log.open("ab") as output, interrupts_later():
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


def interrupt(_number: int, _frame: FrameType | None) -> None:
    """Raise KeyboardInterrupt, once: no second signal disturbs the stopping that follows."""
    for number in INTERRUPTS:
        signal.signal(number, signal.SIG_IGN)
    raise KeyboardInterrupt


@contextlib.contextmanager
def interruptible() -> Iterator[None]:
    """Let Ctrl-C, SIGTERM and the end of the terminal interrupt the block; what is ignored stays ignored."""
    with _handled_by(interrupt, [n for n in INTERRUPTS if signal.getsignal(n) is not signal.SIG_IGN]):
        yield


@contextlib.contextmanager
def uninterrupted() -> Iterator[None]:
    """Ignore interrupting signals while the block runs, so that stopping is not stopped half-way."""
    with _handled_by(signal.SIG_IGN, INTERRUPTS):
        yield


@contextlib.contextmanager
def interrupts_later() -> Iterator[None]:
    """Hold interrupting signals back while the block runs: a process that is not known is not stopped."""
    came: list[int] = []
    with _handled_by(lambda number, _frame: came.append(number), INTERRUPTS):
        yield
    for number in came:
        signal.raise_signal(number)


@contextlib.contextmanager
def _handled_by(handler: Handler, numbers: Sequence[signal.Signals]) -> Iterator[None]:
    before = [(number, signal.signal(number, handler)) for number in numbers]
    try:
        yield
    finally:
        for number, kept in before:
            signal.signal(number, kept)
