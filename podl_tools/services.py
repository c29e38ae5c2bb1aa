"""What every long-running program shares: being woken, ending cleanly on a signal, and one-line errors."""

from __future__ import annotations

import logging
import os
import select
import signal
import sys
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

from podl_tools.errors import PodlError
from podl_tools.tool_errors import EXIT_UNEXPECTED, NodeUnreachableError, NodeWarmupError, ToolError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from types import FrameType

__all__ = ["Repeater", "StoppedError", "Wakeup", "run_service", "stop_on_signals"]

_LOGGER = logging.getLogger(__name__)
_RETRY_SECONDS: Final = 5.0


class StoppedError(ToolError):
    """The user ended the program in the middle of long work; nothing is wrong."""


class Wakeup:
    """
    Lets signal handlers and worker threads interrupt a wait.

    A pipe, so that it can be polled together with sockets.
    """

    def __init__(self) -> None:
        self._reader, self._writer = os.pipe()
        os.set_blocking(self._reader, False)
        os.set_blocking(self._writer, False)
        self._stopped = False

    @property
    def stopped(self) -> bool:
        """Whether the program is asked to end."""
        return self._stopped

    def fileno(self) -> int:
        """File descriptor that becomes readable when something woke us."""
        return self._reader

    def wake(self) -> None:
        """End the current or the next wait early."""
        try:
            os.write(self._writer, b"\0")
        except BlockingIOError:
            return  # the pipe is full: a wake-up is already pending

    def stop(self) -> None:
        """Ask the program to end."""
        self._stopped = True
        self.wake()

    def check(self, *_: object) -> None:
        """
        Do nothing unless the program is asked to end; for long work to call again and again.

        Raises
        ------
        StoppedError
            It is.

        """
        if self._stopped:
            raise StoppedError("stopped")

    def drain(self) -> None:
        """Forget wake-ups that have been noticed."""
        try:
            while os.read(self._reader, 4096):
                pass
        except BlockingIOError:
            return

    def wait(self, seconds: float) -> None:
        """Wait until something wakes us, at most `seconds`; a stopped one never waits."""
        if not self._stopped:
            select.select([self._reader], [], [], seconds)
        self.drain()

    def close(self) -> None:
        """Close the pipe."""
        os.close(self._reader)
        os.close(self._writer)


@contextmanager
def stop_on_signals(wakeup: Wakeup) -> Iterator[None]:
    """
    Turn SIGTERM and SIGINT into `wakeup.stop()` while the block runs.

    Once stopped, further ones are ignored for good: a second signal must not kill a program that is ending.
    """

    def handle(number: int, _frame: FrameType | None) -> None:
        _LOGGER.info("%s received, ending", signal.Signals(number).name)
        wakeup.stop()

    before = {number: signal.signal(number, handle) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, signal.SIG_IGN if wakeup.stopped else handler)


def run_service(body: Callable[[Wakeup], None]) -> int:
    """
    Run a program's body until it returns.

    Returns
    -------
    int
        Exit code: 0 after a clean end, else the error's own, with its text in one line on standard error.

    """
    wakeup = Wakeup()
    try:
        with stop_on_signals(wakeup):
            body(wakeup)
    except StoppedError:
        return 0
    except PodlError as error:
        return _explain(str(error), error.exit_code if isinstance(error, ToolError) else EXIT_UNEXPECTED)
    except OSError as error:  # a full disk, a log file that cannot be opened
        return _explain(f"{error.filename or 'input or output'}: {error.strerror or error}", EXIT_UNEXPECTED)
    except MemoryError:
        return _explain("out of memory", EXIT_UNEXPECTED)
    finally:
        wakeup.close()
    return 0


def _explain(text: str, code: int) -> int:
    sys.stderr.write(f"Error: {' '.join(text.split())}\n")
    return code


class Repeater:
    """
    Runs a service's step again and again, and survives restarts of its node.

    Parameters
    ----------
    wakeup
        Ends the loop.
    step
        One round of work; returns the seconds until something is due, or None.
    wait
        Waits for news, at most the given seconds.
    poll_seconds
        Longest wait between two steps.

    """

    def __init__(
        self,
        wakeup: Wakeup,
        step: Callable[[], float | None],
        wait: Callable[[float], object],
        poll_seconds: float,
    ) -> None:
        self._wakeup = wakeup
        self._step = step
        self._wait = wait
        self._poll_seconds = poll_seconds
        self._down_since: float | None = None

    def run(self) -> None:
        """Loop until stopped; errors other than an absent node end it."""
        while not self._wakeup.stopped:
            try:
                due = self._step()
            except (NodeUnreachableError, NodeWarmupError) as error:
                self._note_down(error)
                self._wakeup.wait(min(_RETRY_SECONDS, self._poll_seconds))
                continue
            self._note_up()
            if not self._wakeup.stopped:
                self._wait(self._poll_seconds if due is None else min(due, self._poll_seconds))

    def _note_down(self, error: PodlError) -> None:
        if self._down_since is None:
            self._down_since = time.monotonic()
            _LOGGER.warning("waiting for the node: %s", error)

    def _note_up(self) -> None:
        if self._down_since is not None:
            _LOGGER.info("the node answers again after %.0f s", time.monotonic() - self._down_since)
            self._down_since = None
