"""Turn edits made in ``build/bitcoin`` back into patches with stable text.

``export.py --into NAME [FILE ...]`` puts the edits of these upstream files (default: of all) into one
patch; later patches are moved on by a three-way merge. For a new patch, write its header into
``patches/NAME`` and list it in ``patches/series`` first. Without ``--into`` the series is only rewritten
in its normal form. Overlay files are edited in the overlay, not in the tree.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path

from series_lib import Layout, Patch, PatchError, one_line_errors, read_series, run_git, series_states


def tree_edits(layout: Layout, final: dict[str, str]) -> dict[str, str]:
    """Upstream files of the tree that differ from what the series says, with their present text."""
    edits = {}
    for path in sorted(layout.upstream.rglob("*")):
        name = path.relative_to(layout.upstream).as_posix()
        if path.is_dir():
            continue
        now = layout.tree / name
        if not now.is_file():
            raise PatchError(f"{name} is missing in the tree; patches only change files")
        wanted = final[name].encode() if name in final else path.read_bytes()
        if now.read_bytes() != wanted:
            edits[name] = now.read_text()
    return edits


def merge(ours: str, base: str, theirs: str, name: str) -> str:
    """Three-way merge of one file."""
    if ours == base:
        return theirs
    with tempfile.TemporaryDirectory() as folder:
        for part, text in (("ours", ours), ("base", base), ("theirs", theirs)):
            (Path(folder) / part).write_text(text)
        done = run_git(["merge-file", "-p", "ours", "base", "theirs"], Path(folder))
    if done.returncode != 0:
        raise PatchError(f"{name}: the edit touches lines of a later patch; export it into that one")
    return done.stdout


def diff_text(before: dict[str, str], after: dict[str, str]) -> str:
    """Unified diffs of all files that differ, sorted by path, without times or object names."""
    parts = []
    with tempfile.TemporaryDirectory() as folder:
        old, new = Path(folder) / "old", Path(folder) / "new"
        for name in sorted(after):
            if before[name] == after[name]:
                continue
            old.write_text(before[name])
            new.write_text(after[name])
            options = ["--no-index", "--no-color", "--no-ext-diff", "--diff-algorithm=histogram", "-U3"]
            lines = run_git(["diff", *options, "old", "new"], Path(folder)).stdout.splitlines(keepends=True)
            first = next(i for i, line in enumerate(lines) if line.startswith("@@ "))
            parts += [f"--- a/{name}\n", f"+++ b/{name}\n", *lines[first:]]
    return "".join(parts)


def rebased_states(
    states: list[dict[str, str]], edits: dict[str, str], upstream: Path, position: int
) -> list[dict[str, str]]:
    """States of the series when the edits are made by the patch at ``position``."""
    untouched = {name: (upstream / name).read_text() for name in edits if name not in states[0]}
    full = [state | untouched for state in states]
    final = full[-1]
    moved = []
    for state in full[position + 1 :]:
        new = {name: merge(state[name], final[name], text, name) for name, text in edits.items()}
        moved.append(state | new)
    return full[: position + 1] + moved


def choose(edits: dict[str, str], files: list[str]) -> dict[str, str]:
    """Restrict the edits to some files, each of which must be edited."""
    unknown = [name for name in files if name not in edits]
    if unknown:
        raise PatchError(f"not edited: {', '.join(unknown)}")
    return {name: edits[name] for name in files or edits}


def export(layout: Layout, into: str | None, files: list[str] | None = None) -> list[str]:
    """Rewrite the series and return the names of the patch files that changed."""
    patches = read_series(layout)
    names = [patch.name for patch in patches]
    states = series_states(layout.upstream, patches)
    edits = choose(tree_edits(layout, states[-1]), files or [])
    if edits and into is None:
        raise PatchError(f"edited upstream files, name a patch with --into: {', '.join(edits)}")
    if into is not None and into not in names:
        raise PatchError(f"{into} is not in patches/series")
    position = names.index(into) if into is not None else len(names)
    states = rebased_states(states, edits, layout.upstream, position)
    changed = []
    for patch, before, after in zip(patches, states, states[1:], strict=False):
        text = patch_text(patch, diff_text(before, after))
        path = layout.patch_dir / "patches" / patch.name
        if path.read_text() != text:
            path.write_text(text)
            changed.append(patch.name)
    return changed


def patch_text(patch: Patch, diff: str) -> str:
    """Header, one blank line, diffs."""
    return patch.header.rstrip("\n") + "\n\n" + diff


def main() -> int:
    """Export and list the patch files that changed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--into", metavar="NAME", help="patch that takes the edits")
    parser.add_argument("files", nargs="*", metavar="FILE", help="edited files, such as src/init.cpp")
    options = parser.parse_args()
    with one_line_errors("export"):
        changed = export(Layout(), options.into, options.files)
    print("\n".join(changed) if changed else "nothing to export")
    return 0


if __name__ == "__main__":
    sys.exit(main())
