"""Measuring a model on an opened shard: the evaluation of miner, validator and requester."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from podl_tools.errors import EvaluatorUnavailableError
from podl_tools.examples import Examples
from podl_tools.ml.evaluation import Evaluation, evaluate
from podl_tools.tool_errors import ToolError

if TYPE_CHECKING:
    from collections.abc import Callable

    from podl_tools.ml.backend import Backend
    from podl_tools.program import Program

__all__ = ["MeasuringStoppedError", "measure"]

_SLICE: Final = 1024  # samples between two looks at the clock


class MeasuringStoppedError(ToolError):
    """The caller did not want to go on: nothing is known, which is never "invalid"."""

    reason = "podl-eval-unavailable"


def measure(
    program: Program,
    weights: bytes,
    examples: Examples,
    backend: Backend,
    go_on: Callable[[], bool] = lambda: True,
) -> Evaluation:
    """
    Count correct samples and sum the ranks, slice by slice: both are sums over the samples.

    Parameters
    ----------
    program
        The layer program.
    weights
        Weight bytes, one int8 per parameter.
    examples
        The opened shard, at least one sample.
    backend
        Where to compute.
    go_on
        Asked before each slice.

    Raises
    ------
    MeasuringStoppedError
        `go_on` said no.
    EvaluatorUnavailableError
        The machine ran out of memory, or its device failed.
    ModelSizeError, ModelRangeError, ExamplesError
        Weights or samples do not fit the program.

    """
    count = rank_sum = 0
    failures = backend.network(program).failures
    for start in range(0, len(examples), _SLICE):
        if not go_on():
            raise MeasuringStoppedError(f"stopped after {start} of {len(examples)} samples")
        part = slice(start, start + _SLICE)
        try:
            found = evaluate(
                program, weights, Examples(examples.samples[part], examples.labels[part]), backend
            )
        except MemoryError as error:
            raise EvaluatorUnavailableError("out of memory") from error
        except failures as error:
            raise EvaluatorUnavailableError(f"the device failed: {error}") from error
        count += found.count
        rank_sum += found.rank_sum
    return Evaluation(count, rank_sum, len(examples))
