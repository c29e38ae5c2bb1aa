"""Bring ``build/bitcoin`` to upstream + overlay + series.

Files whose content is already right keep their time stamps, so a second run rebuilds nothing. A file
that was edited in the tree is kept as it is; when overlay or series want another content for it as
well, nothing is written: export the edit first or pass ``--discard``.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import shutil
import sys
from typing import TYPE_CHECKING, NamedTuple

from fetch import fetch
from series_lib import (
    Layout,
    PatchError,
    check_overlay,
    one_line_errors,
    read_series,
    series_states,
    tree_lock,
)

if TYPE_CHECKING:
    from pathlib import Path


class Changes(NamedTuple):
    """Paths that were written, and edited paths that were kept."""

    written: list[str]
    kept: list[str]

    def report(self) -> str:
        """One line for the user."""
        kept = f"; kept edits of {', '.join(self.kept)}" if self.kept else ""
        return f"{len(self.written)} files written{kept}"


def digest(path: Path) -> str | None:
    """SHA-256 of a file, None if there is none."""
    return hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() else None


def wanted_files(layout: Layout) -> dict[str, bytes]:
    """Contents of every file that differs from upstream: patched files and overlay files."""
    wanted = {name: path.read_bytes() for name, path in check_overlay(layout).items()}
    patched = series_states(layout.upstream, read_series(layout))[-1]
    return wanted | {name: text.encode() for name, text in patched.items()}


def read_applied(layout: Layout) -> dict[str, str]:
    """Read which contents (SHA-256 by path) the last run wrote."""
    if not layout.applied.is_file():
        return {}
    return {str(key): str(value) for key, value in json.loads(layout.applied.read_text()).items()}


def local_edits(layout: Layout, wanted: dict[str, str], applied: dict[str, str]) -> list[str]:
    """List the files whose content is neither what was last applied nor what is wanted now."""
    edited = []
    for name in sorted(wanted.keys() | applied.keys()):
        upstream = digest(layout.upstream / name)
        if digest(layout.tree / name) not in {None, applied.get(name, upstream), wanted.get(name, upstream)}:
            edited.append(name)
    return edited


def apply(layout: Layout, *, discard: bool = False) -> Changes:
    """Write what differs; the upstream tree must be there."""
    contents = wanted_files(layout)
    wanted = {name: hashlib.sha256(content).hexdigest() for name, content in sorted(contents.items())}
    if not layout.tree.is_dir():
        _copy_upstream(layout)
    applied = read_applied(layout)
    edited = [] if discard else local_edits(layout, wanted, applied)
    clashes = [name for name in edited if wanted.get(name) != applied.get(name)]
    if clashes:
        raise PatchError(f"edited in the tree (export.py keeps, --discard drops): {', '.join(clashes)}")
    to_write = {name: content for name, content in contents.items() if name not in edited}
    changed = [name for name, content in to_write.items() if _write(layout.tree / name, content)]
    changed += [name for name in sorted(applied.keys() - wanted.keys()) if _restore(layout, name)]
    layout.applied.write_text(json.dumps(wanted, indent=1) + "\n")
    return Changes(changed, edited)


def _copy_upstream(layout: Layout) -> None:
    layout.applied.unlink(missing_ok=True)
    partial = layout.tree.with_name(layout.tree.name + ".partial")
    shutil.rmtree(partial, ignore_errors=True)
    shutil.copytree(layout.upstream, partial)
    partial.rename(layout.tree)


def _write(path: Path, content: bytes) -> bool:
    if path.is_file() and path.read_bytes() == content:
        return False
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    return True


def _restore(layout: Layout, name: str) -> bool:
    """Undo a file that neither overlay nor series touches any more."""
    path = layout.tree / name
    upstream = layout.upstream / name
    if upstream.is_file():
        return _write(path, upstream.read_bytes())
    there = path.exists()
    path.unlink(missing_ok=True)
    return there


def main() -> int:
    """Fetch if needed, apply, and list what changed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--source", help="pinned archive or unpacked folder, instead of a download")
    parser.add_argument("--discard", action="store_true", help="overwrite files edited in the tree")
    options = parser.parse_args()
    layout = Layout()
    with one_line_errors("apply"), tree_lock(layout):
        fetch(layout, options.source)
        changes = apply(layout, discard=options.discard)
    print("\n".join([*changes.written, changes.report()]))
    return 0


if __name__ == "__main__":
    sys.exit(main())
