"""A small made-up upstream for the tests of bitcoin-patch/'s tools."""

import hashlib
import io
import sys
import tarfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "bitcoin-patch"))

# The tools' folder has a dash in its name: its scripts are run by path and are no package.
import export
import fetch
from series_lib import Layout, tree_sha256

MAIN = "".join(f"line {number}\n" for number in range(1, 31))
HEADER = "Subject: main: add calls\nProtocol: section 6\nForwarded: not-needed\n\n" + "why " * 20


def archive_of(files: dict[str, bytes], path: Path) -> None:
    with tarfile.open(path, "w:gz") as tar:
        for name, content in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            tar.addfile(member, io.BytesIO(content))


def write_pin(layout: Layout, archive: Path, tree: str) -> None:
    digest = hashlib.sha256(archive.read_bytes()).hexdigest()
    text = f"name: up-stream\nversion: 1\nsha256: {digest}\nfolder: dep/core\ntree_sha256: {tree}\n"
    (layout.patch_dir / "UPSTREAM").write_text(text)


def write_patch(layout: Layout, name: str, diff: str, header: str = HEADER) -> None:
    (layout.patch_dir / "patches" / name).write_text(f"{header.rstrip()}\n\n{diff}")
    with (layout.patch_dir / "patches" / "series").open("a") as series:
        series.write(f"{name}\n")


def edited(text: str, line: int, extra: str) -> str:
    return text.replace(f"line {line}\n", f"line {line}\n{extra}\n")


def diff_of(after: str) -> str:
    return export.diff_text({"src/main.cpp": MAIN}, {"src/main.cpp": after})


def make_archive(tmp_path: Path) -> Path:
    path = tmp_path / "up_stream-1.tar.gz"
    files = {"src/main.cpp": MAIN.encode(), "src/other.cpp": b"other\n"}
    archive_of({f"up_stream-1/dep/core/{name}": content for name, content in files.items()}, path)
    return path


def make_layout(tmp_path: Path) -> Layout:
    """Make one pinned upstream with one patch and one overlay file, fetched."""
    made = Layout(tmp_path / "patch", tmp_path / "build")
    (made.overlay / "src" / "podl").mkdir(parents=True)
    (made.overlay / "src" / "podl" / "new.cpp").write_text("new\n")
    (made.patch_dir / "patches").mkdir()
    core = tmp_path / "plain"
    (core / "src").mkdir(parents=True)
    (core / "src" / "main.cpp").write_text(MAIN)
    (core / "src" / "other.cpp").write_text("other\n")
    archive = make_archive(tmp_path)
    write_pin(made, archive, tree_sha256(core))
    write_patch(made, "0001-a.patch", diff_of(edited(MAIN, 5, "first();")))
    fetch.fetch(made, str(archive))
    return made
