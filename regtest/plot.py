"""Accuracy over the blocks of a run, as a picture."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from regtest.plan import MINERS, miner_name

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from matplotlib.axes import Axes

    from regtest.history import Block
    from regtest.replay import Replay

# Okabe and Ito's colours can be told apart with any colour vision; shapes differ as well.
_STYLES: Final = (("#0072b2", "o"), ("#d55e00", "s"), ("#009e73", "^"))
_PERCENT: Final = 100
_RING: Final[dict[str, Any]] = {
    "linestyle": "none",
    "marker": "o",
    "markersize": 13,
    "markerfacecolor": "none",
    "color": "black",
}
_SHIFT: Final = 0.15  # keeps equal claims from covering each other


def claim_points(blocks: Sequence[Block], architecture: int) -> list[tuple[int, float]]:
    """Return height and claimed accuracy in percent of every candidate of a layer program."""
    return [
        (block.height, _PERCENT * entrant.claim / block.samples)
        for block in blocks
        for entrant in block.entrants
        if entrant.architecture == architecture
    ]


def winner_points(blocks: Sequence[Block], replays: Sequence[Replay]) -> list[tuple[float, float]]:
    """Return place on the axis of heights and measured accuracy in percent of every winner."""
    return [
        (block.height + _offset(block.architecture), _PERCENT * replay.measured / block.samples)
        for block, replay in zip(blocks, replays, strict=True)
    ]


def write_plot(blocks: Sequence[Block], replays: Sequence[Replay], path: Path) -> None:
    """Draw every candidate's claim by architecture and the winners' measured accuracy, as PNG."""
    figure = Figure(figsize=(9, 4.8), dpi=120, layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    for architecture, (colour, marker) in zip(range(len(MINERS)), _STYLES, strict=True):
        _draw_claims(axes, blocks, architecture, colour, marker)
    winners = winner_points(blocks, replays)
    heights, accuracies = [at for at, _ in winners], [accuracy for _, accuracy in winners]
    axes.plot(heights, accuracies, color="black", alpha=0.35, zorder=1)
    axes.plot(heights, accuracies, **_RING, zorder=2, label="winner, measured")
    axes.set_xlabel("block height (each block opens a shard of its own)")
    axes.set_ylabel("correct test samples, %")
    axes.set_title("Accuracy of the candidates for each block")
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.grid(axis="y", alpha=0.3)
    figure.legend(loc="outside right upper")
    figure.savefig(path)


def _draw_claims(axes: Axes, blocks: Sequence[Block], architecture: int, colour: str, marker: str) -> None:
    points = claim_points(blocks, architecture)
    axes.plot(
        [height + _offset(architecture) for height, _ in points],
        [accuracy for _, accuracy in points],
        marker,
        color=colour,
        label=f"{miner_name(architecture)}, claimed",
        zorder=3,
    )


def _offset(architecture: int) -> float:
    return _SHIFT * (architecture - (len(MINERS) - 1) / 2)
