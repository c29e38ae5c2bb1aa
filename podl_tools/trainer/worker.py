"""The thread that trains, so that the miner can reveal and commit meanwhile."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING

from podl_tools.tool_errors import ToolError

if TYPE_CHECKING:
    from collections.abc import Callable

    from podl_tools.trainer.decisions import Slot
    from podl_tools.training_run import TrainedModel

__all__ = ["TrainingStoppedError", "TrainingWorker"]


class TrainingStoppedError(ToolError):
    """The training was given up."""


class TrainingWorker:
    """
    Runs at most one training at a time.

    Parameters
    ----------
    wake
        Called from the thread when a training has ended.
    clock
        Steady clock in seconds.

    """

    def __init__(self, wake: Callable[[], None], clock: Callable[[], float] = time.monotonic) -> None:
        self._wake = wake
        self._clock = clock
        self._started = clock()
        self._busy = 0.0
        self._since: float | None = None
        self._thread: threading.Thread | None = None
        self._stop = threading.Event()
        self._slot: Slot | None = None
        self._result: TrainedModel | BaseException | None = None

    @property
    def slot(self) -> Slot | None:
        """What is being trained, or has been and was not collected yet."""
        return self._slot

    @property
    def share(self) -> float:
        """Share of the time since the start that was spent training, 0 to 1."""
        now = self._clock()
        running = now - self._since if self._since is not None else 0.0
        return (self._busy + running) / max(now - self._started, 1e-9)

    def start(self, slot: Slot, run: Callable[[Callable[[int], None]], TrainedModel]) -> None:
        """
        Begin a training; a running one is stopped first.

        Parameters
        ----------
        slot
            What is trained for.
        run
            Trains; it is handed a function to call before each step, which raises when it is time to stop.

        """
        self.stop()
        self._stop.clear()
        self._slot = slot
        self._thread = threading.Thread(target=self._work, args=(run,), name="training")
        self._thread.start()

    def collect(self) -> TrainedModel | None:
        """
        Take the result of an ended training.

        Returns
        -------
        TrainedModel or None
            None while it runs, and when nothing was trained or it was stopped.

        Raises
        ------
        Exception
            Whatever ended the training.

        """
        if self._thread is None or self._result is None:
            return None
        self._thread.join()
        result, self._result, self._thread, self._slot = self._result, None, None, None
        if isinstance(result, TrainingStoppedError):
            return None
        if isinstance(result, BaseException):
            raise result
        return result

    def stop(self) -> None:
        """Give up the running training; returns after the step that is being computed."""
        if self._thread is not None:
            self._stop.set()
            self._thread.join()
        self._thread, self._slot, self._result = None, None, None

    def _work(self, run: Callable[[Callable[[int], None]], TrainedModel]) -> None:
        self._since = start = self._clock()
        try:
            self._result = run(self._check)
        except BaseException as error:  # noqa: BLE001  handed to the caller of `collect`
            self._result = error
        finally:
            self._since = None
            self._busy += self._clock() - start
            self._wake()

    def _check(self, _epoch: int) -> None:
        if self._stop.is_set():
            raise TrainingStoppedError("the training was given up")
