"""One training done twice, exactly and in float32, and both measured on the same samples."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from podl_tools.ml.evaluation import evaluate
from podl_tools.ml.float_twin import train_float
from podl_tools.ml.model import weight_bytes
from podl_tools.ml.training import train

if TYPE_CHECKING:
    from podl_tools.examples import Examples
    from podl_tools.ml.backend import Backend
    from podl_tools.ml.training import Training


@dataclass(frozen=True)
class Comparison:
    """
    Correctly classified samples of both sides.

    Parameters
    ----------
    exact, float32
        Correct samples of the exact network and of its twin.
    samples
        Number of samples.

    """

    exact: int
    float32: int
    samples: int


def compare(training: Training, test: Examples, backend: Backend) -> Comparison:
    """
    Train exactly and in float32, and evaluate both.

    Parameters
    ----------
    training
        What determines both trainings.
    test
        Samples that are in no training set.
    backend
        Where the exact side computes. The twin takes TensorFlow as that backend left it.

    Raises
    ------
    EvaluatorUnavailableError
        No kernel of this machine computes exactly.
    ExamplesError
        The test samples do not fit the program.

    """
    weights = weight_bytes(train(training, backend).masters)
    found = evaluate(training.program, weights, test, backend)
    return Comparison(found.count, train_float(training).count(test), found.samples)
