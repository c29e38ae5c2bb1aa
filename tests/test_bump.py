"""Trying the series against another version of upstream."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[1] / "bitcoin-patch"))

import bump
from apply import apply
from export import diff_text, export
from fetch import fetch
from series_lib import Layout, PatchError, read_series, series_states, tree_sha256
from tests.patch_samples import MAIN, archive_of, diff_of, edited, write_patch, write_pin


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


def words(layout: Layout, other: Path) -> list[str]:
    return [outcome.word for outcome in bump.try_series(layout, other)[0]]


def moved_away(first: int, last: int) -> str:
    """Lines first to last of MAIN, moved to its end."""
    lines = MAIN.splitlines(keepends=True)
    return "".join(lines[: first - 1] + lines[last:] + lines[first - 1 : last])


@pytest.mark.parametrize(
    ("text", "found"),
    [
        (MAIN, ["clean", "clean"]),
        ("more\n" + MAIN, ["moved", "moved"]),
        (MAIN.replace("line 12\n", ""), ["clean", "moved"]),
        (MAIN.replace("line 7\n", "line seven\n"), ["merged", "clean"]),
        (MAIN.replace("line 5\n", "line five\n"), ["conflict", "moved"]),  # by the line that the first lacks
        (MAIN.replace("line 6\n", "").replace("line 21\n", "x\n"), ["conflict", "conflict"]),
        (moved_away(2, 9), ["astray", "moved"]),
    ],
)
def test_words(layout: Layout, tmp_path: Path, text: str, found: list[str]) -> None:
    assert words(layout, make_other(tmp_path, text)) == found


def test_hunks_of_one_file_are_tried_one_by_one(layout: Layout, tmp_path: Path) -> None:
    both = edited(edited(MAIN, 5, "first();"), 20, "second();")
    (layout.patch_dir / "patches" / "series").unlink()
    write_patch(layout, "0001-a.patch", diff_of(both))
    other = make_other(tmp_path, MAIN.replace("line 21\n", "x\n"))
    outcomes, states = bump.try_series(layout, other)
    assert [(outcome.line, outcome.word) for outcome in outcomes] == [(3, "clean"), (19, "conflict")]
    assert states[-1] == {"src/main.cpp": edited(MAIN, 5, "first();").replace("line 21\n", "x\n")}


def test_later_hunks_count_the_lines_of_earlier_ones(layout: Layout, tmp_path: Path) -> None:
    same = ["same\n"] * 40
    more = [*same[:5], *["first\n"] * 3, *same[5:30], "second\n", *same[30:]]
    (layout.upstream / "src" / "main.cpp").write_text("".join(same))
    (layout.patch_dir / "patches" / "series").unlink()
    diff = diff_text({"src/main.cpp": "".join(same)}, {"src/main.cpp": "".join(more)})
    write_patch(layout, "0001-a.patch", diff)
    other = make_other(tmp_path, "".join(same))
    assert words(layout, other) == ["clean", "clean"]
    assert bump.try_series(layout, other)[1][-1] == {"src/main.cpp": "".join(more)}


def test_missing_file_and_taken_overlay_path(layout: Layout, tmp_path: Path) -> None:
    other = make_other(tmp_path, MAIN)
    (other / "src" / "main.cpp").rename(other / "src" / "new.cpp")
    assert words(layout, other) == ["gone", "gone"]
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
    before = read_series(layout)
    assert run(monkeypatch, layout, archive) == 1
    shown = capsys.readouterr().out
    assert "0001-a.patch  src/main.cpp:3  conflict\n    @@ -3,6 +3,7 @@" in shown
    assert "    +first();\n" in shown
    assert "2 hunks: 0 clean, 1 moved, 0 merged, 0 astray, 1 conflict, 0 gone" in shown
    assert read_series(layout) == before


def test_written_series_is_mended_with_apply_and_export(
    layout: Layout, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = "more\n" + MAIN.replace("line 5\n", "line five\n")
    other = make_other(tmp_path, text)
    assert run(monkeypatch, layout, other, "--write") == 1
    (tmp_path / "archive").write_bytes(b"other")
    write_pin(layout, tmp_path / "archive", tree_sha256(other))
    fetch(layout, str(other))
    apply(layout)
    tree = layout.tree / "src" / "main.cpp"
    assert tree.read_text() == edited(text, 20, "second();")
    tree.write_text(tree.read_text().replace("line five\n", "line five\nfirst();\n"))
    export(layout, "0001-a.patch", ["src/main.cpp"])
    assert run(monkeypatch, layout, other) == 0
    wanted = text.replace("line five\n", "line five\nfirst();\n")
    assert series_states(layout.upstream, read_series(layout))[1:] == [
        {"src/main.cpp": wanted},
        {"src/main.cpp": edited(wanted, 20, "second();")},
    ]


def test_command_is_content_with_the_pinned_version(
    layout: Layout, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(monkeypatch, layout, layout.upstream) == 0
    assert "2 hunks: 2 clean, 0 moved" in capsys.readouterr().out


def test_command_names_overlay_files_of_the_other_version(
    layout: Layout, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    other = make_other(tmp_path, MAIN)
    (other / "src" / "new.cpp").write_text("theirs\n")
    assert run(monkeypatch, layout, other) == 1
    shown = capsys.readouterr().out
    assert "overlay  src/new.cpp: upstream has this file now" in shown
    assert "2 hunks: 2 clean" in shown


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
