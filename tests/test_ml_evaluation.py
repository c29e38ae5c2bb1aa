"""Counting and ranking: ties, and refusals of bytes that do not fit."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from podl_tools.errors import ExamplesError, ModelRangeError, ModelSizeError
from podl_tools.examples import Examples
from podl_tools.ml.evaluation import Evaluation, evaluate, score
from podl_tools.program import parse_program
from tests.ml_helpers import BACKENDS, backend

PROGRAM = parse_program("input 2, output 3")


@given(st.data())
def test_score_follows_the_definition(data: st.DataObject) -> None:
    classes, n = data.draw(st.integers(2, 5)), data.draw(st.integers(0, 6))
    logits = data.draw(arrays(np.int32, (n, classes), elements=st.integers(-2, 2)))
    labels = data.draw(arrays(np.uint8, n, elements=st.integers(0, classes - 1)))
    hits, ranks = 0, 0
    for row, y in zip(logits.tolist(), labels.tolist(), strict=True):
        hits += row.index(max(row)) == y  # the smallest index with the maximum
        ranks += sum(v > row[y] for v in row) + sum(row[j] == row[y] for j in range(y))
    assert score(logits, labels) == Evaluation(hits, ranks, n)


@pytest.mark.parametrize("where", BACKENDS)
def test_evaluate_with_ties(where: str) -> None:
    weights = np.array([[1, 1, 0], [0, 0, 1], [0, 0, 0]], dtype=np.int8).tobytes()
    samples = np.array([[5, 3], [3, 5], [4, 4], [-4, -4]], dtype=np.int8)
    # Logits: 5 5 3, 3 3 5, 4 4 4, -4 -4 -4.
    found = evaluate(
        PROGRAM, weights, Examples(samples, np.array([1, 2, 2, 0], dtype=np.uint8)), backend(where)
    )
    assert found == Evaluation(count=2, rank_sum=1 + 0 + 2 + 0, samples=4)


def test_evaluate_refuses_other_bytes() -> None:
    good = Examples(np.zeros((1, 2), dtype=np.int8), np.zeros(1, dtype=np.uint8))
    with pytest.raises(ModelSizeError):
        evaluate(PROGRAM, bytes(8), good, backend("numpy"))
    with pytest.raises(ModelRangeError):
        evaluate(PROGRAM, bytes(8) + b"\x80", good, backend("numpy"))
    with pytest.raises(ExamplesError):
        evaluate(PROGRAM, bytes(9), Examples(good.samples[:, :1], good.labels), backend("numpy"))
    with pytest.raises(ExamplesError):
        evaluate(PROGRAM, bytes(9), Examples(good.samples, np.array([3], dtype=np.uint8)), backend("numpy"))
