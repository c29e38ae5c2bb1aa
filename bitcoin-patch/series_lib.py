"""Pin, places and patch series: what all tools of this folder share.

A patch file is a header (``Subject``, ``Protocol``, ``Forwarded``), a paragraph that says why, and
plain unified diffs against upstream files. ``patches/series`` gives the order.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import os
import re
import signal
import subprocess
import sys
import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

PATCH_DIR = Path(__file__).resolve().parent
PIN_FIELDS = ("name", "version", "sha256", "folder", "tree_sha256")
HUNK = re.compile(r"^@@ -(\d+)(?:,(\d+))? \+(\d+)(?:,(\d+))? @@")


class PatchError(Exception):
    """A pin, patch or tree that cannot be used; the message says what was found."""


@contextlib.contextmanager
def one_line_errors(tool: str) -> Iterator[None]:
    """End the program with one line when the block fails: exit code 1, or 130 when interrupted."""
    before = signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        yield
    except PatchError as error:
        message, code = str(error), 1
    except OSError as error:
        message, code = f"{error.filename or 'system'}: {error.strerror or error}", 1
    except KeyboardInterrupt:
        message, code = "interrupted; the next run goes on from here", 130
    else:
        return
    finally:
        signal.signal(signal.SIGTERM, before)
    print(f"{tool}: {message}", file=sys.stderr)
    sys.exit(code)


@dataclass(frozen=True)
class Pin:
    """The pinned upstream source: an archive, the folder taken from it and the SHA-256 of both."""

    name: str
    version: str
    sha256: str
    folder: str
    tree_sha256: str

    @property
    def requirement(self) -> str:
        """The archive as a package index knows it."""
        return f"{self.name}=={self.version}"


@dataclass(frozen=True)
class Variant:
    """One tree to compile: its source and its CMake build folder."""

    name: str
    source: Path
    objects: Path
    sanitized: bool = False


@dataclass(frozen=True)
class Layout:
    """Where sources and build results lie; tests use folders of their own."""

    patch_dir: Path = PATCH_DIR
    build_dir: Path = field(default=PATCH_DIR.parent / "build")

    @property
    def overlay(self) -> Path:
        """Files that are added to the upstream tree."""
        return self.patch_dir / "overlay"

    @property
    def upstream(self) -> Path:
        """The untouched upstream tree."""
        return self.build_dir / "upstream"

    @property
    def tree(self) -> Path:
        """The upstream tree with overlay and series."""
        return self.build_dir / "bitcoin"

    @property
    def patched(self) -> Variant:
        """What this project builds."""
        return Variant("patched", self.tree, self.build_dir / "bitcoin-build")

    @property
    def sanitized(self) -> Variant:
        """The same tree under address and undefined-behaviour sanitizers, with the fuzz targets."""
        return Variant("sanitized", self.tree, self.build_dir / "sanitized-build", sanitized=True)

    @property
    def plain(self) -> Variant:
        """The untouched upstream, built for comparison only."""
        return Variant("plain", self.upstream, self.build_dir / "upstream-build")

    @property
    def applied(self) -> Path:
        """Record of what was last written into the tree."""
        return self.build_dir / "bitcoin.applied.json"


@dataclass(frozen=True)
class Patch:
    """One file of ``patches/``: its text before the first diff, and the diffs."""

    name: str
    header: str
    diff: str

    @property
    def files(self) -> list[str]:
        """Upstream paths the patch changes, in order."""
        return [line[len("+++ b/") :] for line in self.diff.splitlines() if line.startswith("+++ b/")]


def read_pin(layout: Layout) -> Pin:
    """Read ``UPSTREAM``: one ``field: value`` per line, every field exactly once."""
    pairs = [line.partition(":") for line in (layout.patch_dir / "UPSTREAM").read_text().splitlines() if line]
    values = {key.strip(): value.strip() for key, _, value in pairs}
    if len(values) != len(pairs) or tuple(sorted(values)) != tuple(sorted(PIN_FIELDS)):
        raise PatchError(f"UPSTREAM: expected exactly the fields {', '.join(PIN_FIELDS)}")
    return Pin(**values)


def parse_patch(name: str, text: str) -> Patch:
    """Split a patch file into header and diffs; diffs start at the first ``--- a/`` line."""
    lines = text.splitlines(keepends=True)
    start = next((i for i, line in enumerate(lines) if line.startswith("--- ")), len(lines))
    return Patch(name, "".join(lines[:start]), "".join(lines[start:]))


def series_names(layout: Layout) -> list[str]:
    """Names in ``patches/series``; blank lines and ``#`` comments are skipped."""
    lines = (line.strip() for line in (layout.patch_dir / "patches" / "series").read_text().splitlines())
    return [line for line in lines if line and not line.startswith("#")]


