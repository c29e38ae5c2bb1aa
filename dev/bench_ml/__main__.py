"""
Compare exact learning with ordinary float32: accuracy, training time, evaluation time, equality of bits.

Run from the project's root: `python -m dev.bench_ml`. Every measurement is a process of its own, whose answer
is kept as soon as it is there: an interrupted run goes on where it stopped, parts can be run one by one. A
figure is measured again when its options, the machine, a library or the measured code have changed.

Spoken digits need the 3,000 recordings of the Free Spoken Digit Dataset
(github.com/Jakobovski/free-spoken-digit-dataset): give their folder with --fsdd.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click
from rich.console import Console
from rich.progress import Progress

from dev.bench_ml import report, summary
from dev.bench_ml.cases import PARTS, Options
from dev.bench_ml.nets import LARGE, NETS
from dev.bench_ml.plot import write_plot
from dev.bench_ml.results import Results
from podl_tools.files import lock_directory
from podl_tools.tool_errors import SettingsError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from dev.bench_ml.results import Case

_BUILD: Final = Path(__file__).resolve().parents[2] / "build"
_EVALUATOR: Final = _BUILD / "bitcoin-build" / "bin" / "podl-evaluate"
_PAGE: Final = 140
_COUNT: Final = click.IntRange(1)


def measure(cases: Sequence[Case], results: Results, console: Console) -> int:
    """Run the cases that have no answer yet; return how many failed."""
    failures = 0
    missing = [case for case in cases if results.find(case) is None]
    with Progress(console=console) as progress:
        bar = progress.add_task("measuring", total=len(cases), completed=len(cases) - len(missing))
        for case in missing:
            progress.update(bar, description=case.key)
            reason = results.measure(case)
            failures += bool(reason)
            console.print(f"{case.key}: {reason or 'done'}", markup=False, highlight=False)
            progress.advance(bar)
    return failures


def show(options: Options, results: Results, console: Console) -> None:
    """Print a table for every part with answers."""
    if rows := summary.accuracies(options, results):
        console.print(report.accuracy_table(rows))
    if times := summary.training_times(options, results):
        console.print(report.training_table(times))
        console.print(report.compile_table(times))
    if times := summary.evaluation_times(options, results):
        console.print(report.evaluation_table(times, options.samples))
    if hashes := summary.hashes(options, results):
        console.print(report.hash_table(hashes, options.digits_hash_epochs))


@click.command(help=__doc__)
@click.option(
    "--part",
    "parts",
    type=click.Choice(list(PARTS)),
    multiple=True,
    default=list(PARTS),
    show_default="all",
    help="What to measure; repeatable. Tables show what is there of all parts.",
)
@click.option(
    "--net",
    "chosen",
    type=click.Choice(list(NETS | LARGE)),
    multiple=True,
    default=list(NETS | LARGE),
    show_default="all",
    help="Networks of the other parts; evaluation always takes the large one. Repeatable.",
)
@click.option("--seeds", type=_COUNT, default=5, show_default=True, help="Trainings for each accuracy.")
@click.option("--digits-epochs", type=_COUNT, default=20, show_default=True, help="Their length on digits.")
@click.option("--speech-epochs", type=_COUNT, default=12, show_default=True, help="Their length on speech.")
@click.option("--rounds", type=_COUNT, default=9, show_default=True, help="How often each time is taken.")
@click.option("--steps", type=_COUNT, default=40, show_default=True, help="Training steps in a round.")
@click.option("--samples", type=_COUNT, default=1000, show_default=True, help="Samples of an evaluation.")
@click.option(
    "--digits-hash-epochs",
    type=_COUNT,
    default=5,
    show_default=True,
    help="Length of the trainings on digits whose weights are hashed; 5 gives the published vectors.",
)
@click.option("--speech-hash-epochs", type=_COUNT, default=1, show_default=True, help="The same on speech.")
@click.option(
    "--fsdd",
    type=click.Path(exists=True, file_okay=False, resolve_path=True),
    help="Folder of the recordings of the spoken digits.  [default: speech is left out]",
)
@click.option(
    "--evaluator",
    type=click.Path(exists=True, dir_okay=False, resolve_path=True),
    default=_EVALUATOR if _EVALUATOR.exists() else None,
    show_default="build/bitcoin-build/bin/podl-evaluate when it is built",
    help="The C++ evaluator.",
)
@click.option(
    "--out",
    type=click.Path(path_type=Path, file_okay=False),
    default=_BUILD / "bench-ml",
    show_default="build/bench-ml",
    help="Folder of results.json (raw numbers) and results.png.",
)
def main(parts: Sequence[str], out: Path, **numbers: Any) -> None:
    """Measure what is missing, print tables, draw a plot."""
    try:
        with lock_directory(out):
            failures = run(Options(**numbers), parts, out)
    except SettingsError as error:
        raise click.ClickException(str(error)) from None
    if failures:
        raise click.ClickException(f"{failures} measurements failed, see above; the next run tries again")


def run(options: Options, parts: Sequence[str], out: Path) -> int:
    """Measure, print and draw; return how many measurements failed."""
    console = Console()
    if not console.is_terminal:
        console = Console(width=_PAGE)  # a log: tables keep their columns
    results = Results(out / "results.json")
    if options.fsdd is None:
        console.print(
            "Spoken digits are left out of accuracy and hashes: their recordings are not part of the"
        )
        console.print("project. Fetch github.com/Jakobovski/free-spoken-digit-dataset and give --fsdd.")
    failures = measure([case for part in parts for case in PARTS[part](options)], results, console)
    show(options, results, console)
    write_plot(options, results, out / "results.png")
    console.print(f"numbers: {out / 'results.json'}, plot: {out / 'results.png'}")
    return failures


if __name__ == "__main__":
    main()
