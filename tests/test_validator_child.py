"""The process that evaluates: the same numbers, bounds that hold, an end that says nothing about a model."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest

from podl_tools.dataset import serialize_examples
from podl_tools.errors import EvaluatorUnavailableError
from podl_tools.examples import Examples
from podl_tools.measuring import MeasuringStoppedError
from podl_tools.program import parse_program
from podl_tools.requester.decisions import Policy
from podl_tools.validator.evaluator import ChildEvaluator, LocalEvaluator, Question, child_command
from tests.world import World, shared_backend

if TYPE_CHECKING:
    from collections.abc import Iterator

PROGRAM = parse_program("input 8, dense 400, dense 400, output 4")
DATA = Examples(
    np.random.default_rng(1).integers(-100, 100, (4096, 8)).astype(np.int8), np.zeros(4096, np.uint8)
)
WEIGHTS = np.random.default_rng(2).integers(-9, 9, PROGRAM.n_params).astype(np.int8).tobytes()
QUESTION = Question(PROGRAM.serialize(), (8,), 4, 4096, WEIGHTS, serialize_examples(DATA))


def child(seconds: float = 60.0, memory_mib: int = 4096) -> ChildEvaluator:
    return ChildEvaluator(child_command("numpy", 1, seconds, memory_mib), seconds, lambda: False)


@pytest.fixture(scope="module")
def evaluator() -> Iterator[ChildEvaluator]:
    with closing(child()) as found:
        yield found


def test_counts_like_this_process(evaluator: ChildEvaluator) -> None:
    assert evaluator.measure(QUESTION) == LocalEvaluator(shared_backend()).measure(QUESTION)
    assert evaluator.test(QUESTION.program) == LocalEvaluator(shared_backend()).test(QUESTION.program)


def test_what_cannot_be_measured_is_an_error_and_the_child_goes_on(evaluator: ChildEvaluator) -> None:
    short = Question(QUESTION.program, (8,), 4, 4096, WEIGHTS[:-1], QUESTION.data)
    with pytest.raises(EvaluatorUnavailableError, match="ModelSizeError"):
        evaluator.measure(short)
    assert evaluator.measure(QUESTION)


def test_child_that_dies_is_started_again(evaluator: ChildEvaluator) -> None:
    evaluator.measure(QUESTION)
    assert evaluator._child is not None
    evaluator._child.kill()
    evaluator._child.wait()
    assert evaluator.measure(QUESTION)


def test_slow_job_kills_the_child(evaluator: ChildEvaluator) -> None:
    evaluator.measure(QUESTION)
    running = evaluator._child
    assert running is not None
    evaluator._job_seconds = 0
    try:
        with pytest.raises(MeasuringStoppedError):
            evaluator.measure(QUESTION)
    finally:
        evaluator._job_seconds = 60
    assert running.returncode == -9
    assert evaluator.measure(QUESTION)


def test_time_out_gives_no_verdict_and_the_job_comes_again(tmp_path: Path) -> None:
    world = World(tmp_path)
    requester, miner = world.requester(Policy(1, 60, 60)), world.miner("ann")
    world.train("ann", miner)
    world.later(10, miner.step, requester.step, requester.step, miner.step)
    miner.stop()
    with closing(child()) as evaluator:
        validator = world.validator(evaluator=evaluator)
        evaluator._job_seconds = 0
        assert validator.step() == 2
        assert world.fake.reported == []
        evaluator._job_seconds = 60
        world.later(2, validator.step)
    assert len(world.fake.reported) == 1


def test_memory_is_bounded() -> None:
    with closing(child(memory_mib=1)) as evaluator:
        evaluator.test(QUESTION.program)
        with pytest.raises(EvaluatorUnavailableError):
            evaluator.measure(QUESTION)


def test_cpu_time_is_bounded() -> None:
    code = "from podl_tools.validator.limits import limit_cpu; limit_cpu(0.1)\nwhile True: pass"
    ended = subprocess.run([sys.executable, "-c", code], check=False, timeout=60)
    assert ended.returncode == -24  # SIGXCPU


def test_no_file_is_written_and_no_core(tmp_path: Path) -> None:
    code = (
        "import resource, sys\n"
        "from podl_tools.validator.limits import confine, prepare\n"
        "prepare()\n"
        "confine(1024)\n"
        "assert resource.getrlimit(resource.RLIMIT_CORE) == (0, 0)\n"
        "try:\n"
        "    open(sys.argv[1], 'wb', buffering=0).write(b'x')\n"
        "except OSError as error:\n"
        "    print(error.errno)\n"
    )
    target = tmp_path / "file"
    ended = subprocess.run(
        [sys.executable, "-c", code, str(target)], check=True, capture_output=True, text=True
    )
    assert ended.stdout.strip() == "27"  # EFBIG
    assert target.read_bytes() == b""


def test_child_sees_no_secret_of_its_parent(
    evaluator: ChildEvaluator, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PODL_RPCPASSWORD", "secret of the environment")
    evaluator.close()
    evaluator.measure(QUESTION)
    assert evaluator._child is not None
    for name in ("environ", "cmdline"):
        assert b"secret" not in Path(f"/proc/{evaluator._child.pid}/{name}").read_bytes()


def test_child_ends_with_its_parent() -> None:
    code = (
        "import os\n"
        "from tests.test_validator_child import QUESTION, child\n"
        "evaluator = child()\n"
        "evaluator.test(QUESTION.program)\n"
        "print(evaluator._child.pid, flush=True)\n"
        "os._exit(1)\n"
    )
    ended = subprocess.run([sys.executable, "-c", code], check=False, capture_output=True, text=True)
    pid = int(ended.stdout)
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        try:
            os.kill(pid, 0)
        except ProcessLookupError:
            return
        if Path(f"/proc/{pid}/stat").read_text(encoding="ascii").split()[2] == "Z":
            return  # ended, and nobody has asked for its code yet
    raise AssertionError("the child is still there")
