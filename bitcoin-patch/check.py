"""Check patch series and overlay against the rules of this folder (README, "Rules")."""

from __future__ import annotations

import argparse
import re
import sys

from fetch import fetch
from series_lib import (
    HUNK,
    Layout,
    Patch,
    PatchError,
    check_overlay,
    one_line_errors,
    read_series,
    series_names,
    series_states,
    tree_lock,
)

MAX_SUBJECT = 50
MAX_HUNK_ADDED = 10
MAX_TOTAL_ADDED = 250
MAX_TOTAL_FILES = 28
MAX_FILE_LINES = 400
MIN_WHY = 40
HEADER = re.compile(
    r"Subject: (?P<subject>[^\n]+)\nProtocol: section \d+(?:, \d+)*\nForwarded: not-needed\n\n(?P<why>.+)",
    re.DOTALL,
)


def header_faults(patch: Patch) -> list[str]:
    """Faults of the text before the first diff."""
    match = HEADER.fullmatch(patch.header.strip())
    if match is None:
        return [f"{patch.name}: header must be Subject, Protocol: section N, Forwarded: not-needed, why"]
    faults = []
    if len(match["subject"]) > MAX_SUBJECT:
        faults.append(f"{patch.name}: subject is {len(match['subject'])} characters, at most {MAX_SUBJECT}")
    if len(match["why"]) < MIN_WHY:
        faults.append(f"{patch.name}: say why in a paragraph")
    return faults


def hunks(patch: Patch) -> list[tuple[str, list[str]]]:
    """File and body lines of each hunk."""
    found: list[tuple[str, list[str]]] = []
    name = ""
    for line in patch.diff.splitlines():
        if line.startswith("+++ b/"):
            name = line[len("+++ b/") :]
        elif HUNK.match(line):
            found.append((name, []))
        elif not line.startswith("--- a/"):
            if not found:
                raise PatchError(f"{patch.name}: cannot read line {line!r}")
            found[-1][1].append(line)
    return found


def added(lines: list[str]) -> int:
    """Count the added lines of one hunk."""
    return sum(line.startswith("+") for line in lines)


def hunk_faults(patch: Patch) -> list[str]:
    """Hunks that hold more than a call, an include or a member."""
    if not patch.diff:
        return [f"{patch.name}: changes nothing"]
    sizes = [(name, added(lines)) for name, lines in hunks(patch)]
    return [
        f"{patch.name}: hunk of {name} adds {size} lines" for name, size in sizes if size > MAX_HUNK_ADDED
    ]


def series_faults(layout: Layout) -> list[str]:
    """Patches that are listed twice, or lie beside the series."""
    names = series_names(layout)
    there = {path.name for path in (layout.patch_dir / "patches").iterdir()} - {"series"}
    twice = sorted({name for name in names if names.count(name) > 1})
    faults = [f"{name}: listed more than once" for name in twice]
    return faults + [f"{name}: in patches/ but not in series" for name in sorted(there - set(names))]


def size_faults(layout: Layout) -> list[str]:
    """Files of this folder above the line limit; JSON is data."""
    faults = []
    for path in sorted(layout.patch_dir.rglob("*")):
        if not path.is_file() or path.suffix == ".json" or "__pycache__" in path.parts:
            continue
        count = len(path.read_text().splitlines())
        if count > MAX_FILE_LINES:
            faults.append(f"{path.relative_to(layout.patch_dir)}: {count} lines, at most {MAX_FILE_LINES}")
    return faults


def totals(patches: list[Patch]) -> tuple[int, int]:
    """Count added lines and changed upstream files of the whole series."""
    lines = sum(added(body) for patch in patches for _, body in hunks(patch))
    return lines, len({name for patch in patches for name in patch.files})


def tree_faults(layout: Layout, patches: list[Patch]) -> list[str]:
    """Try overlay and series against the upstream tree."""
    faults = []
    try:
        check_overlay(layout)
    except PatchError as error:
        faults.append(str(error))
    try:
        series_states(layout.upstream, patches)
    except PatchError as error:
        faults.append(str(error))
    return faults


def check(layout: Layout) -> tuple[list[str], tuple[int, int]]:
    """Return all faults and the totals; the upstream tree must be there."""
    faults = series_faults(layout) + size_faults(layout)
    patches = read_series(layout)
    for patch in patches:
        faults += header_faults(patch) + hunk_faults(patch)
    faults += tree_faults(layout, patches)
    lines, files = totals(patches)
    if lines > MAX_TOTAL_ADDED or files > MAX_TOTAL_FILES:
        faults.append(f"series adds {lines} lines to {files} files")
    return faults, (lines, files)


def main() -> int:
    """Check and print the totals."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--source", help="pinned archive or unpacked folder, instead of a download")
    layout = Layout()
    source = parser.parse_args().source
    with one_line_errors("check"):
        with tree_lock(layout):
            fetch(layout, source)
        faults, (lines, files) = check(layout)
    for fault in faults:
        print(f"check: {fault}", file=sys.stderr)
    print(f"series: {lines}/{MAX_TOTAL_ADDED} added lines in {files}/{MAX_TOTAL_FILES} upstream files")
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
