"""The validator: order of jobs, pauses, what is never reported, restarts of the node."""

from __future__ import annotations

from hashlib import sha256
from typing import TYPE_CHECKING

import pytest
from click.testing import CliRunner

from podl_tools.chain.answers import Job, Submission
from podl_tools.chain.verdict import Verdict
from podl_tools.files import ChainMark
from podl_tools.ml.evaluation import Evaluation
from podl_tools.requester.decisions import Policy
from podl_tools.tool_errors import NodeUnreachableError, WrongChainError
from podl_tools.validator import cli
from podl_tools.validator.evaluator import LocalEvaluator
from podl_tools.validator.jobs import JobBook, job_key
from podl_tools.validator.start import Start
from podl_tools.winner import Measured
from tests.world import World

if TYPE_CHECKING:
    from pathlib import Path

    from podl_tools.validator.service import Validator


def make_job(number: int = 1) -> Job:
    return Job("candidate", 5, 1, b"program", (2,), 3, bytes([number]) * 32, b"\7" * 32, 64, 60)


FOUND = Evaluation(60, 9, 64), "CPU"


def test_verdict_names_what_was_read() -> None:
    assert Verdict(job_key(make_job()), 60, 9, "CPU", "me").fields() == {
        "arithmetic": 1,
        "program": sha256(b"program").hexdigest(),
        "weights_root": "01" * 32,
        "test_root": "07" * 32,
        "count": 60,
        "rank_sum": 9,
        "device": "CPU",
        "evaluator": "me",
    }


def test_jobs_are_done_in_the_nodes_order() -> None:
    book = JobBook()
    jobs = [make_job(2), make_job(1)]
    assert book.next_job(jobs, 0) is jobs[0]
    book.put_off(jobs[0], 0)
    assert book.next_job(jobs, 0) is jobs[1]
    assert book.next_job(jobs, 2) is jobs[0]
    assert book.next_job([], 0) is None


def test_pauses_double_up_to_a_limit_and_are_forgotten() -> None:
    book, job = JobBook(), make_job()
    pauses = []
    for _ in range(12):
        book.put_off(job, 0)
        pauses.append(book.due([job], 0))
    assert pauses[:4] == [2, 4, 8, 16]
    assert pauses[-1] == 300
    assert book.next_job([], 0) is None  # not asked any more
    assert book.next_job([job], 0) is job
    assert book.due([], 0) is None


@pytest.mark.parametrize(
    ("answer", "soon", "ever"),
    [
        (Submission("accepted"), True, True),
        (Submission("later", "podl-store-error"), False, True),
        (Submission("refused", "podl-verdict-conflict"), False, False),
    ],
)
def test_answers_to_verdicts(answer: Submission, soon: bool, ever: bool) -> None:
    book, job = JobBook(), make_job()
    book.note_answer(job, answer, 0)
    assert (book.next_job([job], 0) is job) is soon
    assert (book.next_job([job], 1e9) is job) is ever
    assert book.due([job], 0) == (None if not ever else 0 if soon else 2)


def test_memory_of_the_book_is_bounded() -> None:
    book = JobBook()
    for number in range(1000):
        job = Job("candidate", 5, 1, b"p", (2,), 3, number.to_bytes(32, "big"), b"\7" * 32, 64, 60)
        book.measured[(1, b"", job.weights_root, b"")] = FOUND
        book.next_job([], 0)
    assert len(book.measured) == 256


@pytest.fixture
def world(tmp_path: Path) -> World:
    """Build a world whose round waits for a verdict; the requester will not look any more."""
    found = World(tmp_path)
    requester = found.requester(Policy(1, 60, 60))
    miner = found.miner("ann")
    found.train("ann", miner)
    found.later(10, miner.step, requester.step)
    requester.step()
    miner.step()
    miner.stop()
    assert found.fake.call("listpodlcandidates")["jobs"]
    return found


def test_measures_and_reports(world: World) -> None:
    assert world.validator("eve").step() is None
    (report,) = world.fake.reported
    (held,) = world.fake.revealed.values()
    assert (report["evaluator"], report["count"], report["device"]) == ("eve", held.claims[0], "NumPy on CPU")
    assert report["weights_root"] == held.disclosure.opening.weights_root.hex()


