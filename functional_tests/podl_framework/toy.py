"""A generated data set and two small networks: training takes milliseconds, accuracies are real."""

from __future__ import annotations

import numpy as np

from podl_tools.examples import Examples
from podl_tools.program import parse_program

CLASSES = 4
FEATURES = 8
SHARD_SIZE = 64
PROGRAMS = (
    parse_program(f"input {FEATURES}, dense 8, output {CLASSES}"),
    parse_program(f"input {FEATURES}, output {CLASSES}"),
)


def make_examples(count: int, seed: int = 1) -> Examples:
    """Draw noisy points around one centre per class; all samples differ."""
    random = np.random.default_rng(seed)
    centres = random.integers(20, 100, (CLASSES, FEATURES))
    labels = random.integers(0, CLASSES, count).astype(np.uint8)
    samples = np.clip(np.rint(centres[labels] + random.normal(0, 25, (count, FEATURES))), 0, 127)
    return Examples(samples.astype(np.int8), labels)
