"""The tools of bitcoin-patch/: pin, series, apply, export and check, on a small made-up upstream."""

import fcntl
import hashlib
import io
import shutil
import signal
import subprocess
import sys
import tarfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

sys.path.insert(0, str(Path(__file__).parents[1] / "bitcoin-patch"))

# The tools' folder has a dash in its name: its scripts are run by path and are no package.
import apply
import check
import export
import fetch
import packages
from series_lib import (
    Layout,
    PatchError,
    one_line_errors,
    parse_patch,
    read_pin,
    read_series,
    tree_lock,
    tree_sha256,
)

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


@pytest.fixture
def archive(tmp_path: Path) -> Path:
    path = tmp_path / "up_stream-1.tar.gz"
    files = {"src/main.cpp": MAIN.encode(), "src/other.cpp": b"other\n"}
    archive_of({f"up_stream-1/dep/core/{name}": content for name, content in files.items()}, path)
    return path


@pytest.fixture
def layout(tmp_path: Path, archive: Path) -> Layout:
    """Make one pinned upstream with one patch and one overlay file, fetched."""
    made = Layout(tmp_path / "patch", tmp_path / "build")
    (made.overlay / "src" / "podl").mkdir(parents=True)
    (made.overlay / "src" / "podl" / "new.cpp").write_text("new\n")
    (made.patch_dir / "patches").mkdir()
    core = tmp_path / "plain"
    (core / "src").mkdir(parents=True)
    (core / "src" / "main.cpp").write_text(MAIN)
    (core / "src" / "other.cpp").write_text("other\n")
    write_pin(made, archive, tree_sha256(core))
    write_patch(made, "0001-a.patch", diff_of(edited(MAIN, 5, "first();")))
    fetch.fetch(made, str(archive))
    return made


def times(layout: Layout) -> dict[str, int]:
    return {str(path): path.stat().st_mtime_ns for path in layout.tree.rglob("*") if path.is_file()}


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