@pytest.mark.parametrize("kind", ["weights", "shard"])
def test_missing_bytes_mean_nothing_is_reported(world: World, kind: str) -> None:
    validator = world.validator()
    name = next(name for name in world.fake.objects if name[0] == kind)
    data = world.fake.objects[name]
    jobs = world.fake.call("listpodlcandidates")
    world.fake.rpc_listpodlcandidates = lambda: jobs  # type: ignore[method-assign]
    del world.fake.objects[name]
    assert validator.step() == 2
    assert world.fake.reported == []
    world.fake.objects[name] = data
    del world.fake.rpc_listpodlcandidates
    world.later(2, validator.step)
    assert len(world.fake.reported) == 1


def test_wrong_bytes_mean_nothing_is_reported(world: World) -> None:
    name = next(name for name in world.fake.objects if name[0] == "weights")
    world.fake.objects[name] = bytes(len(world.fake.objects[name]))
    assert world.validator().step() == 2
    assert world.fake.reported == []


def test_slow_measurement_is_given_up(world: World) -> None:
    validator = world.validator(evaluator=LocalEvaluator(world.backend, lambda: False))
    assert validator.step() == 2
    assert world.fake.reported == []


@pytest.mark.parametrize("where", ["podl_tools.measuring.evaluate", "podl_tools.validator.service.download"])
def test_without_memory_nothing_is_reported(
    world: World, where: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def greedy(*_: object) -> None:
        raise MemoryError

    validator = world.validator()
    with monkeypatch.context() as patched:
        patched.setattr(where, greedy)
        assert validator.step() == 2
    assert world.fake.reported == []
    assert "out of memory" in caplog.text
    world.later(2, validator.step)
    assert len(world.fake.reported) == 1


def test_conflicting_verdict_is_sent_once(world: World, caplog: pytest.LogCaptureFixture) -> None:
    validator = world.validator()
    jobs = world.fake.call("listpodlcandidates")
    world.fake.rpc_listpodlcandidates = lambda: jobs  # type: ignore[method-assign]
    key = world.fake.verdict_key(
        next(iter(world.fake.revealed.values())).disclosure, bytes.fromhex(jobs["test_root"])
    )
    world.fake.verdicts[key] = Measured(1, 1)
    validator.step()
    world.later(1000, validator.step)
    assert len(world.fake.reported) == 1
    assert "podl-verdict-conflict" in caplog.text


def test_verdict_on_a_decided_round_is_no_error(world: World, caplog: pytest.LogCaptureFixture) -> None:
    jobs = world.fake.call("listpodlcandidates")
    answers = [jobs, {**jobs, "candidates": [], "jobs": []}]
    world.fake.rpc_listpodlcandidates = lambda: answers.pop(0)  # type: ignore[method-assign]
    world.fake.revealed.clear()
    with caplog.at_level("INFO"):
        assert world.validator().step() is None
    (line,) = [record for record in caplog.records if "too late" in record.getMessage()]
    assert line.levelname == "INFO"
    assert "refused" not in line.getMessage()


def test_restarted_node_gets_the_verdict_again_without_a_second_evaluation(world: World) -> None:
    validator: Validator = world.validator()
    world.fake.is_down = True
    with pytest.raises(NodeUnreachableError):
        validator.step()
    world.fake.is_down = False
    validator.step()
    world.fake.verdicts.clear()
    world.fake.calls.clear()
    validator.step()
    assert len(world.fake.reported) == 2
    assert world.fake.reported[0] == world.fake.reported[1]
    assert "getpodldata" not in world.fake.calls


def test_start_tests_every_program_and_the_chain(world: World, tmp_path: Path) -> None:
    directory = tmp_path / "mark"
    directory.mkdir()
    evaluator = LocalEvaluator(world.backend)
    start = Start(world.node, evaluator, ChainMark(directory))
    start.check()
    start.check()
    (directory / "chain").write_text("00" * 32)
    with pytest.raises(WrongChainError):
        Start(world.node, evaluator, ChainMark(directory)).check()


def test_command_line_needs_a_login(tmp_path: Path) -> None:
    result = CliRunner().invoke(cli.main, [f"-datadir={tmp_path}", "-backend=numpy"])
    assert result.exit_code == 2
