"""Published vectors: five nets trained on handwritten digits (arithmetic.md section 3)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest

from podl_tools.digits import load_digits_split
from podl_tools.ml.evaluation import evaluate
from podl_tools.ml.model import vector_hash, weight_bytes
from podl_tools.ml.state import initial_masters
from podl_tools.ml.training import Hyperparameters, Training, train
from podl_tools.program import parse_program
from tests.ml_helpers import BACKENDS, backend

if TYPE_CHECKING:
    from podl_tools.examples import Examples

CNN = "input 8x8x1, conv2d 3x3x16, {0} 2, conv2d 3x3x32, {0} 2, flatten, dense 64, output 10"
NETS = {
    "mlp": ("input 64, dense 64, dense 64, output 10", "5b36bf3acca504c5", 753),
    "cnn": (CNN.format("maxpool"), "28b24008c99b0820", 773),
    "cnn_avg": (CNN.format("avgpool"), "ea3edc1d32a75677", 673),
    "rnn": ("input 8x8, rnn 64, output 10", "adfa788d239da2ef", 756),
    "mgru": ("input 8x8, mgru 64, output 10", "2747ad7031b8a09a", 722),
}


@pytest.fixture(scope="module")
def digits() -> tuple[Examples, Examples]:
    return load_digits_split()


def test_split(digits: tuple[Examples, Examples]) -> None:
    training, test = digits
    assert (len(training), len(test)) == (1000, 797)
    assert training.samples.shape[1:] == (8, 8, 1)
    assert (training.samples.min(), training.samples.max()) == (0, 64)
    assert np.bincount(np.concatenate([training.labels, test.labels])).min() == 174


def test_initial_weights() -> None:
    program = parse_program(NETS["mlp"][0])
    expected = "975664eb573ff12c29875baff6f01009b006fd0807f09d51da01d7d3b1a5bf9b"
    assert vector_hash(initial_masters(program, b"s0")) == expected


@pytest.mark.parametrize("name", NETS)
@pytest.mark.parametrize("where", BACKENDS)
def test_published_model(name: str, where: str, digits: tuple[Examples, Examples]) -> None:
    text, expected, count = NETS[name]
    program = parse_program(text)
    training, test = digits
    numbers = Hyperparameters(batch_log2=5, epochs=5, rate_shift=5, drop=False)
    state = train(Training(program, numbers, b"s0", training), backend(where))
    assert vector_hash(state.masters)[:16] == expected
    found = evaluate(program, weight_bytes(state.masters), test, backend(where))
    assert (found.count, found.samples) == (count, 797)
