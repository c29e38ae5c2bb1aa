"""Output: a bar with the current state on terminals, plain lines everywhere."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

from rich.console import Console
from rich.measure import Measurement
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    SpinnerColumn,
    TextColumn,
    TimeElapsedColumn,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

    from rich.table import Table

_WIDEST: Final = 200  # columns that a table may take


class Screen:
    """Shows lines, tables and progress.

    Parameters
    ----------
    console : Console
        Where to write.
    progress : Progress
        Shows the state on terminals.
    total : int
        Blocks to be made.
    """

    def __init__(self, console: Console, progress: Progress, total: int) -> None:
        self._console = console
        self._progress = progress
        self._task = progress.add_task("setting up", total=total)

    def line(self, text: str) -> None:
        """Print one line."""
        self._console.print(text, soft_wrap=True, markup=False, highlight=False)

    def close(self) -> None:
        """Remove the bar; what follows is the result."""
        if self._console.is_terminal:
            self._progress.stop()

    def table(self, table: Table) -> None:
        """Print a table, after `close`; a narrow terminal wraps its lines, nothing is cut."""
        console = self._console
        wanted = Measurement.get(console, console.options.update(max_width=_WIDEST), table).maximum
        wide = Console(
            file=console.file, width=max(console.width, wanted), force_terminal=console.is_terminal
        )
        wide.print(table)

    def state(self, text: str) -> None:
        """Show what is being waited for; terminals only."""
        self._progress.update(self._task, description=text)

    def advance(self) -> None:
        """Count one block."""
        self._progress.advance(self._task)


@contextmanager
def open_screen(total: int, console: Console | None = None) -> Iterator[Screen]:
    """Show a bar while the block runs.

    Parameters
    ----------
    total : int
        Blocks to be made.
    console : Console, optional
        Where to write; standard output when not given.
    """
    console = console or Console()
    columns = (
        SpinnerColumn(),
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
    )
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as progress:
        yield Screen(console, progress, total)
