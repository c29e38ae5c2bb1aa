"""Evaluating: in this process, as the loop of a child does, or in such a child that can be killed."""

from __future__ import annotations

import json
import os
import select
import subprocess
import sys
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Protocol

from podl_tools.dataset import parse_examples
from podl_tools.errors import EvaluatorUnavailableError
from podl_tools.measuring import MeasuringStoppedError, measure
from podl_tools.ml.evaluation import Evaluation
from podl_tools.program import Program

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from podl_tools.ml.backend import Backend

__all__ = ["ChildEvaluator", "Evaluator", "LocalEvaluator", "Question", "child_command"]

_LOOK_SECONDS: Final = 0.2  # between two looks at whether the program shall end
_PIECE: Final = 1 << 16
# What a framework needs of the environment, and nothing that may hold a secret.
_KEPT: Final = ("PATH", "HOME", "LANG", "LD_LIBRARY_PATH", "PYTHONPATH", "TMPDIR", "VIRTUAL_ENV")
_KEPT_PREFIXES: Final = ("CUDA_", "JAX_", "NVIDIA_", "OMP_", "OPENBLAS_", "TF_", "XLA_")


@dataclass(frozen=True)
class Question:
    """
    What to measure.

    Parameters
    ----------
    program
        Bytes of the layer program.
    shape, classes, n
        Of the samples, and how many there are.
    weights, data
        Weight bytes, and bytes of the opened shard; both have the roots that the job names.

    """

    program: bytes
    shape: tuple[int, ...]
    classes: int
    n: int
    weights: bytes
    data: bytes


class Evaluator(Protocol):
    """Something that measures. All errors are `PodlError` and mean that nothing is known."""

    def test(self, program: bytes) -> str:
        """Demand that some kernel computes this program exactly, and return its name and device."""

    def measure(self, question: Question) -> tuple[Evaluation, str]:
        """Count, and say on which device."""


class LocalEvaluator:
    """
    Evaluates in this process.

    Parameters
    ----------
    backend
        Where to compute.
    go_on
        Asked again and again while measuring.

    """

    def __init__(self, backend: Backend, go_on: Callable[[], bool] = lambda: True) -> None:
        self._backend = backend
        self._go_on = go_on

    def test(self, program: bytes) -> str:
        """See `Evaluator`."""
        network = self._backend.network(Program.parse(program))
        return f"{network.kernel} on {network.device}"

    def measure(self, question: Question) -> tuple[Evaluation, str]:
        """See `Evaluator`."""
        program = Program.parse(question.program)
        examples = parse_examples(question.data, question.n, question.shape, question.classes)
        device = self._backend.network(program).device
        return measure(program, question.weights, examples, self._backend, self._go_on), device


def child_command(backend: str, threads: int, job_seconds: float, memory_mib: int) -> list[str]:
    """Command line of a child; it takes no key, no password and no path."""
    settings = (backend, str(threads), str(job_seconds), str(memory_mib))
    return [sys.executable, "-B", "-m", "podl_tools.validator.child", *settings]


class ChildEvaluator:
    """
    Evaluates in a child with limits of its own (`limits`), which is killed when it takes too long.

    It is started with the first question, and again after it has ended in whatever way. Questions and answers
    are a line of JSON each, followed by the raw bytes that the line announces; nothing is unpickled.

    Parameters
    ----------
    command
        Of the child.
    job_seconds
        A measurement that takes longer ends the child.
    stopped
        Whether the program shall end.

    """

    def __init__(self, command: Sequence[str], job_seconds: float, stopped: Callable[[], bool]) -> None:
        self._command = command
        self._job_seconds = job_seconds
        self._stopped = stopped
        self._child: subprocess.Popen[bytes] | None = None
        self._tested: list[bytes] = []

    def test(self, program: bytes) -> str:
        """See `Evaluator`."""
        found = str(self._ask({"do": "test", "program": program.hex()})["kernel"])
        if program not in self._tested:
            self._tested.append(program)
        return found

    def measure(self, question: Question) -> tuple[Evaluation, str]:
        """See `Evaluator`."""
        if self._child is None or self._child.poll() is not None:
            for program in {question.program: None, **dict.fromkeys(self._tested)}:
                self.test(program)  # loading and self-tests do not count as measuring
        line = {
            "do": "measure",
            "program": question.program.hex(),
            "shape": list(question.shape),
            "classes": question.classes,
            "n": question.n,
            "weights": len(question.weights),
            "data": len(question.data),
        }
        answer = self._ask(line, question.weights + question.data, self._job_seconds)
        return Evaluation(int(answer["count"]), int(answer["rank_sum"]), question.n), str(answer["device"])

    def close(self) -> None:
        """End the child."""
        if self._child is not None:
            self._child.kill()
            self._child.wait()
            for pipe in (self._child.stdin, self._child.stdout):
                if pipe is not None:
                    pipe.close()
            self._child = None

    def _ask(
        self, line: dict[str, Any], payload: bytes = b"", seconds: float | None = None
    ) -> dict[str, Any]:
        """Put a question; raises `EvaluatorUnavailableError` and `MeasuringStoppedError`."""
        if self._child is None or self._child.poll() is not None:
            self._start()
        deadline = None if seconds is None else time.monotonic() + seconds
        try:
            text = self._exchange(json.dumps(line).encode() + b"\n" + payload, deadline)
            answer = json.loads(text)
        except (OSError, ValueError) as error:
            self.close()
            raise EvaluatorUnavailableError(f"the evaluation has failed: {error}") from None
        except MeasuringStoppedError:
            self.close()
            raise
        if "error" in answer:
            raise EvaluatorUnavailableError(str(answer["error"]))
        return dict(answer)

    def _start(self) -> None:
        self.close()
        kept = {
            name: value
            for name, value in os.environ.items()
            if name in _KEPT or name.startswith(_KEPT_PREFIXES)
        }
        self._child = subprocess.Popen(  # noqa: S603 - the command is our own
            self._command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=kept, close_fds=True
        )
        for pipe in (self._child.stdin, self._child.stdout):
            if pipe is not None:
                os.set_blocking(pipe.fileno(), False)

    def _exchange(self, question: bytes, deadline: float | None) -> bytes:
        child = self._child
        if child is None or child.stdin is None or child.stdout is None:
            raise OSError("no child")
        left, answer = memoryview(question), b""
        while not answer.endswith(b"\n"):
            if self._stopped():
                raise MeasuringStoppedError("the program ends")
            if deadline is not None and time.monotonic() > deadline:
                raise MeasuringStoppedError("it takes too long")
            writers = [child.stdin] if left else []
            readable, writable, _ = select.select([child.stdout], writers, [], _LOOK_SECONDS)
            if writable:
                left = left[os.write(child.stdin.fileno(), left[:_PIECE]) :]
            if readable:
                piece = os.read(child.stdout.fileno(), _PIECE)
                if not piece:
                    raise OSError(f"its process has ended with {child.wait()}")
                answer += piece
        return answer
