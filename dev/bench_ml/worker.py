"""
One measurement in a process of its own, so that its threads and oneDNN's settings really apply.

Takes a request as JSON and prints the answer as JSON in the last line.
"""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING, Any, Final

from dev.bench_ml.bits import hash_exact, hash_float
from dev.bench_ml.nets import NETS, load_data
from dev.bench_ml.setting import Setting
from dev.bench_ml.timing import time_evaluation, time_referee, time_training
from podl_tools.ml.backend import Backend
from podl_tools.ml.comparison import compare
from podl_tools.ml.training import Hyperparameters, Training

if TYPE_CHECKING:
    from collections.abc import Callable

_BATCH_LOG2: Final = 5


def measure_accuracy(net: str, *, seed: str, epochs: int, fsdd: str | None) -> dict[str, int]:
    """Train exactly and in float32 with rate drops, and count the correct test samples of both."""
    chosen = NETS[net]
    examples, test = load_data(chosen, fsdd)
    numbers = Hyperparameters(_BATCH_LOG2, epochs, chosen.rate_shift, drop=True)
    training = Training(chosen.program, numbers, seed.encode(), examples)
    found = compare(training, test, Backend("tensorflow", threads=1))
    return {"exact": found.exact, "float32": found.float32, "samples": found.samples}


def _with_setting(function: Callable[..., dict[str, Any]]) -> Callable[..., dict[str, Any]]:
    def call(net: str, *, setting: dict[str, Any], **rest: Any) -> dict[str, Any]:
        return function(net, Setting(**setting), **rest)

    return call


_WORK: Final[dict[str, Callable[..., dict[str, Any]]]] = {
    "accuracy": measure_accuracy,
    "training": time_training,
    "evaluation": time_evaluation,
    "referee": time_referee,
    "exact hash": _with_setting(hash_exact),
    "float hash": _with_setting(hash_float),
}


def main() -> None:
    """Answer the request in the only argument."""
    request = json.loads(sys.argv[1])
    print(json.dumps(_WORK[request.pop("do")](**request)))


if __name__ == "__main__":
    main()
