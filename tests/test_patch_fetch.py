"""The tools of bitcoin-patch/: getting the pinned source, and how they end."""

import signal
import subprocess
import sys
import tarfile
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[1] / "bitcoin-patch"))

import fetch
from series_lib import Layout, PatchError, one_line_errors, read_pin, tree_sha256
from tests.patch_samples import archive_of, make_layout


@pytest.fixture
def layout(tmp_path: Path) -> Layout:
    return make_layout(tmp_path)


def test_fetch_refuses_another_archive_before_unpacking(layout: Layout, tmp_path: Path) -> None:
    other = tmp_path / "other.tar.gz"
    archive_of({"up_stream-1/dep/core/src/main.cpp": b"evil\n"}, other)
    fresh = Layout(layout.patch_dir, tmp_path / "fresh")
    with pytest.raises(PatchError, match="SHA-256 is"):
        fetch.fetch(fresh, str(other))
    assert list(fresh.build_dir.iterdir()) == []


@pytest.mark.parametrize("name", ["up_stream-1/dep/core/../../../evil", "up_stream-1/dep/core/src/link"])
def test_fetch_refuses_paths_outside_and_links(layout: Layout, tmp_path: Path, name: str) -> None:
    evil = tmp_path / "evil.tar.gz"
    with tarfile.open(evil, "w:gz") as tar:
        member = tarfile.TarInfo(name)
        member.type = tarfile.SYMTYPE if name.endswith("link") else tarfile.REGTYPE
        member.linkname = "/etc/passwd"
        tar.addfile(member)
    with pytest.raises(PatchError, match="refusing to unpack"):
        fetch.unpack(evil, read_pin(layout), tmp_path / "out")
    assert not (tmp_path / "evil").exists()


def test_fetch_checks_a_folder_by_its_tree_hash(layout: Layout, tmp_path: Path) -> None:
    fresh = Layout(layout.patch_dir, tmp_path / "fresh")
    source = tmp_path / "plain"
    fetch.fetch(fresh, str(source))
    assert tree_sha256(fresh.upstream) == read_pin(layout).tree_sha256
    (source / "src" / "main.cpp").write_text("changed\n")
    with pytest.raises(PatchError, match="tree hash"):
        fetch.fetch(Layout(layout.patch_dir, tmp_path / "second"), str(source))


@pytest.mark.parametrize(
    ("said", "reason"),
    [
        ("WARNING: x\nERROR: No matching\n  distribution\n", "ERROR: No matching distribution"),
        ("No module named pip\n", "No module named pip"),
    ],
)
def test_failed_download_is_one_line(
    layout: Layout, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, said: str, reason: str
) -> None:
    failed = subprocess.CompletedProcess([], 1, "", said)
    monkeypatch.setattr(subprocess, "run", lambda *_, **__: failed)
    with pytest.raises(PatchError) as caught:
        fetch.fetch(Layout(layout.patch_dir, tmp_path / "fresh"))
    assert str(caught.value) == f"cannot download up-stream==1 (--source PATH takes a copy): {reason}"


def fail(error: BaseException) -> None:
    with one_line_errors("tool"):
        raise error


@pytest.mark.parametrize(
    ("error", "code", "said"),
    [
        (PatchError("the reason"), 1, "the reason"),
        (PermissionError(13, "Permission denied", "/build"), 1, "/build: Permission denied"),
        (KeyboardInterrupt(), 130, "interrupted"),
    ],
)
def test_tools_end_with_one_line(
    capsys: pytest.CaptureFixture[str], error: BaseException, code: int, said: str
) -> None:
    with pytest.raises(SystemExit) as caught:
        fail(error)
    assert caught.value.code == code
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 1
    assert lines[0].startswith(f"tool: {said}")


def terminate() -> None:
    with one_line_errors("tool"):
        signal.raise_signal(signal.SIGTERM)


def test_sigterm_interrupts_a_tool() -> None:
    before = signal.getsignal(signal.SIGTERM)
    with pytest.raises(SystemExit) as caught:
        terminate()
    assert caught.value.code == 130
    assert signal.getsignal(signal.SIGTERM) == before


def test_fetch_does_nothing_when_the_tree_is_there(layout: Layout) -> None:
    fetch.fetch(layout, "/does/not/exist")
