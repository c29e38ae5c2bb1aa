"""A network whose evaluation takes longer than any test, and a tiny one for the same images."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from podl_framework.actors import Requester
from podl_tools.examples import Examples
from podl_tools.program import parse_program
from podl_tools.training_run import TrainedModel

if TYPE_CHECKING:
    from podl_tools.program import Program

SIDE = 128
CLASSES = 4
# About 23 billion multiply-adds per sample: far more than a machine does while a test runs.
ENDLESS = parse_program(
    f"input {SIDE}x{SIDE}x1, {'conv2d 3x3x115, ' * 13}maxpool {SIDE}, flatten, output {CLASSES}"
)
TINY = parse_program(f"input {SIDE}x{SIDE}x1, maxpool {SIDE}, flatten, output {CLASSES}")


def make_images(count: int) -> Examples:
    """Draw noise: nothing here is learned."""
    random = np.random.default_rng(1)
    samples = random.integers(0, 128, (count, SIDE, SIDE, 1), dtype=np.int8)
    return Examples(samples, random.integers(0, CLASSES, count, dtype=np.uint8))


def untrained(program: Program) -> TrainedModel:
    """Return weights that nobody trained; a node does not replay."""
    masters = np.full(program.n_params, 1 << 16, dtype="<i4")
    return TrainedModel(
        masters.tobytes(), bytes([1]) * program.n_params, ((bytes([1]) * 32, bytes([2]) * 32),) * 2
    )


def make_requester(first_height: int) -> Requester:
    """Build a requester of a task that allows both."""
    return Requester(
        first_height=first_height,
        programs=(ENDLESS, TINY),
        n_shards=1,
        examples=make_images,
        b_min=1,
        max_replay_macs=10**18,
        evaluation_rate=10**15,
        max_weights=2 << 20,
    )
