"""Trying the series against another version of upstream."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[1] / "bitcoin-patch"))

import bump
from export import diff_text
from series_lib import Layout, PatchError, tree_sha256
from tests.test_bitcoin_patch import MAIN, archive_of, diff_of, edited, write_patch, write_pin


@pytest.fixture
def layout(tmp_path: Path) -> Layout:
    """Make a pinned upstream with two patches of one file, fetched."""
    made = Layout(tmp_path / "patch", tmp_path / "build")
    (made.patch_dir / "patches").mkdir(parents=True)
    (made.overlay / "src").mkdir(parents=True)
    (made.overlay / "src" / "new.cpp").write_text("new\n")
    (made.upstream / "src").mkdir(parents=True)
    (made.upstream / "src" / "main.cpp").write_text(MAIN)
    archive = tmp_path / "archive"
    archive.write_bytes(b"unused")
    write_pin(made, archive, tree_sha256(made.upstream))
    (made.build_dir / "upstream.sha256").write_text(tree_sha256(made.upstream))
    first = edited(MAIN, 5, "first();")
    write_patch(made, "0001-a.patch", diff_of(first))
    second = edited(first, 20, "second();")
    diff = diff_text({"src/main.cpp": first}, {"src/main.cpp": second})
    write_patch(made, "0002-b.patch", diff)
    return made


def make_other(tmp_path: Path, text: str) -> Path:
    other = tmp_path / "other"
    (other / "src").mkdir(parents=True)
    (other / "src" / "main.cpp").write_text(text)
    return other


def words(layout: Layout, other: Path) -> list[tuple[str, int]]:
    return [(outcome.word, outcome.by_hand) for outcome in bump.try_series(layout, other)[0]]


@pytest.mark.parametrize(
    ("text", "found"),
    [
        (MAIN, [("clean", 0), ("clean", 0)]),
        ("moved\n" + MAIN, [("clean", 0), ("clean", 0)]),
        (MAIN.replace("line 7\n", "line seven\n"), [("merged", 0), ("clean", 0)]),
        (MAIN.replace("line 5\n", "line five\n"), [("conflict", 1), ("clean", 0)]),
        (MAIN.replace("line 6\n", "").replace("line 21\n", "x\n"), [("conflict", 1), ("conflict", 1)]),
    ],
)
def test_outcomes(layout: Layout, tmp_path: Path, text: str, found: list[tuple[str, int]]) -> None:
    assert words(layout, make_other(tmp_path, text)) == found


def test_result_is_the_patched_other_version(layout: Layout, tmp_path: Path) -> None:
    other = make_other(tmp_path, "moved\n" + MAIN)
    files = bump.try_series(layout, other)[1]
    wanted = edited(edited("moved\n" + MAIN, 5, "first();"), 20, "second();")
    assert files == {"src/main.cpp": wanted}


def test_missing_file_and_taken_overlay_path(layout: Layout, tmp_path: Path) -> None:
    other = make_other(tmp_path, MAIN)
    (other / "src" / "main.cpp").rename(other / "src" / "new.cpp")
    assert words(layout, other) == [("gone", 1), ("gone", 1)]
    assert bump.clashes(layout, other) == ["src/new.cpp"]


def run(monkeypatch: pytest.MonkeyPatch, layout: Layout, *arguments: object) -> int:
    monkeypatch.setattr(bump, "Layout", lambda: layout)
    monkeypatch.setattr(sys, "argv", ["bump.py", *map(str, arguments)])
    return bump.main()


def test_command_reads_an_archive_of_another_release(
    layout: Layout, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    archive = tmp_path / "other.tar.gz"
    text = MAIN.replace("line 5\n", "line five\n")
    archive_of({"up_stream-2/dep/core/src/main.cpp": text.encode()}, archive)
    out = tmp_path / "out"
    assert run(monkeypatch, layout, archive, "--out", out) == 1
    shown = capsys.readouterr().out
    assert "0001-a.patch  src/main.cpp: conflict, 1 of 1 hunks" in shown
    assert "2 hunks: 1 clean, 0 merged, 1 to mend by hand" in shown
    assert "<<<<<<<" in (out / "src" / "main.cpp").read_text()


def test_command_is_content_with_the_pinned_version(
    layout: Layout, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(monkeypatch, layout, layout.upstream) == 0
    assert "2 hunks: 2 clean" in capsys.readouterr().out


@pytest.mark.parametrize("content", [b"", b"no archive"])
def test_command_refuses_what_is_no_archive(
    layout: Layout,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    content: bytes,
) -> None:
    (tmp_path / "bad").write_bytes(content)
    assert run(monkeypatch, layout, tmp_path / "bad") == 1
    assert "bump: " in capsys.readouterr().err
    assert run(monkeypatch, layout, tmp_path / "missing") == 1


def test_merge_failure_is_no_count(monkeypatch: pytest.MonkeyPatch) -> None:
    class Failed:
        returncode, stdout, stderr = 255, "", "broken"

    monkeypatch.setattr(bump, "run_git", lambda *_: Failed)
    with pytest.raises(PatchError, match="broken"):
        bump.merge_file("a", "b", "c")
