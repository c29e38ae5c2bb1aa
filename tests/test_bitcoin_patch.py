"""The tools of bitcoin-patch/: pin, series, apply, export and check, on a small made-up upstream."""

import fcntl
import shutil
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

sys.path.insert(0, str(Path(__file__).parents[1] / "bitcoin-patch"))

import apply
import check
import export
import packages
from series_lib import Layout, PatchError, parse_patch, read_pin, read_series, tree_lock
from tests.patch_samples import HEADER, MAIN, diff_of, edited, make_layout, write_patch


@pytest.fixture
def layout(tmp_path: Path) -> Layout:
    return make_layout(tmp_path)


def times(layout: Layout) -> dict[str, int]:
    return {str(path): path.stat().st_mtime_ns for path in layout.tree.rglob("*") if path.is_file()}


def test_apply_writes_patches_and_overlay_once(layout: Layout) -> None:
    assert sorted(apply.apply(layout).written) == ["src/main.cpp", "src/podl/new.cpp"]
    assert (layout.tree / "src/main.cpp").read_text() == edited(MAIN, 5, "first();")
    before = times(layout)
    assert apply.apply(layout) == ([], [])
    assert times(layout) == before


def test_apply_touches_only_what_changed_and_restores(layout: Layout) -> None:
    write_patch(
        layout, "0002-b.patch", "--- a/src/other.cpp\n+++ b/src/other.cpp\n@@ -1 +1,2 @@\n other\n+more\n"
    )
    apply.apply(layout)
    before = times(layout)
    (layout.patch_dir / "patches" / "series").write_text("0001-a.patch\n")
    (layout.overlay / "src/podl/new.cpp").unlink()
    assert sorted(apply.apply(layout).written) == ["src/other.cpp", "src/podl/new.cpp"]
    assert (layout.tree / "src/other.cpp").read_text() == "other\n"
    assert not (layout.tree / "src/podl/new.cpp").exists()
    main = str(layout.tree / "src/main.cpp")
    assert times(layout)[main] == before[main]


def test_apply_keeps_an_edit_and_says_so(layout: Layout) -> None:
    apply.apply(layout)
    path = layout.tree / "src/main.cpp"
    path.write_text("my work\n")
    changes = apply.apply(layout)
    assert changes.written == []
    assert "kept edits of src/main.cpp" in changes.report()
    assert path.read_text() == "my work\n"
    assert apply.apply(layout, discard=True) == (["src/main.cpp"], [])


def test_apply_takes_an_edit_that_undoes_a_dropped_patch(layout: Layout) -> None:
    apply.apply(layout)
    (layout.tree / "src/main.cpp").write_text(MAIN)
    (layout.patch_dir / "patches" / "series").write_text("")
    assert apply.apply(layout) == ([], [])


def test_apply_refuses_when_edit_and_source_differ(layout: Layout) -> None:
    apply.apply(layout)
    path = layout.tree / "src/podl/new.cpp"
    path.write_text("my work\n")
    (layout.overlay / "src/podl/new.cpp").write_text("newer\n")
    (layout.overlay / "src/podl/more.cpp").write_text("more\n")
    with pytest.raises(PatchError, match=r"edited in the tree.*src/podl/new\.cpp$"):
        apply.apply(layout)
    assert path.read_text() == "my work\n"
    assert not (layout.tree / "src/podl/more.cpp").exists()
    (layout.overlay / "src/podl/new.cpp").write_text("my work\n")
    assert apply.apply(layout) == (["src/podl/more.cpp"], [])


def test_overlay_must_not_replace_an_upstream_file(layout: Layout) -> None:
    (layout.overlay / "src/other.cpp").write_text("mine\n")
    with pytest.raises(PatchError, match=r"overlay replaces upstream files: src/other\.cpp"):
        apply.apply(layout)
    assert any("overlay replaces" in fault for fault in check.check(layout)[0])


def test_context_must_match_exactly(layout: Layout) -> None:
    diff = diff_of(edited(MAIN, 20, "second();")).replace(" line 19\n", " line nineteen\n")
    write_patch(layout, "0002-b.patch", diff)
    with pytest.raises(PatchError, match=r"0002-b\.patch does not apply"):
        apply.apply(layout)
    assert any("0002-b.patch does not apply" in fault for fault in check.check(layout)[0])


def test_patches_change_upstream_files_only(layout: Layout) -> None:
    write_patch(layout, "0002-b.patch", "--- /dev/null\n+++ b/src/created.cpp\n@@ -0,0 +1 @@\n+new\n")
    with pytest.raises(PatchError, match="not an upstream file"):
        apply.apply(layout)


def test_export_moves_an_edit_into_a_patch_and_is_stable(layout: Layout) -> None:
    second = edited(edited(MAIN, 5, "first();"), 20, "second();")
    write_patch(layout, "0002-b.patch", diff_of(edited(MAIN, 20, "second();")))
    apply.apply(layout)
    wanted = edited(second, 12, "between();")
    (layout.tree / "src/main.cpp").write_text(wanted)
    with pytest.raises(PatchError, match="--into"):
        export.export(layout, None)
    export.export(layout, "0001-a.patch")
    patches = read_series(layout)
    assert "+between();" in patches[0].diff
    assert "+between();" not in patches[1].diff
    assert patches[0].header.startswith("Subject: main: add calls\n")
    assert apply.wanted_files(layout)["src/main.cpp"].decode() == wanted
    assert export.export(layout, None) == []
    assert apply.apply(layout) == ([], [])


