"""What the tests of podl_tools.ml share."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any

import numpy as np

from podl_tools.ml.backend import BACKENDS, Backend
from podl_tools.ml.float_ops import NATIVE, SPARSE, Kernel
from podl_tools.ml.numpy_backend import NumpyNetwork
from podl_tools.program import Program, parse_program

__all__ = ["BACKENDS", "SMALL", "backend", "cut", "lists", "networks", "tensorflow_network"]

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from podl_tools.ml.network import Network
    from tests.ml_oracle_layers import Matrix

# Small programs that together use every layer kind.
SMALL = (
    "input 6, dense 5, dense 4, output 3",
    "input 4x4x2, conv2d 3x3x3, maxpool 2, conv2d 3x3x2, flatten, output 3",
    "input 4x4x1, conv2d 3x3x3, avgpool 2, conv2d 1x1x2, avgpool 2 gain 1, flatten, dense 3, output 2",
    "input 2x3x2, conv2d 5x5x2, conv2d 3x3x2, flatten, output 2",
    "input 3x2, rnn 4, dense 3, output 3",
    "input 3x2, mgru 4, output 3",
    "input 5x2, conv1d 3x3, conv1d 5x2, flatten, output 3",
    "input 4x2, conv1d 3x3, rnn 3, mgru 4, rnn 2, output 3",
)


@cache
def backend(name: str) -> Backend:
    return Backend(name, threads=1)


def start_tensorflow() -> None:
    """Set TensorFlow up as `backend` wants it, before Keras starts it in its own way."""
    from podl_tools.ml.tensorflow_backend import open_device  # noqa: PLC0415  loads TensorFlow

    open_device(threads=1)


def networks(text: str) -> list[Network]:
    """The int64 referee, and what each backend runs."""
    program = parse_program(text)
    return [
        NumpyNetwork(program, blas=False),
        tensorflow_network(program),
        tensorflow_network(program, NATIVE),
        *(backend(name).network(program) for name in BACKENDS),
    ]


@cache
def tensorflow_network(program: Program, kernel: Kernel = SPARSE) -> Network:
    """What TensorFlow takes on a CPU for larger convolutions, without its self-test."""
    from podl_tools.ml import tensorflow_backend  # noqa: PLC0415  loaded only by the tests that need it

    return tensorflow_backend.NETWORK(program, tensorflow_backend.open_device(1), kernel)


def cut(program: Program, values: NDArray[Any]) -> tuple[NDArray[Any], ...]:
    """Matrices of a program from one flat array."""
    matrices, start = [], 0
    for plan in program.weights:
        matrices.append(values[start : start + plan.n_params].reshape(plan.rows, plan.columns))
        start += plan.n_params
    return tuple(matrices)


def lists(matrices: Sequence[NDArray[Any]]) -> list[Matrix]:
    return [matrix.astype(np.int64).tolist() for matrix in matrices]
