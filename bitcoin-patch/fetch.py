"""Get the pinned upstream source into ``build/upstream`` and prove that it is the pinned one.

The archive's SHA-256 is checked before anything is unpacked (pip checks it too, before it runs any code
of the archive), the unpacked tree's afterwards. A folder given as source is checked by the tree's hash.
"""

from __future__ import annotations

import argparse
import hashlib
import shutil
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path, PurePosixPath

from series_lib import Layout, PatchError, Pin, one_line_errors, read_pin, tree_lock, tree_sha256

MAX_UNPACKED = 256 << 20


def fetch(layout: Layout, source: str | None = None) -> None:
    """Make sure ``layout.upstream`` is the pinned tree; does nothing when it is already there."""
    pin = read_pin(layout)
    marker = layout.build_dir / "upstream.sha256"
    if layout.upstream.is_dir() and marker.is_file() and marker.read_text() == pin.tree_sha256:
        return
    layout.build_dir.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=layout.build_dir) as folder:
        work = Path(folder)
        if source is not None and Path(source).is_dir():
            tree = find_tree(Path(source), pin)
        else:
            archive = Path(source) if source is not None else download(pin, work)
            check_archive(archive, pin)
            tree = unpack(archive, pin, work / "tree")
        found = tree_sha256(tree)
        if found != pin.tree_sha256:
            raise PatchError(f"{tree}: tree hash is {found}, pinned is {pin.tree_sha256}")
        copy = work / "copy"
        shutil.copytree(tree, copy)
        shutil.rmtree(layout.upstream, ignore_errors=True)
        copy.rename(layout.upstream)
    marker.write_text(pin.tree_sha256)


def find_tree(folder: Path, pin: Pin) -> Path:
    """Accept the unpacked archive or the upstream folder inside it."""
    inner = folder / pin.folder
    return inner if inner.is_dir() else folder


def download(pin: Pin, work: Path) -> Path:
    """Download the source archive with pip; its hash check comes before it looks inside.

    pip prepares the package's metadata even for a plain download, which takes some seconds more.
    """
    requirements = work / "requirements.txt"
    requirements.write_text(f"{pin.requirement} --hash=sha256:{pin.sha256}\n")
    command = [sys.executable, "-m", "pip", "download", "--disable-pip-version-check", "--no-deps"]
    command += ["--require-hashes", "--no-binary", pin.name, "--dest", str(work), "-r", str(requirements)]
    print(f"downloading {pin.requirement}", flush=True)
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    found = sorted(work.glob("*.tar.gz"))
    if done.returncode != 0 or len(found) != 1:
        reason = " ".join(done.stderr[max(0, done.stderr.find("ERROR:")) :].split())
        raise PatchError(f"cannot download {pin.requirement} (--source PATH takes a copy): {reason}")
    return found[0]


def check_archive(archive: Path, pin: Pin) -> None:
    """Compare the archive with the pin."""
    if not archive.is_file():
        raise PatchError(f"no such archive or folder: {archive}")
    found = hashlib.sha256(archive.read_bytes()).hexdigest()
    if found != pin.sha256:
        raise PatchError(f"{archive}: SHA-256 is {found}, pinned is {pin.sha256}")


def unpack(archive: Path, pin: Pin, target: Path) -> Path:
    """Unpack the upstream folder of the pinned archive."""
    return unpack_folder(
        archive, PurePosixPath(f"{pin.name.replace('-', '_')}-{pin.version}", pin.folder), target
    )


def unpack_any(archive: Path, pin: Pin, target: Path) -> Path:
    """Unpack the upstream folder of another release of the pinned archive."""
    try:
        with tarfile.open(archive, "r:gz") as tar:
            first = tar.next()
    except (OSError, tarfile.TarError) as error:
        raise PatchError(f"{archive}: {error}") from error
    if first is None:
        raise PatchError(f"{archive}: empty")
    return unpack_folder(archive, PurePosixPath(PurePosixPath(first.name).parts[0], pin.folder), target)


def unpack_folder(archive: Path, wanted: PurePosixPath, target: Path) -> Path:
    """Unpack one folder alone: plain files only, no path outside, bounded size."""
    total = 0
    with tarfile.open(archive, "r:gz") as tar:
        for member in tar:
            path = PurePosixPath(member.name)
            if wanted not in path.parents or member.isdir():
                continue
            total += member.size
            content = tar.extractfile(member) if member.isreg() else None
            if content is None or ".." in path.parts or total > MAX_UNPACKED:
                raise PatchError(f"refusing to unpack {member.name}")
            out = target / path.relative_to(wanted)
            out.parent.mkdir(parents=True, exist_ok=True)
            out.write_bytes(content.read())
            out.chmod(0o755 if member.mode & 0o100 else 0o644)
    if total == 0:
        raise PatchError(f"{archive}: no folder {wanted}")
    return target


def main() -> int:
    """Fetch and say where the tree is."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--source", help="pinned archive or unpacked folder, instead of a download")
    layout = Layout()
    source = parser.parse_args().source
    with one_line_errors("fetch"), tree_lock(layout):
        fetch(layout, source)
    print(layout.upstream)
    return 0


if __name__ == "__main__":
    sys.exit(main())