def test_export_fills_a_new_patch(layout: Layout) -> None:
    write_patch(layout, "0002-b.patch", "")
    apply.apply(layout)
    (layout.tree / "src/other.cpp").write_text("other\nmore\n")
    assert export.export(layout, "0002-b.patch") == ["0002-b.patch"]
    assert read_series(layout)[1].files == ["src/other.cpp"]
    assert apply.apply(layout) == ([], [])


def test_export_takes_only_the_named_files(layout: Layout) -> None:
    apply.apply(layout)
    (layout.tree / "src/other.cpp").write_text("other\nmore\n")
    (layout.tree / "src/main.cpp").write_text(edited(edited(MAIN, 5, "first();"), 12, "second();"))
    with pytest.raises(PatchError, match=r"not edited: src/none\.cpp"):
        export.export(layout, "0001-a.patch", ["src/none.cpp"])
    export.export(layout, "0001-a.patch", ["src/other.cpp"])
    assert read_series(layout)[0].files == ["src/main.cpp", "src/other.cpp"]
    assert "second();" not in read_series(layout)[0].diff
    assert apply.apply(layout) == ([], ["src/main.cpp"])


def test_export_refuses_an_edit_of_a_later_patch(layout: Layout) -> None:
    write_patch(layout, "0002-b.patch", diff_of(edited(MAIN, 20, "second();")))
    apply.apply(layout)
    path = layout.tree / "src/main.cpp"
    path.write_text(path.read_text().replace("second();", "third();"))
    with pytest.raises(PatchError, match="touches lines of a later patch"):
        export.export(layout, "0001-a.patch")


def test_check_passes_and_counts(layout: Layout) -> None:
    assert check.check(layout) == ([], (1, 1))


@pytest.mark.parametrize(
    ("header", "reason"),
    [
        (HEADER.replace("Forwarded: not-needed\n", ""), "header must be"),
        (HEADER.replace("section 6", "somewhere"), "header must be"),
        (HEADER.replace("main: add calls", "x" * 51), "subject is 51 characters"),
        (HEADER.replace("why " * 20, "why"), "say why"),
    ],
)
def test_check_refuses_a_bad_header(layout: Layout, header: str, reason: str) -> None:
    write_patch(layout, "0002-b.patch", diff_of(edited(MAIN, 20, "second();")), header)
    assert [fault for fault in check.check(layout)[0] if reason in fault]


@pytest.mark.parametrize(("lines", "refused"), [(10, False), (11, True)])
def test_check_limits_a_hunk(layout: Layout, lines: int, refused: bool) -> None:
    text = edited(MAIN, 20, "\n".join(["call();"] * lines))
    write_patch(layout, "0002-b.patch", diff_of(text))
    assert any(f"adds {lines} lines" in fault for fault in check.check(layout)[0]) is refused


def test_check_limits_the_series(layout: Layout, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(check, "MAX_TOTAL_ADDED", 0)
    assert check.check(layout)[0] == ["series adds 1 lines to 1 files"]


def test_check_wants_each_patch_listed_once(layout: Layout) -> None:
    write_patch(layout, "0001-a.patch", diff_of(edited(MAIN, 5, "first();")))
    (layout.patch_dir / "patches" / "stray.patch").write_text("")
    faults = check.series_faults(layout)
    assert faults == ["0001-a.patch: listed more than once", "stray.patch: in patches/ but not in series"]


def test_check_limits_files_and_wants_changes(layout: Layout) -> None:
    (layout.overlay / "src/podl/new.cpp").write_text("\n" * 401)
    write_patch(layout, "0002-b.patch", "")
    faults = check.check(layout)[0]
    assert any("new.cpp: 401 lines" in fault for fault in faults)
    assert "0002-b.patch: changes nothing" in faults


def test_the_projects_series_keeps_the_rules() -> None:
    layout = Layout()
    patches = read_series(layout)
    faults = [fault for patch in patches for fault in check.header_faults(patch) + check.hunk_faults(patch)]
    assert faults + check.series_faults(layout) + check.size_faults(layout) == []
    lines, files = check.totals(patches)
    assert lines <= check.MAX_TOTAL_ADDED
    assert files <= check.MAX_TOTAL_FILES


@pytest.mark.parametrize(
    "text", ["", "name: a\n", "name: a\nname: a\nversion: 1\nsha256: x\nfolder: f\n", "junk"]
)
def test_pin_needs_every_field_once(layout: Layout, text: str) -> None:
    (layout.patch_dir / "UPSTREAM").write_text(text)
    with pytest.raises(PatchError, match="expected exactly"):
        read_pin(layout)


@given(st.text())
def test_any_text_is_parsed_or_refused(text: str) -> None:
    patch = parse_patch("x.patch", text)
    assert patch.header + patch.diff == text
    try:
        total = sum(check.added(lines) for _, lines in check.hunks(patch))
    except PatchError:
        return
    assert total <= len(text.splitlines())


def test_only_one_build_at_a_time(layout: Layout) -> None:
    with (layout.build_dir / "build.lock").open("w") as second:
        with tree_lock(layout), pytest.raises(BlockingIOError):
            fcntl.flock(second, fcntl.LOCK_EX | fcntl.LOCK_NB)
        fcntl.flock(second, fcntl.LOCK_EX | fcntl.LOCK_NB)


def test_missing_packages_are_named_in_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "which", lambda _name: None)
    with pytest.raises(PatchError) as caught:
        packages.require_packages()
    message = str(caught.value)
    assert "\n" not in message
    for part in (
        "C++ compiler",
        "zeromq",
        "Debian/Ubuntu: apt-get",
        "Fedora: dnf",
        "Arch: pacman",
        "macOS: brew",
    ):
        assert part in message
