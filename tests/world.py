"""A small chain for tests: a fake node, a requester's data directory, miners and a validator, one clock."""

from __future__ import annotations

import threading
from contextlib import contextmanager
from functools import cache
from random import Random
from typing import TYPE_CHECKING
from unittest.mock import patch

import numpy as np

from podl_tools.chain.follow import ScheduleFollower
from podl_tools.chain.node import Node
from podl_tools.entry import Entry
from podl_tools.fetch import Fetcher
from podl_tools.files import ChainMark
from podl_tools.ml.backend import Backend
from podl_tools.requester.book import CheckBook
from podl_tools.requester.checking import Checker
from podl_tools.requester.decisions import Policy
from podl_tools.requester.phase2 import PhaseTwo
from podl_tools.requester.prepare import ENTRIES, TASK_FILE, TASKS, Ingredients, new_chain
from podl_tools.requester.service import Requester
from podl_tools.requester.signed import SignedEntries
from podl_tools.requester.tasks import TaskShelf, own_key
from podl_tools.sealing import TaskOptions
from podl_tools.store import PublicObjects
from podl_tools.trainer.job import JobStore
from podl_tools.trainer.material import Material
from podl_tools.trainer.service import Choices, Miner
from podl_tools.trainer.submission import Submitter
from podl_tools.trainer.worker import TrainingWorker
from podl_tools.validator.evaluator import LocalEvaluator
from podl_tools.validator.service import Validator
from tests.fake_node import FakeNode

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from podl_tools.validator.evaluator import Evaluator

FIRST_HEIGHT = 5
START = 1_800_000_000
PROGRAMS = ("input 6, dense 8, output 3", "input 6, output 3")
OPTIONS = TaskOptions(
    first_height=FIRST_HEIGHT, min_commit=10, min_reveal=10, max_phase=600, stamp_bits=4, list_size=4
)


@cache
def shared_backend() -> Backend:
    """Return the backend of all tests; its self-test takes a while."""
    return Backend("numpy")


class Clock:
    """Seconds that a test moves."""

    def __init__(self) -> None:
        self.now = START

    def __call__(self) -> int:
        return self.now


def write_examples(path: Path, seed: int, n: int) -> Path:
    """Three classes told apart by which third of a sample is largest."""
    random = np.random.default_rng(seed)
    samples = random.integers(-100, 100, (n, 6)).astype(np.int8)
    labels = samples.reshape(n, 3, 2).astype(int).sum(axis=2).argmax(axis=1).astype(np.uint8)
    np.savez(path, samples=samples, labels=labels)
    return path


def write_ingredients(directory: Path, *, shards: int = 4) -> Ingredients:
    return Ingredients(
        write_examples(directory / "training.npz", 1, 256),
        write_examples(directory / "test.npz", 2, 64 * shards),
        PROGRAMS,
        shards,
        64,
    )


class _FixedSecrets:
    """Stands for the module `secrets`: the same chain, and so the same trainings and counts, in every run."""

    SystemRandom = staticmethod(lambda: Random(1))
    token_bytes = staticmethod(lambda size: b"\2" * size)


@contextmanager
def fixed_secrets() -> Iterator[None]:
    """Prepare tasks without chance while the block runs."""
    with patch("podl_tools.requester.prepare.secrets", _FixedSecrets):
        yield


class World:
    """One node with everything that runs around it."""

    def __init__(self, directory: Path, *, shards: int = 4, options: TaskOptions = OPTIONS) -> None:
        self.directory = directory
        self.clock = Clock()
        self.home = directory / "requester"
        with fixed_secrets():
            new_chain(
                self.home, write_ingredients(directory, shards=shards), options, b"\1" * 32, self.clock.now
            )
        self.task_entry = Entry.parse(bytes.fromhex((self.home / TASK_FILE).read_text()))
        self.fake = FakeNode(self.task_entry, self.clock)
        self.node = Node(self.fake)
        self.backend = shared_backend()
        self.trained: dict[str, threading.Event] = {}
        self.public = PublicObjects(self.home / "public")

    @property
    def schedule(self) -> object:
        return self.fake.schedule

    def requester(self, policy: Policy | None = None, *, reports: bool = True) -> Requester:
        """Start a requester that is its node's evaluator too, as after a restart if there was one before."""
        key = own_key(self.home)
        checker = Checker(self.node, Fetcher(self.home / "data", []), self.backend, lambda _: None)
        book = CheckBook(self.home / "checked.json", self.clock)
        return Requester(
            self.node,
            ScheduleFollower(self.node),
            ChainMark(self.home),
            TaskShelf(self.home / TASKS, key.public),
            SignedEntries(self.home / ENTRIES, key),
            self.public,
            PhaseTwo(self.node, checker, book, reports=reports),
            policy or Policy(min_commitments=1, commit_seconds=60, reveal_seconds=60),
            self.clock,
        )

    def miner(self, name: str, *, architecture: int = 0, epochs: int = 2, warm_start: bool = True) -> Miner:
        """Start a miner, as after a restart when there was one of this name before."""
        directory = self.directory / name
        store = JobStore(directory / "jobs")
        fetcher = Fetcher(directory / "data", [])
        sealed = TaskShelf(self.home / TASKS, own_key(self.home).public).tasks[0]
        fetcher.keep(sealed.task.training_root, sealed.training)
        choices = Choices(
            architecture=architecture,
            b=4,
            epochs=epochs,
            k=4,
            drop=0,
            trial=0,
            warm_start=warm_start,
            payout=b"\x51" + name.encode(),
        )
        event = self.trained[name] = threading.Event()
        return Miner(
            ScheduleFollower(self.node),
            ChainMark(directory),
            store,
            choices,
            Material(self.node, fetcher),
            Submitter(self.node, store, fetcher, self.backend),
            TrainingWorker(event.set),
            self.backend,
        )

    def train(self, name: str, miner: Miner) -> None:
        """Let a miner train and take the result."""
        miner.step()
        assert self.trained[name].wait(30)
        self.trained[name].clear()
        miner.step()

    def validator(self, name: str = "validator", evaluator: Evaluator | None = None) -> Validator:
        fetcher = Fetcher(self.directory / name / "data", [])
        evaluator = evaluator or LocalEvaluator(self.backend)
        return Validator(self.node, fetcher, evaluator, name, lambda: False, self.clock)

    def later(self, seconds: int, *steps: Callable[[], object]) -> None:
        """Move the clock and let somebody look."""
        self.clock.now += seconds
        for step in steps:
            step()
