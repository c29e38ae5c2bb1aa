"""Which job comes next: pure decisions of the validator."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from podl_tools.chain.verdict import verdict_key

if TYPE_CHECKING:
    from collections.abc import Sequence

    from podl_tools.chain.answers import Job, Submission
    from podl_tools.chain.verdict import Key
    from podl_tools.ml.evaluation import Evaluation

__all__ = ["JobBook", "job_key"]

_FIRST_PAUSE: Final = 2.0  # seconds before a job that could not be done is tried again
_LONGEST_PAUSE: Final = 300.0
_KEPT: Final = 256  # results kept although the node does not ask for them at present


def job_key(job: Job) -> Key:
    """Return what a verdict on this job is about."""
    return verdict_key(job.arithmetic, job.program, job.weights_root, job.test_root)


@dataclass
class _Pause:
    tries: int
    until: float


@dataclass
class JobBook:
    """
    What was measured, what failed for now, and what must not be sent again.

    A node that restarted asks again for what it has lost; what was measured, and where, is then sent once
    more without a second evaluation.
    """

    measured: dict[Key, tuple[Evaluation, str]] = field(default_factory=dict)
    _pauses: dict[Key, _Pause] = field(default_factory=dict)
    _closed: set[Key] = field(default_factory=set)

    def next_job(self, jobs: Sequence[Job], now: float) -> Job | None:
        """
        First job in the node's order that can be tried now.

        Parameters
        ----------
        jobs
            As the node lists them.
        now
            Any steady clock, in seconds.

        """
        self._forget(jobs)
        return next((job for job in jobs if self._open_at(job_key(job)) <= now), None)

    def due(self, jobs: Sequence[Job], now: float) -> float | None:
        """Seconds until the first paused job may be tried again; None when none is."""
        times = [self._open_at(job_key(job)) for job in jobs]
        waits = [time - now for time in times if time != float("inf")]
        return max(0.0, min(waits)) if waits else None

    def put_off(self, job: Job, now: float) -> None:
        """Note that a job could not be done now; each further time the pause doubles."""
        key = job_key(job)
        tries = self._pauses[key].tries + 1 if key in self._pauses else 1
        self._pauses[key] = _Pause(tries, now + min(_LONGEST_PAUSE, _FIRST_PAUSE * 2 ** (tries - 1)))

    def note_answer(self, job: Job, answer: Submission, now: float) -> None:
        """Note what the node said to a verdict: a refused one is never sent again, `later` is."""
        if answer.refused:
            self._closed.add(job_key(job))
        elif not answer.held:
            self.put_off(job, now)

    def _open_at(self, key: Key) -> float:
        if key in self._closed:
            return float("inf")
        return self._pauses[key].until if key in self._pauses else 0.0

    def _forget(self, jobs: Sequence[Job]) -> None:
        """Drop what the node does not ask about any more, so that the book does not grow for ever."""
        asked = {job_key(job) for job in jobs}
        self._pauses = {key: pause for key, pause in self._pauses.items() if key in asked}
        self._closed &= asked
        for key in [key for key in self.measured if key not in asked][:-_KEPT]:
            del self.measured[key]
