"""The figures as a picture: accuracy, training time, evaluation time, different hashes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from dev.bench_ml import summary

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from matplotlib.axes import Axes

    from dev.bench_ml.cases import Options
    from dev.bench_ml.results import Results
    from dev.bench_ml.summary import Accuracy, Hashes, Times

# Okabe and Ito's colours can be told apart with any colour vision.
_EXACT: Final = "#0072b2"
_FLOAT: Final = "#d55e00"
_AIM: Final = "#009e73"
_BAR: Final = 0.38


def write_plot(options: Options, results: Results, path: Path) -> None:
    """Draw what was measured, as PNG."""
    figure = Figure(figsize=(13, 9), dpi=120, layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplots(2, 2)
    _draw_accuracies(axes[0, 0], summary.accuracies(options, results))
    _draw_ratios(axes[0, 1], summary.training_times(options, results))
    _draw_evaluations(axes[1, 0], summary.evaluation_times(options, results))
    _draw_hashes(axes[1, 1], summary.hashes(options, results))
    figure.savefig(path)


def _name_bars(axes: Axes, names: Sequence[str]) -> None:
    axes.set_yticks(range(len(names)), names)
    axes.invert_yaxis()
    axes.grid(axis="x", alpha=0.3)
    axes.set_axisbelow(True)


def _draw_accuracies(axes: Axes, rows: Sequence[Accuracy]) -> None:
    axes.set_title("Accuracy in %, a mark per seed, line: mean")
    for at, row in enumerate(rows):
        sides = ((row.exact, _EXACT, -_BAR / 2), (row.float32, _FLOAT, _BAR / 2))
        for values, colour, offset in sides:
            place = at + offset
            axes.plot(values, [place] * len(values), "o", color=colour, alpha=0.6)
            axes.vlines(sum(values) / len(values), place - _BAR / 2, place + _BAR / 2, colors=colour)
    axes.plot([], [], "o", color=_EXACT, label="exact")
    axes.plot([], [], "o", color=_FLOAT, label="float32")
    axes.legend()
    _name_bars(axes, [row.net for row in rows])


def _draw_ratios(axes: Axes, rows: Sequence[Times]) -> None:
    axes.set_title("Training time, exact over float32; bar: aim")
    for at, row in enumerate(rows):
        ratios = row.ratios()
        axes.plot(ratios, [at] * len(ratios), "o", color=_EXACT, alpha=0.6)
        axes.vlines(row.aim, at - _BAR, at + _BAR, colors=_AIM, linewidth=3)
    axes.axvline(1, color=_FLOAT)
    _name_bars(axes, [f"{row.net}, {row.threads} thr" for row in rows])


def _draw_evaluations(axes: Axes, rows: Sequence[Times]) -> None:
    axes.set_title("Evaluation, median seconds")
    bars = [(f"{side}, {row.threads} thr", row.median(side)) for row in rows for side in row.rounds]
    colours = [_FLOAT if name.startswith("float32") else _EXACT for name, _ in bars]
    axes.barh(range(len(bars)), [seconds for _, seconds in bars], color=colours)
    axes.set_xscale("log")
    _name_bars(axes, [name for name, _ in bars])


def _draw_hashes(axes: Axes, table: Hashes) -> None:
    axes.set_title("Different hashes over all settings")
    for side, colour, offset in (("exact hash", _EXACT, -_BAR / 2), ("float hash", _FLOAT, _BAR / 2)):
        counts = [summary.different(sides.get(side, {})) for sides in table.values()]
        axes.barh([at + offset for at in range(len(counts))], counts, height=_BAR, color=colour)
    _name_bars(axes, list(table))
