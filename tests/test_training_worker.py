"""The miner's training thread."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

import pytest

from podl_tools.errors import RejectError
from podl_tools.trainer.worker import TrainingWorker
from podl_tools.training_run import TrainedModel

if TYPE_CHECKING:
    from collections.abc import Callable

TRAINED = TrainedModel(b"model", b"weights", ((b"\4" * 32, b"\5" * 32),))


def run_until(event: threading.Event) -> Callable[[Callable[[int], None]], TrainedModel]:
    def run(check: Callable[[int], None]) -> TrainedModel:
        event.wait(10)
        check(1)
        return TRAINED

    return run


def test_worker_gives_the_result_and_wakes() -> None:
    woken, go = threading.Event(), threading.Event()
    worker = TrainingWorker(woken.set)
    worker.start((1, b""), run_until(go))
    assert worker.collect() is None
    assert worker.slot == (1, b"")
    go.set()
    assert woken.wait(10)
    assert worker.collect() is TRAINED
    assert worker.collect() is None
    assert worker.slot is None


def test_worker_stops_and_starts_anew() -> None:
    woken, go = threading.Event(), threading.Event()
    go.set()
    worker = TrainingWorker(woken.set)
    stuck = threading.Event()

    def run(check: Callable[[int], None]) -> TrainedModel:
        while True:
            stuck.set()
            check(0)

    worker.start((1, b""), run)
    assert stuck.wait(10)
    worker.start((2, b""), run_until(go))
    assert worker.slot == (2, b"")
    worker.stop()
    assert worker.collect() is None
    assert worker.slot is None


def test_worker_hands_on_what_went_wrong() -> None:
    woken = threading.Event()
    worker = TrainingWorker(woken.set)

    def run(_: Callable[[int], None]) -> TrainedModel:
        raise RejectError("podl-recipe-bounds", "no")

    worker.start((1, b""), run)
    assert woken.wait(10)
    with pytest.raises(RejectError):
        worker.collect()


def test_share_of_time_in_training() -> None:
    now = [100.0]
    worker = TrainingWorker(lambda: None, lambda: now[0])
    done = threading.Event()

    def run(_: Callable[[int], None]) -> TrainedModel:
        now[0] += 30
        done.set()
        return TRAINED

    now[0] += 10
    worker.start((1, b""), run)
    assert done.wait(10)
    worker.stop()
    assert worker.share == 0.75
