"""Times of training steps and evaluations, exact and float32 in turn, in a process set up for it."""

from __future__ import annotations

import json
import subprocess
import time
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any, Final

from dev.bench_ml.nets import LARGE, NETS, random_batches
from podl_tools.dataset import serialize_examples
from podl_tools.examples import Examples
from podl_tools.ml.backend import Backend
from podl_tools.ml.evaluation import score
from podl_tools.ml.float_twin import FloatTwin
from podl_tools.ml.model import weight_bytes, weights_of
from podl_tools.ml.numpy_backend import NumpyNetwork
from podl_tools.ml.state import at_rest, initial_masters
from podl_tools.program import update_shifts

if TYPE_CHECKING:
    from collections.abc import Callable

    from podl_tools.ml.network import Network

_BATCH_LOG2: Final = 5
_SEED: Final = b"s0"
# The referee is slow: it takes a part of the samples, and its time is scaled up.
_REFEREE_SHARE: Final = 10

Seconds = dict[str, list[float]]
Sides = dict[str, "Callable[[], float]"]


def clock(work: Callable[[], object]) -> float:
    """Seconds that `work` takes."""
    begin = time.perf_counter()
    work()
    return time.perf_counter() - begin


def in_turn(sides: Sides, rounds: int) -> Seconds:
    """Ask every side for its seconds once in each round; every second round goes the other way."""
    found: Seconds = {name: [] for name in sides}
    for at in range(rounds):
        for name in sides if at % 2 == 0 else reversed(sides):
            found[name].append(sides[name]())
    return found


def time_training(net: str, *, threads: int, rounds: int, steps: int) -> dict[str, Any]:
    """
    Measure epochs of `steps` batches of 32.

    Returns
    -------
    dict
        `first`: seconds of the first step, with compilation; `self-test`: of the exact network alone;
        `rounds`: seconds per epoch after that; `kernel`: what computed exactly.

    """
    chosen = (NETS | LARGE)[net]
    program = chosen.program
    backend = Backend("tensorflow", threads=threads)
    self_test = clock(lambda: backend.network(program))
    network = backend.network(program)
    start = at_rest(initial_masters(program, _SEED))
    twins = {
        "float32": FloatTwin(program, start.masters),
        "float32 XLA": FloatTwin(program, start.masters, compiled=True),
    }
    batches = random_batches(chosen, steps, 1 << _BATCH_LOG2)
    shifts = update_shifts(program, _BATCH_LOG2, chosen.rate_shift)
    rate = chosen.rate_shift

    def sides(count: int) -> Sides:
        part = batches[:count]
        exact: Sides = {"exact": lambda: clock(lambda: network.train_epoch(start, part, shifts))}
        return exact | {name: _epoch(twin, part, rate) for name, twin in twins.items()}

    first = in_turn(sides(1), 1)
    in_turn(sides(steps), 1)
    return {
        "kernel": f"{network.device}, {network.kernel}",
        "self-test": self_test,
        "first": {name: seconds[0] for name, seconds in first.items()},
        "rounds": in_turn(sides(steps), rounds),
    }


def _epoch(twin: FloatTwin, batches: Any, rate: int) -> Callable[[], float]:
    def work() -> None:
        twin.train_epoch(batches, rate)
        twin.weights()  # waits for the last step, as the exact side does: it hands out arrays

    return lambda: clock(work)


def time_evaluation(
    net: str, *, threads: int, rounds: int, samples: int, evaluator: str | None
) -> dict[str, Any]:
    """
    Measure the evaluation of random samples under first weights: TensorFlow exact and float32, NumPy, C++.

    The C++ program says itself how long it evaluated, without its start and the reading of files.

    Returns
    -------
    dict
        `rounds`: seconds per evaluation; `found`: count and rank sum of every exact way; `kernel`.

    """
    task = _Evaluation(net, samples)
    network = Backend("tensorflow", threads=threads).network(task.program)
    reference = NumpyNetwork(task.program)
    exact: Sides = {
        "exact": lambda: task.run("exact", network),
        "NumPy BLAS": lambda: task.run("NumPy BLAS", reference),
    }
    with TemporaryDirectory() as folder:
        if evaluator is not None:
            command = [evaluator, *task.write(Path(folder)), f"-threads={threads}"]
            exact["C++"] = lambda: task.run_program("C++", command)
        sides = exact | {
            "float32": task.float_side(compiled=False),
            "float32 XLA": task.float_side(compiled=True),
        }
        in_turn(sides, 1)
        seconds = in_turn(sides, rounds)
    return {"kernel": f"{network.device}, {network.kernel}", "found": task.found, "rounds": seconds}


def time_referee(net: str, *, samples: int) -> dict[str, Any]:
    """Measure the int64 referee on a tenth of the samples; its seconds are scaled to all of them."""
    task = _Evaluation(net, samples // _REFEREE_SHARE)
    seconds = task.run("NumPy int64", NumpyNetwork(task.program, blas=False))
    return {"found": task.found, "rounds": {"NumPy int64": [seconds * _REFEREE_SHARE]}}


class _Evaluation:
    """First weights and random samples of a network, and what every exact way found."""

    def __init__(self, net: str, samples: int) -> None:
        chosen = (NETS | LARGE)[net]
        self.program = chosen.program
        self.masters = initial_masters(self.program, _SEED)
        self.examples = Examples(*random_batches(chosen, 1, samples)[0])
        self.found: dict[str, dict[str, int]] = {}

    def run(self, side: str, network: Network) -> float:
        """Evaluate on a network; return the seconds."""
        begin = time.perf_counter()
        logits = network.logits(weights_of(self.masters), self.examples.samples)
        seconds = time.perf_counter() - begin
        found = score(logits, self.examples.labels)
        self.found[side] = {"count": found.count, "rank_sum": found.rank_sum}
        return seconds

    def float_side(self, *, compiled: bool) -> Callable[[], float]:
        """Return what evaluates in float32."""
        twin = FloatTwin(self.program, self.masters, compiled=compiled)
        return lambda: clock(lambda: twin.logits(self.examples.samples))

    def write(self, folder: Path) -> list[str]:
        """Write what the C++ program reads; return its options."""
        contents = {
            "program": self.program.serialize().hex().encode(),
            "weights": weight_bytes(self.masters),
            "examples": serialize_examples(self.examples),
        }
        for name, data in contents.items():
            (folder / name).write_bytes(data)
        return [f"-{name}={folder / name}" for name in contents]

    def run_program(self, side: str, command: list[str]) -> float:
        """Run the C++ program; return the seconds it says."""
        done = subprocess.run(command, capture_output=True, text=True, check=True)  # noqa: S603  given by the user
        answer = json.loads(done.stdout)
        self.found[side] = {name: answer[name] for name in ("count", "rank_sum")}
        return float(answer["seconds"])
