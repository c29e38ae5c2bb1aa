"""Running upstream's suites: reading their reports, going on after an interruption, comparing two builds."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

sys.path.insert(0, str(Path(__file__).parents[1] / "bitcoin-patch"))

import suites
import upstream_lint
import upstream_test
from series_lib import Layout, PatchError, Variant
from suites import FAILED, PASSED, SKIPPED, Record

if TYPE_CHECKING:
    from collections.abc import Callable

CASES = """<?xml version="1.0" encoding="UTF-8"?>
<testsuite tests="3" skipped="1" errors="1" failures="1" id="0" name="Core" time="1">
<testcase assertions="2" classname="a.b" name="fine" time="0"><system-out>x</system-out></testcase>
<testcase assertions="1" classname="a" name="wrong" time="0"><failure message="m" type="t"/></testcase>
<testcase assertions="1" classname="a" name="thrown" time="0"><error message="m" type="t"/></testcase>
<testcase assertions="0" classname="c" name="off" time="0"><skipped/></testcase>
</testsuite>
"""


def make_variant(folder: Path, program: bytes = b"one") -> Variant:
    programs = folder / "objects" / "bin"
    programs.mkdir(parents=True, exist_ok=True)
    (programs / "bitcoind").write_bytes(program)
    return Variant("patched", folder / "source", folder / "objects")


def fake_program(variant: Variant, name: str, body: str) -> None:
    path = variant.objects / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!{sys.executable}\nimport sys\n{body}")
    path.chmod(0o755)


def test_unit_cases_by_name(tmp_path: Path) -> None:
    report = tmp_path / "cases.xml"
    report.write_text(CASES)
    assert suites.read_cases(report) == {
        "a/b/fine": PASSED,
        "a/wrong": FAILED,
        "a/thrown": FAILED,
        "c/off": SKIPPED,
    }


@pytest.mark.parametrize("text", ["", "<testsuite>", "no xml"])
def test_unreadable_unit_report(tmp_path: Path, text: str) -> None:
    report = tmp_path / "cases.xml"
    report.write_text(text)
    with pytest.raises(PatchError, match="no readable report"):
        suites.read_cases(report)


def write_unit_program(variant: Variant, cases: str, code: int) -> None:
    body = (
        "path = next(a for a in sys.argv if 'JUNIT' in a).split('success,')[1]\n"
        f"open(path, 'w').write({cases!r})\nsys.exit({code})\n"
    )
    fake_program(variant, "bin/test_bitcoin", body)


def test_unit_run(tmp_path: Path) -> None:
    variant = make_variant(tmp_path)
    write_unit_program(variant, CASES, 201)
    assert suites.run_unit(variant)["a/wrong"] == FAILED


def test_unit_run_that_breaks_off_is_no_result(tmp_path: Path) -> None:
    variant = make_variant(tmp_path)
    passing = '<testsuite><testcase classname="a" name="fine"/></testsuite>'
    write_unit_program(variant, passing, 139)
    with pytest.raises(PatchError, match="ended with 139"):
        suites.run_unit(variant)


RUNNER = """
path = next(a for a in sys.argv if a.startswith('--resultsfile=')).partition('=')[2]
jobs = next(a for a in sys.argv if a.startswith('--jobs='))
scripts = [a for a in sys.argv[1:] if not a.startswith('--')]
with open(path, 'w') as file:
    file.write('test,status,duration(seconds)\\n')
    for script in scripts:
        bad = script == 'bad.py' or (script == 'shaky.py' and jobs != '--jobs=1')
        file.write(f"{script},{'Failed' if bad else 'Passed'},1\\n")
    file.write('ALL,Failed,2\\n')
