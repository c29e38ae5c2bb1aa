"""Try the series against another version of upstream, without changing anything.

For each file of each patch: `clean` (applies with zero fuzz), `merged` (a three-way merge with the pinned
version as base has no conflict), `conflict` with the number of conflicting hunks, or `gone` (the file is
not there). `--out FOLDER` writes the patched files of the other version there, conflicts marked, as a start
for mending them. Exit code 1 when anything needs a hand.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

from check import hunks
from fetch import fetch, find_tree, unpack_any
from series_lib import Layout, Patch, PatchError, overlay_files, read_pin, read_series, run_git, series_states

CLEAN, MERGED, CONFLICT, GONE = "clean", "merged", "conflict", "gone"


@dataclass(frozen=True)
class Outcome:
    """How one file of one patch fares on the other version."""

    patch: str
    file: str
    word: str
    hunks: int
    conflicts: int = 0

    @property
    def by_hand(self) -> int:
        """Hunks that somebody has to mend."""
        return self.hunks if self.word == GONE else self.conflicts

    def line(self) -> str:
        """One line for the report."""
        extra = f", {self.conflicts} of {self.hunks} hunks" if self.conflicts else ""
        return f"{self.patch}  {self.file}: {self.word}{extra}"


def merge_file(ours: str, base: str, theirs: str) -> tuple[str, int]:
    """Three-way merge; returns the text, conflicts marked in it, and their number."""
    with tempfile.TemporaryDirectory() as folder:
        for part, text in (("ours", ours), ("base", base), ("theirs", theirs)):
            (Path(folder) / part).write_text(text)
        done = run_git(["merge-file", "-p", "ours", "base", "theirs"], Path(folder))
    if not 0 <= done.returncode < 128:  # noqa: PLR2004  (git's limit for a count of conflicts)
        raise PatchError(f"git merge-file: {done.stderr.strip()}")
    return done.stdout, done.returncode


def apply_exactly(text: str, diff: str, name: str) -> str | None:
    """Apply the diff of one file with zero fuzz; None when it does not fit."""
    with tempfile.TemporaryDirectory() as folder:
        work = Path(folder).resolve() / "tree"
        (work / name).parent.mkdir(parents=True)
        (work / name).write_text(text)
        (work.parent / "one.patch").write_text(diff)
        done = run_git(["apply", "--whitespace=nowarn", str(work.parent / "one.patch")], work)
        return (work / name).read_text() if done.returncode == 0 else None


def diff_of(patch: Patch, name: str) -> str:
    """Cut the diff of one file out of a patch."""
    parts = ["--- a/" + part for part in patch.diff.split("--- a/")[1:]]
    return next(part for part in parts if f"+++ b/{name}\n" in part)


def try_series(layout: Layout, other: Path) -> tuple[list[Outcome], dict[str, str]]:
    """Try every patch in order on the other tree; returns the outcomes and the resulting files."""
    patches = read_series(layout)
    states = series_states(layout.upstream, patches)
    now = {name: (other / name).read_text() for name in states[0] if (other / name).is_file()}
    outcomes = []
    for patch, before, after in zip(patches, states, states[1:], strict=False):
        counts = {name: sum(file == name for file, _ in hunks(patch)) for name in patch.files}
        for name in patch.files:
            if name not in now:
                outcomes.append(Outcome(patch.name, name, GONE, counts[name]))
                continue
            exact = apply_exactly(now[name], diff_of(patch, name), name)
            if exact is not None:
                outcomes.append(Outcome(patch.name, name, CLEAN, counts[name]))
                now[name] = exact
                continue
            now[name], conflicts = merge_file(now[name], before[name], after[name])
            word = CONFLICT if conflicts else MERGED
            outcomes.append(Outcome(patch.name, name, word, counts[name], conflicts))
    return outcomes, now


def clashes(layout: Layout, other: Path) -> list[str]:
    """Overlay files that the other version has as well."""
    return [name for name in overlay_files(layout) if (other / name).exists()]


def summary(outcomes: list[Outcome]) -> str:
    """Totals over all hunks."""
    total = sum(outcome.hunks for outcome in outcomes)
    clean = sum(outcome.hunks for outcome in outcomes if outcome.word == CLEAN)
    by_hand = sum(outcome.by_hand for outcome in outcomes)
    return f"{total} hunks: {clean} clean, {total - clean - by_hand} merged, {by_hand} to mend by hand"


def main() -> int:
    """Try the series and report."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("source", type=Path, help="archive of another release, or an unpacked tree")
    parser.add_argument("--out", type=Path, metavar="FOLDER", help="write the resulting files there")
    options = parser.parse_args()
    layout = Layout()
    try:
        fetch(layout)
        with tempfile.TemporaryDirectory(prefix="bump_") as scratch:
            pin = read_pin(layout)
            is_folder = options.source.is_dir()
            other = (
                find_tree(options.source, pin)
                if is_folder
                else unpack_any(options.source, pin, Path(scratch))
            )
            outcomes, files = try_series(layout, other)
            taken = clashes(layout, other)
    except (PatchError, OSError) as error:
        print(f"bump: {error}", file=sys.stderr)
        return 1
    for outcome in outcomes:
        if outcome.word != CLEAN:
            print(outcome.line())
    for name in taken:
        print(f"overlay  {name}: upstream has this file now")
    for name, text in files.items() if options.out else ():
        (options.out / name).parent.mkdir(parents=True, exist_ok=True)
        (options.out / name).write_text(text)
    print(summary(outcomes))
    return 1 if taken or any(outcome.by_hand for outcome in outcomes) else 0


if __name__ == "__main__":
    sys.exit(main())
