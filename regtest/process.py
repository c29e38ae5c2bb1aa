"""One child process with its log file: start, watch, stop."""

from __future__ import annotations

import contextlib
import signal
import subprocess
from typing import TYPE_CHECKING

import psutil

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

STOP_SECONDS = 30


class ProcessDiedError(Exception):
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
        self._child: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start the process; its output is appended to the log."""
        with self.log.open("ab") as output:
            self._child = subprocess.Popen(  # noqa: S603 - the command is built by this package
                self.command,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    @property
    def running(self) -> bool:
        """Whether the process is alive."""
        return self._child is not None and self._child.poll() is None

    def check(self) -> None:
        """Raise ProcessDiedError if the process has ended by itself."""
        if self._child is not None and self._child.poll() is not None:
            raise ProcessDiedError(
                f"{self.name} ended with code {self._child.returncode}; end of {self.log}:\n{self.tail()}"
            )

    def tail(self, lines: int = 15) -> str:
        """Return the last lines of the log."""
        if not self.log.exists():
            return ""
        return "\n".join(self.log.read_text(encoding="utf-8", errors="replace").splitlines()[-lines:])

    def sample_memory(self) -> int:
        """Return the largest resident memory seen so far, bytes; call it now and then."""
        if self._child is not None and self.running:
            with contextlib.suppress(psutil.NoSuchProcess):
                self.peak_rss = max(self.peak_rss, psutil.Process(self._child.pid).memory_info().rss)
        return self.peak_rss

    def stop(self) -> int | None:
        """Send SIGTERM, kill after 30 s; return the exit code, None if the process never ran."""
        if self._child is None:
            return None
        if self._child.poll() is None:
            self._child.send_signal(signal.SIGTERM)
            try:
                self._child.wait(STOP_SECONDS)
            except subprocess.TimeoutExpired:
                self._child.kill()
                self._child.wait()
        return self._child.returncode
