"""Rank of a height's candidates and order of their evaluation (protocol section 6): pure functions."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["MAX_CLAIMS", "Contender", "Measured", "accuracy_work", "add_claim", "evaluation_order", "winner"]

# Claims kept per header.
MAX_CLAIMS: Final = 2
_WORK_SCALE: Final = 1 << 24


@dataclass(frozen=True)
class Measured:
    """What an evaluator measured: correct samples, and the rank sum (lower is better)."""

    count: int
    rank_sum: int


@dataclass(frozen=True)
class Contender:
    """
    A listed header that is valid in all but its claims.

    Parameters
    ----------
    position
        Index in the release's list.
    claims
        Signed claims, distinct, highest first.
    measured
        None while unknown.

    """

    position: int
    claims: tuple[int, ...]
    measured: Measured | None = None

    @property
    def is_verified(self) -> bool:
        """Whether a signed claim equals the measured count."""
        return self.measured is not None and self.measured.count in self.claims

    @property
    def top_claim(self) -> int:
        """Highest claim; -1 without claims."""
        return max(self.claims, default=-1)


def add_claim(claims: Sequence[int], claim: int) -> tuple[int, ...]:
    """Return the highest distinct claims of a header, `MAX_CLAIMS` at most, highest first."""
    return tuple(sorted({*claims, claim}, reverse=True)[:MAX_CLAIMS])


def winner(contenders: Sequence[Contender]) -> Contender | None:
    """
    Return the best verified contender: highest count, then lowest rank sum, then position in the list.

    The order in which contenders or verdicts arrived never matters.
    """
    best = None
    best_key = None
    for contender in contenders:
        if contender.measured is None or not contender.is_verified:
            continue
        key = (-contender.measured.count, contender.measured.rank_sum, contender.position)
        if best_key is None or key < best_key:
            best, best_key = contender, key
    return best


def evaluation_order(contenders: Sequence[Contender]) -> list[Contender]:
    """
    Return the contenders that still have to be evaluated, in the order in which they should be.

    By claim, descending, equal claims by position. Empty once every unverified claim is lower than the best
    verified count: the winner is decided then. Equal claims still matter because of ties.
    """
    best = winner(contenders)
    threshold = 0 if best is None or best.measured is None else best.measured.count
    waiting = [
        contender
        for contender in contenders
        if contender.measured is None and contender.claims and contender.top_claim >= threshold
    ]
    return sorted(waiting, key=lambda contender: (-contender.top_claim, contender.position))


def accuracy_work(n: int, correct: int) -> int:
    """Accuracy work of one block, floor(2^24 * n / (n - correct + 1)): reported, never sorted by."""
    return _WORK_SCALE * n // (n - correct + 1)
