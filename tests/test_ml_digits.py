"""Published vectors: five nets trained on handwritten digits (arithmetic.md section 3)."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import TYPE_CHECKING

import numpy as np
import pytest

from dev.check_gpu import PUBLISHED, train_published
from podl_tools.digits import load_digits_split
from podl_tools.ml.model import vector_hash
from podl_tools.ml.state import initial_masters
from podl_tools.program import parse_program
from tests.ml_helpers import BACKENDS, backend

if TYPE_CHECKING:
    from podl_tools.examples import Examples


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
    program = parse_program(PUBLISHED["mlp"][0])
    expected = "975664eb573ff12c29875baff6f01009b006fd0807f09d51da01d7d3b1a5bf9b"
    assert vector_hash(initial_masters(program, b"s0")) == expected


@pytest.mark.parametrize("name", PUBLISHED)
@pytest.mark.parametrize("where", BACKENDS)
def test_published_model(name: str, where: str) -> None:
    assert train_published(name, backend(where)) == PUBLISHED[name][1:]


def test_other_threads_and_kernels_give_the_published_model() -> None:
    """Two threads, and TensorFlow without oneDNN: both are settings of a process."""
    command = [sys.executable, "-m", "dev.check_gpu", "--threads=2", "--model=cnn"]
    done = subprocess.run(
        [*command, "--backend=tensorflow", "--backend=jax"],
        env=os.environ | {"TF_ENABLE_ONEDNN_OPTS": "0"},
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.count("same bits") == 2