def read_series(layout: Layout) -> list[Patch]:
    """Read all patches in order."""
    patches = []
    for name in series_names(layout):
        path = layout.patch_dir / "patches" / name
        if not path.is_file():
            raise PatchError(f"series names {name}, which is not in patches/")
        patches.append(parse_patch(name, path.read_text()))
    return patches


def run_git(arguments: list[str], folder: Path) -> subprocess.CompletedProcess[str]:
    """Run git without any repository or user configuration."""
    own = {"GIT_CEILING_DIRECTORIES": str(folder.parent), "GIT_CONFIG_GLOBAL": os.devnull}
    environment = os.environ | own | {"GIT_CONFIG_NOSYSTEM": "1", "LC_ALL": "C"}
    return subprocess.run(
        ["git", *arguments], cwd=folder, env=environment, text=True, capture_output=True, check=False
    )


def series_states(upstream: Path, patches: list[Patch]) -> list[dict[str, str]]:
    """Contents of all touched files before the first patch and after each one.

    Hunks apply with zero fuzz: every context line must match.
    """
    touched = sorted({name for patch in patches for name in patch.files})
    missing = [name for name in touched if not (upstream / name).is_file()]
    if missing:
        raise PatchError(f"not an upstream file: {', '.join(missing)}")
    with tempfile.TemporaryDirectory() as folder:
        work = Path(folder).resolve() / "tree"
        work.mkdir()
        for name in touched:
            (work / name).parent.mkdir(parents=True, exist_ok=True)
            (work / name).write_bytes((upstream / name).read_bytes())
        states = [_snapshot(work, touched)]
        for patch in patches:
            if patch.diff:
                _apply_one(work, patch)
            states.append(_snapshot(work, touched))
    return states


def _apply_one(work: Path, patch: Patch) -> None:
    diff = work.parent / "current.patch"
    diff.write_text(patch.diff)
    done = run_git(["apply", "--whitespace=nowarn", str(diff)], work)
    if done.returncode != 0:
        raise PatchError(f"{patch.name} does not apply: {done.stderr.strip()}")


def _snapshot(work: Path, names: list[str]) -> dict[str, str]:
    return {name: (work / name).read_text() for name in names}


def overlay_files(layout: Layout) -> dict[str, Path]:
    """All overlay files by their path in the tree."""
    found = (path for path in sorted(layout.overlay.rglob("*")) if path.is_file())
    return {
        path.relative_to(layout.overlay).as_posix(): path for path in found if "__pycache__" not in path.parts
    }


def check_overlay(layout: Layout) -> dict[str, Path]:
    """Return the overlay files; refuse one that would replace an upstream file."""
    files = overlay_files(layout)
    clashes = [name for name in files if (layout.upstream / name).exists()]
    if clashes:
        raise PatchError(f"overlay replaces upstream files: {', '.join(clashes)}")
    return files


def tree_sha256(folder: Path) -> str:
    """Hash of all paths, execute bits and contents of a folder."""
    total = hashlib.sha256()
    for path in sorted(folder.rglob("*")):
        if path.is_symlink() or not (path.is_file() or path.is_dir()):
            raise PatchError(f"not a plain file: {path}")
        if path.is_file():
            mode = "x" if path.stat().st_mode & 0o100 else "-"
            content = hashlib.sha256(path.read_bytes()).hexdigest()
            total.update(f"{content} {mode} {path.relative_to(folder).as_posix()}\n".encode())
    return total.hexdigest()


@contextlib.contextmanager
def tree_lock(layout: Layout) -> Iterator[None]:
    """Hold the tree for one build; whoever else writes or builds it waits."""
    layout.build_dir.mkdir(parents=True, exist_ok=True)
    with (layout.build_dir / "build.lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            print("another build is running, waiting for its end", flush=True)
            fcntl.flock(lock, fcntl.LOCK_EX)
        yield