"""


def test_failed_script_gets_a_second_try(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    variant = make_variant(tmp_path)
    fake_program(variant, "test/functional/test_runner.py", RUNNER)
    found = suites.run_scripts(variant, ["good.py", "shaky.py", "bad.py"], 3)
    assert found == {"good.py": PASSED, "shaky.py": PASSED, "bad.py": FAILED}
    assert "second try, one at a time: bad.py, shaky.py" in capsys.readouterr().out


def test_runner_without_results(tmp_path: Path) -> None:
    variant = make_variant(tmp_path)
    fake_program(variant, "test/functional/test_runner.py", "sys.exit(1)\n")
    with pytest.raises(PatchError, match="left no results"):
        suites.run_scripts(variant, ["good.py"], 1)


def test_scripts_are_listed_once_without_arguments(tmp_path: Path) -> None:
    variant = make_variant(tmp_path)
    lists = "BASE_SCRIPTS = ['a.py', 'b.py --v2', 'b.py']\nALL_SCRIPTS = ['x.py', *BASE_SCRIPTS]\n"
    fake_program(variant, "test/functional/test_runner.py", lists)
    assert suites.list_scripts(variant, extended=False) == ["a.py", "b.py"]
    assert suites.list_scripts(variant, extended=True) == ["x.py", "a.py", "b.py"]


def test_record_goes_on_with_the_same_programs_only(tmp_path: Path) -> None:
    variant = make_variant(tmp_path)
    path = tmp_path / "record.json"
    record = Record.load(path, variant)
    record.functional = {"a.py --v2": PASSED}
    record.save()
    again = Record.load(path, variant)
    assert again.functional == {"a.py --v2": PASSED}
    assert list(suites.groups(["a.py", "b.py"], again)) == [["b.py"]]
    assert Record.load(path, make_variant(tmp_path, b"two")).functional == {}


@pytest.mark.parametrize("text", ["{", "[]", "{}", '{"programs": "", "unit": {}}'])
def test_damaged_record(tmp_path: Path, text: str) -> None:
    path = tmp_path / "record.json"
    path.write_text(text)
    with pytest.raises(PatchError, match="remove it"):
        Record.load(path, make_variant(tmp_path))


def test_groups_hold_every_script_once(tmp_path: Path) -> None:
    names = [f"{i}.py" for i in range(3 * suites.GROUP + 1)]
    found = list(suites.groups(names, Record(tmp_path / "r", "")))
    assert [name for group in found for name in group] == names
    assert max(map(len, found)) == suites.GROUP


def test_differences() -> None:
    plain = {"a": PASSED, "b": PASSED, "c": PASSED, "d": FAILED, "e": SKIPPED, "f": PASSED}
    patched = {"a": PASSED, "b": FAILED, "c": SKIPPED, "d": FAILED, "e": FAILED, "new": FAILED}
    found = ["b: failed", "c: skipped", "e: failed", "f: not run", "new: failed"]
    assert upstream_test.differences(plain, patched) == found


def test_kept_record_comes_back(tmp_path: Path) -> None:
    path = tmp_path / "record.json"
    tests = {"b": FAILED, "a": PASSED, "c": SKIPPED}
    upstream_test.write_record(path, tests)
    assert upstream_test.read_record(path) == tests
    path.write_text(json.dumps({"passed": []}))
    with pytest.raises(PatchError, match="--write-record"):
        upstream_test.read_record(path)


@pytest.fixture
def run_main(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., int]:
    """Run the command on invented results of both builds."""

    def run(plain: dict[str, str], patched: dict[str, str], *arguments: str) -> int:
        results = {"plain": plain, "patched": patched}

        def stand_in(_layout: Layout, variant: Variant, _options: object) -> Record:
            return Record(tmp_path / "r", "", functional=results[variant.name])

        (tmp_path / "patch").mkdir(exist_ok=True)
        monkeypatch.setattr(upstream_test, "Layout", lambda: Layout(tmp_path / "patch", tmp_path / "build"))
        monkeypatch.setattr(upstream_test, "prepare", lambda *_: None)
        monkeypatch.setattr(upstream_test, "run", stand_in)
        monkeypatch.setattr(sys, "argv", ["upstream_test.py", *arguments])
        return upstream_test.main()

    return run


def test_command_names_differences(run_main: Callable[..., int], capsys: pytest.CaptureFixture[str]) -> None:
    assert run_main({"a": PASSED}, {"a": PASSED}, "--write-record") == 0
    assert run_main({}, {"a": PASSED, "b": PASSED}, "--patched-only") == 0
    assert run_main({}, {"b": PASSED}, "--patched-only") == 1
    assert "worse than plain: a: not run" in capsys.readouterr().err
    assert run_main({"a": PASSED}, {"a": FAILED}) == 1


def test_command_without_a_record(run_main: Callable[..., int], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        run_main({}, {}, "--patched-only")
    assert caught.value.code == 1
    assert "upstream-suites.json" in capsys.readouterr().err


@pytest.mark.parametrize(("command", "fault"), [("pass", None), ("sys.exit('bad line')", "bad line")])
def test_linter_output(tmp_path: Path, command: str, fault: str | None) -> None:
    assert upstream_lint.run_lint([sys.executable, "-c", f"import sys; {command}"], tmp_path) == fault


def test_linters_see_two_commits(tmp_path: Path) -> None:
    layout = Layout(tmp_path / "patch", tmp_path / "build")
    (layout.patch_dir / "patches").mkdir(parents=True)
    (layout.patch_dir / "patches" / "series").write_text("")
    layout.upstream.mkdir(parents=True)
    (layout.upstream / "old.h").write_text("old\n")
    layout.overlay.mkdir()
    (layout.overlay / "new.h").write_text("new \n")
    folder = tmp_path / "repository"
    upstream_lint.make_repository(layout, folder)
    assert upstream_lint.run_lint(["git", "diff", "--exit-code", "--quiet", "HEAD"], folder) is None
    fault = upstream_lint.run_lint(["git", "diff", "--check", "HEAD~..HEAD"], folder)
    assert fault is not None
    assert "new.h:1: trailing whitespace" in fault
