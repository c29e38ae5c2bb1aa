"""Try the series against another version of upstream and say how each hunk fares.

    clean     applies with zero fuzz, on the lines it has in the pinned version
    moved     the same on other lines
    merged    a three-way merge with the pinned version as base has no conflict
    astray    applies with zero fuzz, but not where the merge puts it
    conflict  neither
    gone      its file is not there

The merge knows text alone: what it gives has to be compiled and tested. `--write` rewrites the patches for
the other version, without the hunks that need a hand (the last three), which are printed. Exit code 1 when
there are any, or when an overlay file is one of the other version too.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from export import diff_text, patch_text
from fetch import fetch, find_tree, unpack_any
from series_lib import (
    HUNK,
    Layout,
    Patch,
    PatchError,
    overlay_files,
    read_pin,
    read_series,
    run_git,
    series_states,
)

CLEAN, MOVED, MERGED, ASTRAY, CONFLICT, GONE = "clean", "moved", "merged", "astray", "conflict", "gone"
WORDS = (CLEAN, MOVED, MERGED, ASTRAY, CONFLICT, GONE)


@dataclass(frozen=True)
class Outcome:
    """How one hunk (``text``, from ``line`` of the patched pinned file on) fares on the other version."""

    patch: str
    file: str
    line: int
    text: str
    word: str

    @property
    def by_hand(self) -> bool:
        """Whether somebody has to mend it."""
        return self.word in {ASTRAY, CONFLICT, GONE}

    def report(self) -> str:
        """One line; the hunk too when it needs a hand."""
        line = f"{self.patch}  {self.file}:{self.line}  {self.word}\n"
        return line + "".join(f"    {part}\n" for part in self.text.splitlines()) if self.by_hand else line


def merge_file(ours: str, base: str, theirs: str) -> str | None:
    """Three-way merge; None when there is a conflict."""
    with tempfile.TemporaryDirectory() as folder:
        for part, text in (("ours", ours), ("base", base), ("theirs", theirs)):
            (Path(folder) / part).write_text(text)
        done = run_git(["merge-file", "-p", "ours", "base", "theirs"], Path(folder))
    if not 0 <= done.returncode < 128:  # noqa: PLR2004  (git's limit for a count of conflicts)
        raise PatchError(f"git merge-file: {done.stderr.strip()}")
    return done.stdout if done.returncode == 0 else None


def apply_exactly(text: str, hunk: str, name: str) -> tuple[str, bool] | None:
    """Apply one hunk with zero fuzz: the text and whether the hunk moved; None when it does not fit."""
    with tempfile.TemporaryDirectory() as folder:
        work = Path(folder).resolve() / "tree"
        (work / name).parent.mkdir(parents=True)
        (work / name).write_text(text)
        (work.parent / "one.patch").write_text(f"--- a/{name}\n+++ b/{name}\n{hunk}")
        done = run_git(["apply", "-v", "--whitespace=nowarn", str(work.parent / "one.patch")], work)
        return ((work / name).read_text(), "(offset " in done.stderr) if done.returncode == 0 else None


def hunks_of(patch: Patch, name: str) -> list[tuple[int, str]]:
    """Cut the hunks of one file out of a patch: first line in the patched file, and text."""
    found: list[tuple[int, str]] = []
    for line in patch.diff.partition(f"+++ b/{name}\n")[2].splitlines(keepends=True):
        match = HUNK.match(line)
        if match:
            found.append((int(match[3]), line))
        elif line.startswith("--- a/"):
            break
        else:
            found[-1] = (found[-1][0], found[-1][1] + line)
    return found


def try_hunk(now: str, base: str, hunk: str, name: str) -> tuple[str, str, str]:
    """Try one hunk: its word, the other version (with it unless by hand), the pinned one with it."""
    pinned = apply_exactly(base, hunk, name)
    if pinned is None:
        raise PatchError(f"{name}: a hunk does not apply by itself to the pinned version")
    merged = merge_file(now, base, pinned[0])
    exact = apply_exactly(now, hunk, name)
    if exact is None:
        word = CONFLICT if merged is None else MERGED
    elif exact[0] != merged:
        word = ASTRAY
    else:
        word = MOVED if exact[1] else CLEAN
    return word, now if merged is None or word == ASTRAY else merged, pinned[0]


def try_series(layout: Layout, other: Path) -> tuple[list[Outcome], list[dict[str, str]]]:
    """Try every hunk in order: the outcomes, and the other version's files before and after each patch."""
    patches = read_series(layout)
    pinned = series_states(layout.upstream, patches)
    states = [{name: (other / name).read_text() for name in pinned[0] if (other / name).is_file()}]
    outcomes = []
    for patch, before in zip(patches, pinned, strict=False):
        now = dict(states[-1])
        for name in patch.files:
            base = before[name]
            for line, hunk in hunks_of(patch, name):
                word = GONE
                if name in now:
                    word, now[name], base = try_hunk(now[name], base, hunk, name)
                outcomes.append(Outcome(patch.name, name, line, hunk, word))
        states.append(now)
    return outcomes, states


def write_series(layout: Layout, states: list[dict[str, str]]) -> None:
    """Rewrite the patches for the other version."""
    for patch, before, after in zip(read_series(layout), states, states[1:], strict=False):
        text = patch_text(patch, diff_text(before, after))
        (layout.patch_dir / "patches" / patch.name).write_text(text)


def clashes(layout: Layout, other: Path) -> list[str]:
    """Overlay files that the other version has as well."""
    return [name for name in overlay_files(layout) if (other / name).exists()]


def summary(outcomes: list[Outcome]) -> str:
    """Totals over all hunks."""
    count = Counter(outcome.word for outcome in outcomes)
    return f"{len(outcomes)} hunks: " + ", ".join(f"{count[word]} {word}" for word in WORDS)


def bump(layout: Layout, source: Path, *, write: bool) -> bool:
    """Try and report; returns whether nothing needs a hand."""
    fetch(layout)
    with tempfile.TemporaryDirectory(prefix="bump_") as scratch:
        pin = read_pin(layout)
        other = find_tree(source, pin) if source.is_dir() else unpack_any(source, pin, Path(scratch))
        outcomes, states = try_series(layout, other)
        taken = clashes(layout, other)
    for outcome in outcomes:
        if outcome.word != CLEAN:
            print(outcome.report(), end="")
    for name in taken:
        print(f"overlay  {name}: upstream has this file now")
    print(summary(outcomes))
    if write:
        write_series(layout, states)
    return not taken and not any(outcome.by_hand for outcome in outcomes)


def main() -> int:
    """Try, and write when asked to."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("source", type=Path, help="archive of another release, or an unpacked tree")
    parser.add_argument("--write", action="store_true", help="rewrite patches/ for the other version")
    options = parser.parse_args()
    try:
        return 0 if bump(Layout(), options.source, write=options.write) else 1
    except (PatchError, OSError) as error:
        print(f"bump: {error}", file=sys.stderr)
        return 1


if __name__ == "__main__":
    sys.exit(main())
