"""The process that evaluates for a validator: bytes in, numbers out, under limits, with nothing to steal."""

from __future__ import annotations

import json
import os
import sys
import threading
from queue import Queue
from typing import TYPE_CHECKING, Any, BinaryIO

from podl_tools.errors import PodlError
from podl_tools.ml.backend import Backend
from podl_tools.validator.evaluator import LocalEvaluator, Question
from podl_tools.validator.limits import confine, limit_cpu, prepare

if TYPE_CHECKING:
    from podl_tools.validator.evaluator import Evaluator

__all__ = ["main", "serve"]

Message = tuple[dict[str, Any], bytes]


def _read(source: BinaryIO, questions: Queue[Message]) -> None:
    """Pass on questions; the end of the input ends the process, whatever it is doing."""
    while line := source.readline():
        asked = json.loads(line)
        questions.put((asked, source.read(asked.get("weights", 0) + asked.get("data", 0))))
    os._exit(0)


def _answer(evaluator: Evaluator, asked: dict[str, Any], payload: bytes) -> dict[str, Any]:
    program = bytes.fromhex(asked["program"])
    if asked["do"] == "test":
        return {"kernel": evaluator.test(program)}
    shape, weights = tuple(asked["shape"]), asked["weights"]
    found, device = evaluator.measure(
        Question(program, shape, asked["classes"], asked["n"], payload[:weights], payload[weights:])
    )
    return {"count": found.count, "rank_sum": found.rank_sum, "device": device}


def serve(evaluator: Evaluator, questions: Queue[Message], cpu_seconds: float, memory_mib: int) -> None:
    """Answer questions for ever; what fails is an error in the answer, never a number."""
    while True:
        asked, payload = questions.get()
        if asked["do"] == "measure":
            confine(memory_mib)
            limit_cpu(cpu_seconds)
        try:
            answer = _answer(evaluator, asked, payload)
        except (PodlError, MemoryError) as error:
            answer = {"error": f"{type(error).__name__}: {error}"}
        sys.stdout.write(json.dumps(answer) + "\n")
        sys.stdout.flush()


def main() -> None:
    """Read limits from the command line: backend, threads, seconds for a job, MiB for measuring."""
    backend, threads, job_seconds, memory_mib = sys.argv[1:]
    prepare()
    # Libraries may print what they like, but not among the answers.
    sys.stdout = os.fdopen(os.dup(1), "w", encoding="ascii")
    os.dup2(2, 1)
    questions: Queue[Message] = Queue()
    threading.Thread(target=_read, args=(sys.stdin.buffer, questions), daemon=True).start()
    try:
        evaluator = LocalEvaluator(Backend(backend, threads=int(threads)))
    except PodlError as error:
        sys.exit(f"Error: {error}")
    serve(evaluator, questions, float(job_seconds) * (int(threads) + 1), int(memory_mib))


if __name__ == "__main__":
    main()
