"""Cases of winner.json."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from podl_tools.winner import Contender, Measured, accuracy_work, add_claim, evaluation_order, winner

if TYPE_CHECKING:
    from dev.vector_cases.fixture import Json

# Per candidate: position, claims as they arrive, and what an evaluation would measure.
_Row = tuple[int, tuple[int, ...], tuple[int, int]]

_ROUNDS: tuple[tuple[str, list[_Row]], ...] = (
    ("one candidate", [(0, (50,), (50, 20))]),
    ("highest count", [(0, (50,), (50, 20)), (1, (60,), (60, 15)), (2, (55,), (55, 17))]),
    ("equal counts, lowest rank sum", [(0, (60,), (60, 15)), (1, (60,), (60, 14)), (2, (60,), (60, 16))]),
    (
        "equal counts and rank sums, position",
        [(5, (60,), (60, 15)), (2, (60,), (60, 15)), (9, (60,), (60, 15))],
    ),
    ("false claim on top", [(0, (64,), (30, 60)), (1, (60,), (60, 15)), (2, (59,), (59, 12))]),
    ("false claim too low", [(0, (50,), (60, 15)), (1, (40,), (40, 70))]),
    ("second claim saves a header", [(0, (64, 60), (60, 14)), (1, (60,), (60, 15))]),
    (
        "second claim lower than another's",
        [(0, (64, 50), (50, 14)), (1, (60,), (60, 15)), (2, (55,), (55, 1))],
    ),
    ("three claims, the lowest is dropped", [(0, (50, 64, 60), (50, 14)), (1, (49,), (49, 15))]),
    ("claim repeated", [(0, (60, 60, 60), (60, 14)), (1, (61,), (20, 99))]),
    ("equal claims are all evaluated", [(3, (60,), (60, 15)), (1, (60,), (60, 16)), (2, (60,), (10, 99))]),
    ("nobody tells the truth", [(0, (64,), (63, 2)), (1, (60,), (61, 4))]),
    ("no claims", [(0, (), (60, 15)), (1, (1,), (1, 200))]),
    ("nobody", []),
    ("claim 0", [(0, (0,), (0, 250)), (1, (0,), (0, 240))]),
    ("stop at the first true claim", [(index, (60 - index,), (60 - index, 10)) for index in range(8)]),
)
_CLAIMS = ((), (50,), (50, 50), (50, 60), (60, 50), (50, 60, 70), (70, 60, 50), (60, 70, 60, 50))
_WORK = (
    (1000, 0),
    (1000, 500),
    (1000, 999),
    (1000, 1000),
    (64, 64),
    (20_000, 19_999),
    (0xFFFF_FFFF, 0xFFFF_FFFF),
)


def build() -> Json:
    """Play rounds to their winner; claims kept; accuracy work."""
    return {
        "rounds": [_round(case, rows) for case, rows in _ROUNDS],
        "claims": [{"arrive": list(claims), "kept": list(_keep(claims))} for claims in _CLAIMS],
        "accuracy_work": [
            {"n": n, "correct": correct, "work": accuracy_work(n, correct)} for n, correct in _WORK
        ],
    }


def _keep(claims: tuple[int, ...]) -> tuple[int, ...]:
    kept: tuple[int, ...] = ()
    for claim in claims:
        kept = add_claim(kept, claim)
    return kept


def _round(case: str, rows: list[_Row]) -> Json:
    """Evaluate the first of the order until nothing is left to evaluate."""
    contenders = {position: Contender(position, _keep(claims)) for position, claims, _ in rows}
    truth = {position: Measured(*measured) for position, _, measured in rows}
    orders = []
    while order := [row.position for row in evaluation_order(list(contenders.values()))]:
        orders.append(order)
        contenders[order[0]] = replace(contenders[order[0]], measured=truth[order[0]])
    best = winner(list(contenders.values()))
    return {
        "case": case,
        "candidates": [
            {"position": position, "claims": list(claims), "count": measured[0], "rank_sum": measured[1]}
            for position, claims, measured in rows
        ],
        "orders": orders,
        "winner": None if best is None else best.position,
    }
