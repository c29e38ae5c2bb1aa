"""Numbers that a run gives besides its blocks: memory, training time, time to a verdict."""

from __future__ import annotations

import re
from dataclasses import dataclass
from statistics import median
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

_SHARE: Final = re.compile(r"(\d+) % of the time (?:so far )?was (?:spent )?training")


@dataclass(frozen=True)
class ProcessFigures:
    """Figures of one process.

    Parameters
    ----------
    name
        Of the process.
    peak_bytes
        Largest resident memory that was seen.
    training_share
        Share of a miner's time spent training, 0 to 1; None for others.
    verdict_seconds
        Times from a reveal to its verdict, for the node with this validator.
    """

    name: str
    peak_bytes: int
    training_share: float | None = None
    verdict_seconds: tuple[float, ...] = ()

    @property
    def median_verdict(self) -> float | None:
        """Median of the times to a verdict."""
        return median(self.verdict_seconds) if self.verdict_seconds else None


def training_share(log: str) -> float | None:
    """Read the last share of training time that a miner logged, 0 to 1; None when there is none."""
    found = _SHARE.findall(log)
    return int(found[-1]) / 100 if found else None


def collect(
    peaks: Mapping[str, int], logs: Mapping[str, str], verdicts: Mapping[str, Sequence[float]]
) -> list[ProcessFigures]:
    """Join the figures by process.

    Parameters
    ----------
    peaks : mapping
        Peak memory in bytes, by process.
    logs : mapping
        Log of each miner.
    verdicts : mapping
        Times from reveal to first verdict in seconds, by the name of the node.
    """
    return [
        ProcessFigures(
            name,
            peak,
            training_share(logs[name]) if name in logs else None,
            tuple(verdicts.get(name, ())),
        )
        for name, peak in peaks.items()
    ]
