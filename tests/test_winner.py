from __future__ import annotations

import json
from dataclasses import replace
from itertools import permutations
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from podl_tools.winner import (
    MAX_CLAIMS,
    Contender,
    Measured,
    accuracy_work,
    add_claim,
    evaluation_order,
    winner,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

VECTORS = json.loads((Path(__file__).parent.parent / "vectors" / "winner.json").read_text())

counts = st.integers(0, 6)
measured = st.none() | st.builds(Measured, count=counts, rank_sum=st.integers(0, 3))
claims = st.lists(counts, max_size=2, unique=True).map(lambda found: tuple(sorted(found, reverse=True)))
tables = st.lists(st.tuples(claims, measured), max_size=6).map(
    lambda rows: [Contender(position, *row) for position, row in enumerate(rows)]
)


def play(table: Sequence[Contender], truth: Sequence[Measured]) -> tuple[Contender | None, int]:
    """Evaluate until nothing is left; returns the winner and the number of evaluations."""
    found = list(table)
    evaluations = 0
    while order := evaluation_order(found):
        position = order[0].position
        at = next(index for index, row in enumerate(found) if row.position == position)
        found[at] = replace(found[at], measured=truth[position])
        evaluations += 1
    return winner(found), evaluations


@given(
    table=tables,
    truth=st.lists(st.builds(Measured, count=counts, rank_sum=st.integers(0, 3)), min_size=6, max_size=6),
)
def test_stopping_early_never_changes_the_winner(table: list[Contender], truth: list[Measured]) -> None:
    fresh = [replace(row, measured=None) for row in table]
    everything = [replace(row, measured=truth[row.position]) for row in fresh]
    best, evaluations = play(fresh, truth)
    complete = winner(everything)
    assert (best and best.position) == (complete and complete.position)
    assert evaluations <= len(fresh)


@given(table=tables)
def test_arrival_order_never_matters(table: list[Contender]) -> None:
    expected = winner(table)
    order = evaluation_order(table)
    for shuffled in list(permutations(table))[:24]:
        assert winner(shuffled) == expected
        assert evaluation_order(shuffled) == order


@given(table=tables)
def test_the_winner_is_the_best_verified_one(table: list[Contender]) -> None:
    best = winner(table)
    verified = [row for row in table if row.measured is not None and row.measured.count in row.claims]
    if best is None:
        assert not verified
        return
    assert best.measured is not None
    for row in verified:
        assert row.measured is not None
        assert (-row.measured.count, row.measured.rank_sum, row.position) >= (
            -best.measured.count,
            best.measured.rank_sum,
            best.position,
        )


def test_an_equal_claim_is_still_evaluated_and_a_lower_one_is_not() -> None:
    table = [Contender(0, (9,), Measured(9, 5)), Contender(1, (9,)), Contender(2, (8,))]
    assert [row.position for row in evaluation_order(table)] == [1]


def test_a_false_claim_stops_nobody() -> None:
    table = [Contender(0, (9,), Measured(8, 5)), Contender(1, (7,))]
    assert [row.position for row in evaluation_order(table)] == [1]
    assert winner(table) is None


@pytest.mark.parametrize("row", VECTORS["rounds"], ids=lambda row: row["case"])
def test_rounds_of_the_vectors(row: dict[str, Any]) -> None:
    truth = {}
    found = {}
    for candidate in row["candidates"]:
        kept: tuple[int, ...] = ()
        for claim in candidate["claims"]:
            kept = add_claim(kept, claim)
        found[candidate["position"]] = Contender(candidate["position"], kept)
        truth[candidate["position"]] = Measured(candidate["count"], candidate["rank_sum"])
    for order in row["orders"]:
        assert [waiting.position for waiting in evaluation_order(list(found.values()))] == order
        found[order[0]] = replace(found[order[0]], measured=truth[order[0]])
    assert evaluation_order(list(found.values())) == []
    best = winner(list(found.values()))
    assert (None if best is None else best.position) == row["winner"]


def test_ties_go_to_the_lower_rank_sum_then_to_the_earlier_place() -> None:
    first, second = Contender(4, (9,), Measured(9, 5)), Contender(7, (9,), Measured(9, 4))
    assert winner([first, second]) == second
    assert winner([first, replace(second, measured=first.measured)]) == first


@given(arriving=st.lists(counts, max_size=8))
def test_the_two_highest_distinct_claims_are_kept(arriving: list[int]) -> None:
    kept: tuple[int, ...] = ()
    for claim in arriving:
        kept = add_claim(kept, claim)
    assert kept == tuple(sorted(set(arriving), reverse=True)[:MAX_CLAIMS])


@pytest.mark.parametrize(
    ("n", "correct", "work"), [(10, 10, 10 << 24), (10, 9, 5 << 24), (3, 0, (3 << 24) // 4)]
)
def test_accuracy_work(n: int, correct: int, work: int) -> None:
    assert accuracy_work(n, correct) == work


@given(n=st.integers(1, 20_000), correct=st.integers(0, 20_000))
def test_accuracy_work_grows_with_every_correct_sample(n: int, correct: int) -> None:
    correct = min(correct, n - 1)
    assert accuracy_work(n, correct) < accuracy_work(n, correct + 1)
