"""Evaluation: how many samples a model classifies correctly, and the rank sum that breaks ties."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from podl_tools.ml.model import parse_weights

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from podl_tools.examples import Examples
    from podl_tools.ml.backend import Backend
    from podl_tools.program import Program


@dataclass(frozen=True)
class Evaluation:
    """
    What an evaluator measured.

    Parameters
    ----------
    count
        Correctly classified samples.
    rank_sum
        Sum over the samples of the true class's rank (protocol.md section 5).
    samples
        Number of samples.

    """

    count: int
    rank_sum: int
    samples: int


def evaluate(program: Program, weights: bytes, examples: Examples, backend: Backend) -> Evaluation:
    """
    Evaluate weight bytes on labelled samples.

    Parameters
    ----------
    program
        The layer program.
    weights
        Weight bytes, one int8 per parameter.
    examples
        Opened test shard.
    backend
        Where to compute.

    Raises
    ------
    ModelSizeError, ModelRangeError
        The weight bytes do not fit the program.
    ExamplesError
        The samples do not fit the program.

    """
    matrices = parse_weights(program, weights)
    examples.check_fit(program)
    logits = backend.network(program).logits(matrices, examples.samples)
    return score(logits, examples.labels)


def score(logits: NDArray[np.int32], labels: NDArray[np.uint8]) -> Evaluation:
    """
    Count and rank sum of given logits.

    The prediction is the smallest index with the largest logit, so a sample is correct exactly when its
    label's rank is 0: no class is above it, and none before it is equal.

    Parameters
    ----------
    logits
        (n, classes).
    labels
        (n,).

    """
    wanted = labels[:, None].astype(np.int64)
    own = np.take_along_axis(logits, wanted, axis=1)
    before = np.arange(logits.shape[1]) < wanted
    ranks = ((logits > own) | ((logits == own) & before)).sum(axis=1)
    return Evaluation(int((ranks == 0).sum()), int(ranks.sum()), len(labels))
