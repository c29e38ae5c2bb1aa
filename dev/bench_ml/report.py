"""Tables of the figures."""

from __future__ import annotations

import statistics
from typing import TYPE_CHECKING, Final

from rich.table import Table

from dev.bench_ml.nets import LARGE, NETS
from dev.bench_ml.summary import POINTS, different

if TYPE_CHECKING:
    from collections.abc import Sequence

    from dev.bench_ml.summary import Accuracy, Hashes, Times

_MILLI: Final = 1000
_SHOWN: Final = 16  # digits of a hash
_PUBLISHED_EPOCHS: Final = 5


def _table(title: str, *columns: str) -> Table:
    table = Table(title=title, title_justify="left")
    for at, column in enumerate(columns):
        table.add_column(column, justify="left" if at == 0 else "right")
    return table


def _mark(reached: bool) -> str:
    return "yes" if reached else "no"


def accuracy_table(rows: Sequence[Accuracy]) -> Table:
    """Mean accuracies and their difference."""
    table = _table(
        "Accuracy on test samples, mean over the seeds, in %",
        "network", "weights", "seeds", "exact", "float32", "difference", "standard error",
        f"within {POINTS:g}",
    )  # fmt: skip
    for row in rows:
        table.add_row(
            row.net,
            str(NETS[row.net].program.n_params),
            str(len(row.exact)),
            f"{statistics.mean(row.exact):.2f}",
            f"{statistics.mean(row.float32):.2f}",
            f"{row.difference:+.2f}",
            f"{row.error:.2f}",
            _mark(abs(row.difference) <= POINTS),
        )
    return table


def training_table(rows: Sequence[Times]) -> Table:
    """Milliseconds per step, and the median ratio of the pairs that were measured in one round."""
    table = _table(
        "Training, milliseconds per step of 32 samples; median of rounds, compilation apart",
        "network", "threads", "exact", "float32", "float32 XLA", "exact/float32", "lowest-highest", "aim",
        "reached", "exact/XLA",
    )  # fmt: skip
    for row in rows:
        ratios = row.ratios()
        table.add_row(
            row.net,
            str(row.threads),
            *(f"{_MILLI * row.median(side):.2f}" for side in ("exact", "float32", "float32 XLA")),
            f"{statistics.median(ratios):.2f}",
            f"{min(ratios):.2f}-{max(ratios):.2f}",
            f"{row.aim:g}",
            _mark(statistics.median(ratios) <= row.aim),
            f"{statistics.median(row.ratios(base='float32 XLA')):.2f}",
        )
    return table


def compile_table(rows: Sequence[Times]) -> Table:
    """Seconds from a network to its first step; the exact one compiles in its self-test."""
    sides = ("exact", "float32", "float32 XLA")
    table = _table(
        "Seconds before the first training step is done",
        "network",
        "threads",
        "self-test",
        *sides,
        "exact by",
    )
    for row in rows:
        first = [f"{row.answer['first'][side]:.2f}" for side in sides]
        cells = [row.net, str(row.threads), f"{row.answer['self-test']:.2f}", *first, row.answer["kernel"]]
        table.add_row(*cells)
    return table


def evaluation_table(rows: Sequence[Times], samples: int) -> Table:
    """Every way to evaluate, against float32 on as many threads."""
    (net,) = LARGE
    parameters = LARGE[net].program.n_params
    table = _table(
        f"Evaluation of {samples} samples by a network of {parameters} parameters, seconds",
        "way", "threads", "seconds", "over float32", "lowest-highest", "aim", "reached",
    )  # fmt: skip
    for row in rows:
        for side in row.rounds:
            cells = [side, str(row.threads), f"{row.median(side):.3f}"]
            if "float32" in row.rounds:
                ratios = row.ratios(side)
                cells += [f"{statistics.median(ratios):.2f}", f"{min(ratios):.2f}-{max(ratios):.2f}"]
                if side == "exact":
                    cells += [f"{row.aim:g}", _mark(statistics.median(ratios) <= row.aim)]
            table.add_row(*cells)
    found = [count for row in rows if "float32" in row.rounds for count in row.answer["found"].values()]
    same = _mark(all(count == found[0] for count in found))
    table.add_row(f"{len(found)} exact ways count the same", "", "", "", "", "", same, style="bold")
    return table


def hash_table(table: Hashes, epochs: int) -> Table:
    """Every setting's hash, and how many different ones there are."""
    shown = _table("Hashes of the trained weights", "network, setting", "exact", "float32", "exact by")
    for net, sides in table.items():
        exact, floats = sides.get("exact hash", {}), sides.get("float hash", {})
        for setting in exact | floats:
            hashed = (side.get(setting, {}).get("hash", "")[:_SHOWN] for side in (exact, floats))
            shown.add_row(f"{net}, {setting}", *hashed, exact.get(setting, {}).get("computed by", ""))
        counts = [f"{different(side)} in {len(side)} settings" for side in (exact, floats)]
        shown.add_row(f"{net}: different hashes", *counts, style="bold")
        vector = NETS[net].vector
        if vector is not None and epochs == _PUBLISHED_EPOCHS and exact:
            same = {found["hash"][:_SHOWN] for found in exact.values()} == {vector}
            shown.add_row(f"{net}: the published one", _mark(same), style="bold", end_section=True)
    return shown
