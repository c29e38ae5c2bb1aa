"""
Check a machine's kernels with the published models: the same bits as everywhere, or exit code 1.

Made for the first run on a GPU, which has not taken place: `python -m dev.check_gpu` there trains the five
networks of arithmetic.md section 3 on every backend that sees the GPU, and on the CPU with NumPy's float64
products, and prints for each the device, the kernel that the self-test let pass, the hash of the model and
the time. On a machine without a GPU it does the same on the CPU.
"""

from __future__ import annotations

import sys
from time import perf_counter
from typing import Final

import click

from podl_tools.digits import load_digits_split
from podl_tools.errors import EvaluatorUnavailableError
from podl_tools.ml.backend import BACKENDS, Backend
from podl_tools.ml.evaluation import evaluate
from podl_tools.ml.model import vector_hash, weight_bytes
from podl_tools.ml.training import Hyperparameters, Training, train
from podl_tools.program import parse_program

_CNN: Final = "input 8x8x1, conv2d 3x3x16, {0} 2, conv2d 3x3x32, {0} 2, flatten, dense 64, output 10"
# Program, first digits of the model's hash, correct answers of 797.
PUBLISHED: Final = {
    "mlp": ("input 64, dense 64, dense 64, output 10", "5b36bf3acca504c5", 753),
    "cnn": (_CNN.format("maxpool"), "28b24008c99b0820", 773),
    "cnn_avg": (_CNN.format("avgpool"), "ea3edc1d32a75677", 673),
    "rnn": ("input 8x8, rnn 64, output 10", "adfa788d239da2ef", 756),
    "mgru": ("input 8x8, mgru 64, output 10", "2747ad7031b8a09a", 722),
}


def train_published(name: str, backend: Backend) -> tuple[str, int]:
    """
    Train a published model again.

    Parameters
    ----------
    name
        A key of `PUBLISHED`.
    backend
        Where to compute.

    Returns
    -------
    tuple
        First 16 hex digits of the model's hash, and its correct answers.

    Raises
    ------
    EvaluatorUnavailableError
        The backend does not load, or nothing on this machine computes exactly.

    """
    program = parse_program(PUBLISHED[name][0])
    training, test = load_digits_split()
    numbers = Hyperparameters(batch_log2=5, epochs=5, rate_shift=5, drop=False)
    state = train(Training(program, numbers, b"s0", training), backend)
    found = evaluate(program, weight_bytes(state.masters), test, backend)
    return vector_hash(state.masters)[:16], found.count


def _check(name: str, backend: Backend) -> bool:
    """Print one line about a model on a backend; tell whether it is the published one."""
    try:
        network = backend.network(parse_program(PUBLISHED[name][0]))
        start = perf_counter()
        found = train_published(name, backend)
    except EvaluatorUnavailableError as error:
        print(f"{name:8} {backend.name:10} FAILED: {error}", flush=True)
        return False
    same = found == PUBLISHED[name][1:]
    verdict = "same bits" if same else f"DIFFERS from {PUBLISHED[name][1:]}"
    where = f"{network.device}; {network.kernel}"
    print(
        f"{name:8} {backend.name:10} {found} {verdict}, {perf_counter() - start:.1f} s  [{where}]", flush=True
    )
    return same


@click.command(help=__doc__)
@click.option(
    "--backend",
    "names",
    type=click.Choice(BACKENDS),
    multiple=True,
    default=BACKENDS,
    help="What to check; repeatable.  [default: all]",
)
@click.option(
    "--model",
    "models",
    type=click.Choice(list(PUBLISHED)),
    multiple=True,
    default=list(PUBLISHED),
    help="Which networks to train; repeatable.  [default: all]",
)
@click.option("--threads", type=click.IntRange(1), default=1, help="CPU threads of each backend.")
def main(names: tuple[str, ...], models: tuple[str, ...], threads: int) -> None:
    """Check every model on every backend."""
    backends = [Backend(name, threads=threads) for name in names]
    results = [_check(model, backend) for model in models for backend in backends]
    sys.exit(not all(results))


if __name__ == "__main__":
    main()
