"""Processes of the demonstration: watched, stopped, found again by another command."""

from __future__ import annotations

import json
import signal
import sys
from typing import TYPE_CHECKING, Any

import psutil
import pytest

from regtest.errors import DemoError
from regtest.process import (
    INTERRUPTS,
    Process,
    ProcessDiedError,
    interruptible,
    stop_processes,
    uninterrupted,
)
from regtest.record import Running, alive, read_record, stop_network, write_record

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

WAITING = "import signal; signal.pause()"


@pytest.fixture
def waiting(tmp_path: Path) -> Iterator[Process]:
    process = Process("sleeper", [sys.executable, "-c", WAITING], tmp_path / "log")
    process.start()
    yield process
    stop_processes([process])


def running(process: Process, *, is_node: bool = False) -> Running:
    assert process.child is not None
    return Running(process.name, process.child.pid, process.child.create_time(), is_node)


def test_dead_process_is_named_with_its_log(tmp_path: Path) -> None:
    command = [sys.executable, "-c", "import sys; print('what\\nhappened'); sys.exit(3)"]
    process = Process("node7", command, tmp_path / "log")
    process.check()  # never started: nothing to say
    process.start()
    assert process.child is not None
    process.child.wait(30)
    with pytest.raises(ProcessDiedError, match=r"node7 ended with code 3; end of .*log:\nwhat\nhappened"):
        process.check()
    stop_processes([process])


def test_memory_is_sampled_and_kept(waiting: Process) -> None:
    waiting.check()
    peak = waiting.sample_memory()
    assert peak > 0
    stop_processes([waiting])
    assert waiting.sample_memory() == peak


def test_stopped_process_may_start_again(waiting: Process) -> None:
    stop_processes([waiting])
    waiting.check()
    waiting.start()
    waiting.check()


def test_network_is_stopped_by_its_record(waiting: Process, tmp_path: Path) -> None:
    write_record(tmp_path, [running(waiting)])
    assert read_record(tmp_path) == [running(waiting)]
    assert stop_network(tmp_path) == ["sleeper"]
    with pytest.raises(ProcessDiedError):
        waiting.check()
    with pytest.raises(DemoError, match="holds no network"):
        stop_network(tmp_path)


def test_other_process_with_the_same_number_is_left_alone(waiting: Process, tmp_path: Path) -> None:
    found = running(waiting)
    earlier = Running(found.name, found.pid, found.created - 100, is_node=False)
    assert alive(earlier) is None
    write_record(tmp_path, [earlier])
    assert stop_network(tmp_path) == []
    waiting.check()


def test_number_that_nobody_has() -> None:
    free = max(psutil.pids()) + 1000
    assert alive(Running("gone", free, 0.0, is_node=False)) is None


@pytest.mark.parametrize("text", ["no json", "[" * 100_000, json.dumps([{"name": "x"}])])
def test_damaged_record(tmp_path: Path, text: str) -> None:
    (tmp_path / "processes.json").write_text(text)
    with pytest.raises(DemoError, match="damaged"):
        read_record(tmp_path)


@pytest.fixture
def _default_signals() -> Iterator[None]:
    """Give signals their default action: whoever runs the tests may ignore some, as nohup does."""
    before = [(each, signal.signal(each, signal.SIG_DFL)) for each in INTERRUPTS]
    yield
    for each, kept in before:
        signal.signal(each, kept)


@pytest.mark.usefixtures("_default_signals")
@pytest.mark.parametrize("number", INTERRUPTS)
def test_every_signal_interrupts_once(number: signal.Signals) -> None:
    before = [signal.getsignal(each) for each in INTERRUPTS]
    cleaned = []

    def interrupted() -> None:
        try:
            signal.raise_signal(number)
        finally:
            for each in INTERRUPTS:  # an impatient user, a terminal that goes away meanwhile
                signal.raise_signal(each)
            cleaned.append(number)

    with pytest.raises(KeyboardInterrupt), interruptible():
        interrupted()
    assert cleaned == [number]
    assert [signal.getsignal(each) for each in INTERRUPTS] == before


def test_what_is_ignored_stays_ignored() -> None:
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)  # as nohup does
    try:
        with interruptible():
            signal.raise_signal(signal.SIGHUP)
    finally:
        signal.signal(signal.SIGHUP, before)


def test_stopping_is_not_interrupted() -> None:
    with interruptible(), uninterrupted():
        for each in INTERRUPTS:
            signal.raise_signal(each)


def test_process_that_starts_when_the_signal_comes_is_known(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = psutil.Popen

    def interrupted(*arguments: Any, **options: Any) -> psutil.Popen:
        child = real(*arguments, **options)
        signal.raise_signal(signal.SIGTERM)
        return child

    monkeypatch.setattr(psutil, "Popen", interrupted)
    process = Process("sleeper", [sys.executable, "-c", WAITING], tmp_path / "log")
    with pytest.raises(KeyboardInterrupt), interruptible():
        process.start()
    assert process.child is not None
    stop_processes([process])
