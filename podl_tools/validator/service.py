"""The validator's loop: ask for jobs, fetch the bytes, measure, report; the unknown is never reported."""

from __future__ import annotations

import logging
import time
from typing import TYPE_CHECKING, Final

from podl_tools.chain.data import Kind, download, obtain_shard
from podl_tools.chain.verdict import Verdict
from podl_tools.dataset import data_size
from podl_tools.errors import EvaluatorUnavailableError, PodlError
from podl_tools.measuring import MeasuringStoppedError
from podl_tools.program import Program
from podl_tools.tool_errors import DataMissingError, NodeError
from podl_tools.validator.evaluator import Question
from podl_tools.validator.jobs import JobBook, job_key

if TYPE_CHECKING:
    from collections.abc import Callable

    from podl_tools.chain.answers import Job
    from podl_tools.chain.node import Node
    from podl_tools.fetch import Fetcher
    from podl_tools.ml.evaluation import Evaluation
    from podl_tools.validator.evaluator import Evaluator

__all__ = ["Validator"]

_LOGGER = logging.getLogger(__name__)
_NOT_ASKED: Final = "podl-verdict-key"


class Validator:
    """
    Measures what a node asks about.

    Parameters
    ----------
    node
        Gives jobs and bytes, takes verdicts.
    fetcher
        Cache and stores for opened shards.
    evaluator
        Measures.
    name
        Evaluator name that verdicts carry.
    stopped
        Whether the program shall end.
    clock
        Steady clock in seconds.

    """

    def __init__(
        self,
        node: Node,
        fetcher: Fetcher,
        evaluator: Evaluator,
        name: str,
        stopped: Callable[[], bool],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._node = node
        self._fetcher = fetcher
        self._evaluator = evaluator
        self._name = name
        self._stopped = stopped
        self._clock = clock
        self._book = JobBook()
        self._shard: tuple[bytes, bytes] | None = None

    def step(self) -> float | None:
        """
        Do every job that can be done now.

        Returns
        -------
        float or None
            Seconds until a job that was put off is due.

        """
        while not self._stopped():
            jobs = self._node.candidates().jobs
            job = self._book.next_job(jobs, self._clock())
            if job is None:
                return self._book.due(jobs, self._clock())
            self._do(job)
        return None

    def _do(self, job: Job) -> None:
        try:
            found, device = self._measured(job)
        except NodeError as error:
            if not isinstance(error, DataMissingError):
                raise
            self._put_off(job, error)
        except PodlError as error:
            self._put_off(job, error)
        except MemoryError:
            self._put_off(job, EvaluatorUnavailableError("out of memory"))
        else:
            self._report(job, found, device)

    def _put_off(self, job: Job, error: PodlError) -> None:
        is_usual = isinstance(error, (DataMissingError, MeasuringStoppedError)) or self._stopped()
        level = logging.DEBUG if is_usual else logging.WARNING
        _LOGGER.log(level, "no verdict on weights %s for now: %s", job.weights_root.hex(), error)
        self._book.put_off(job, self._clock())

    def _measured(self, job: Job) -> tuple[Evaluation, str]:
        key = job_key(job)
        if key not in self._book.measured:
            self._book.measured[key] = self._measure(job)
        return self._book.measured[key]

    def _measure(self, job: Job) -> tuple[Evaluation, str]:
        program = Program.parse(job.program)
        weights = download(self._node, Kind.WEIGHTS, job.weights_root, program.n_params)
        data = self._data(job)
        _LOGGER.info("measuring weights %s on %d samples", job.weights_root.hex(), job.n)
        return self._evaluator.measure(Question(job.program, job.shape, job.classes, job.n, weights, data))

    def _data(self, job: Job) -> bytes:
        if self._shard is None or self._shard[0] != job.test_root:
            data = obtain_shard(self._node, self._fetcher, job.test_root, data_size(job.n, job.shape))
            self._shard = job.test_root, data
        return self._shard[1]

    def _report(self, job: Job, found: Evaluation, device: str) -> None:
        verdict = Verdict(job_key(job), found.count, found.rank_sum, device, self._name)
        answer = self._node.submit_verdict(verdict)
        self._book.note_answer(job, answer, self._clock())
        # The key is the node's own: it forgets it once height or attempt are decided without this candidate.
        in_vain = answer.reason == _NOT_ASKED
        level = logging.ERROR if answer.refused and not in_vain else logging.INFO
        _LOGGER.log(
            level,
            "height %d, weights %s: %d of %d correct (claim %d, rank sum %d), measured by %s on %s: %s",
            job.height,
            job.weights_root.hex(),
            found.count,
            job.n,
            job.claim,
            found.rank_sum,
            self._name,
            device,
            "too late, the round is decided" if in_vain else answer,
        )
