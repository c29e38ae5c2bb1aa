"""Candidates as the requester sees them: what is there, what was measured, what its own check gave."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING

from podl_tools.entry import Skipped, SkipReason
from podl_tools.winner import Contender, winner

if TYPE_CHECKING:
    from collections.abc import Sequence

    from podl_tools.winner import Measured

__all__ = ["Entrant", "Outcome", "skipped_for"]


class Outcome(Enum):
    """What the requester's own check of a candidate gave."""

    GOOD = "good"
    MISMATCH = "podl-retrain-mismatch"
    NOT_SERVED = "podl-data-missing"
    INVALID = "invalid"


_REASONS = {
    Outcome.MISMATCH: SkipReason.REPLAY_MISMATCH,
    Outcome.NOT_SERVED: SkipReason.NOT_SERVED,
    Outcome.INVALID: SkipReason.INVALID,
}


@dataclass(frozen=True)
class Entrant:
    """
    A listed header whose reveal is known.

    Parameters
    ----------
    hash
        Block hash.
    position
        Index in the release's list.
    claims
        Signed claims.
    weights
        Whether the node holds the weight bytes.
    complete
        Whether it holds body, weights and model.
    measured
        The requester's own measurement.
    outcome
        The requester's own check; None before it.

    """

    hash: bytes
    position: int
    claims: tuple[int, ...]
    weights: bool
    complete: bool
    measured: Measured | None = None
    outcome: Outcome | None = None

    @property
    def contender(self) -> Contender:
        """Return the entrant as the winner rule sees it."""
        return Contender(self.position, self.claims, self.measured)

    @property
    def failed(self) -> bool:
        """Whether the requester must not name it."""
        return self.outcome not in (None, Outcome.GOOD)


def skipped_for(chosen: Entrant, entrants: Sequence[Entrant]) -> tuple[Skipped, ...]:
    """List the better candidates that are passed over, with the reason, by list index."""
    skipped = []
    for entrant in sorted(entrants, key=lambda entrant: entrant.position):
        outcome = entrant.outcome if entrant.failed else None
        if outcome is None and not entrant.complete:
            outcome = Outcome.NOT_SERVED
        if entrant.position != chosen.position and outcome is not None and _is_better(entrant, chosen):
            skipped.append(Skipped(entrant.position, _REASONS[outcome]))
    return tuple(skipped)


def _is_better(entrant: Entrant, chosen: Entrant) -> bool:
    """Whether an entrant ranks before the chosen one, or might, as far as is known."""
    if entrant.measured is None:
        return chosen.measured is not None and entrant.contender.top_claim >= chosen.measured.count
    return winner([chosen.contender, entrant.contender]) == entrant.contender
