"""Bitcoin Core's own suites on one build: unit cases, functional scripts, and a record of how each ended.

A record belongs to the programs it was made with (their SHA-256): an interrupted run goes on where it
stopped, and a new build starts anew.
"""

from __future__ import annotations

import csv
import hashlib
import json
import os
import subprocess
import sys
import tempfile
import xml.etree.ElementTree as ET
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from series_lib import PatchError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from series_lib import Variant

PASSED, FAILED, SKIPPED = "passed", "failed", "skipped"
UNIT = "unit"
GROUP = 24


@dataclass
class Record:
    """How each test ended on one build; written after every group of tests."""

    path: Path
    programs: str
    unit: dict[str, str] = field(default_factory=dict)
    functional: dict[str, str] = field(default_factory=dict)

    @classmethod
    def load(cls, path: Path, variant: Variant) -> Record:
        """Take up an earlier run of the same programs, else start anew."""
        fresh = cls(path, programs_sha256(variant))
        if not path.is_file():
            return fresh
        try:
            found = json.loads(path.read_text())
            kept = cls(path, found["programs"], found["unit"], found["functional"])
        except (ValueError, KeyError, TypeError) as error:
            raise PatchError(f"{path}: not a record of a test run ({error}); remove it") from error
        return kept if kept.programs == fresh.programs else fresh

    def save(self) -> None:
        """Write the record in one step."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        partial = self.path.with_suffix(".partial")
        text = {"programs": self.programs, "unit": self.unit, "functional": self.functional}
        partial.write_text(json.dumps(text, indent=1, sort_keys=True) + "\n")
        partial.replace(self.path)

    def tests(self) -> dict[str, str]:
        """All results, unit cases and scripts."""
        return self.unit | self.functional


def programs_sha256(variant: Variant) -> str:
    """Hash of all built programs."""
    total = hashlib.sha256()
    for path in sorted((variant.objects / "bin").iterdir()):
        total.update(f"{path.name} {hashlib.sha256(path.read_bytes()).hexdigest()}\n".encode())
    return total.hexdigest()


def clean_environment() -> dict[str, str]:
    """Environment for upstream's scripts: they leave no byte code in the trees."""
    return os.environ | {"PYTHONDONTWRITEBYTECODE": "1"}


def run_unit(variant: Variant) -> dict[str, str]:
    """Run ``test_bitcoin`` and return how each case ended."""
    with tempfile.TemporaryDirectory(prefix="core_unit_") as folder:
        report = Path(folder) / "cases.xml"
        command = [
            str(variant.objects / "bin" / "test_bitcoin"),
            f"--logger=HRF,error,stdout:JUNIT,success,{report}",
            "--report_level=short",
        ]
        done = subprocess.run(command, cwd=folder, env=clean_environment(), check=False)
        cases = read_cases(report)
    if done.returncode != 0 and FAILED not in cases.values():
        raise PatchError(
            f"test_bitcoin of {variant.name} ended with {done.returncode} and names no failed case"
        )
    return cases


def read_cases(report: Path) -> dict[str, str]:
    """Read Boost.Test's JUnit report: ``suite/case`` and how it ended."""
    try:
        root = ET.parse(report).getroot()  # noqa: S314  (our own build wrote it a moment ago)
    except (OSError, ET.ParseError) as error:
        raise PatchError(f"test_bitcoin left no readable report: {error}") from error
    return {case_name(case): case_status(case) for case in root.iter("testcase")}


def case_name(case: ET.Element) -> str:
    """Join suite and case as the command line of ``test_bitcoin`` takes them."""
    return f"{case.get('classname', '').replace('.', '/')}/{case.get('name')}"


def case_status(case: ET.Element) -> str:
    """Tell how a case ended by its children."""
    tags = {child.tag for child in case}
    if tags & {"failure", "error"}:
        return FAILED
    return SKIPPED if "skipped" in tags else PASSED


def list_scripts(variant: Variant, *, extended: bool) -> list[str]:
    """Names of the functional scripts, in the runner's order (longest first), without their arguments."""
    name = "ALL_SCRIPTS" if extended else "BASE_SCRIPTS"
    code = f"import json, test_runner; print(json.dumps(test_runner.{name}))"
    folder = variant.objects / "test" / "functional"
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=folder,
        env=clean_environment(),
        text=True,
        capture_output=True,
        check=False,
    )
    if done.returncode != 0:
        raise PatchError(f"cannot list the functional tests: {done.stderr.strip()[-500:]}")
    scripts: list[str] = json.loads(done.stdout)
    return list(dict.fromkeys(script.split()[0] for script in scripts))


def groups(scripts: list[str], record: Record) -> Iterator[list[str]]:
    """Cut the scripts that have no result yet into groups, after each of which the record is saved."""
    done = {name.split()[0] for name in record.functional}
    left = [script for script in scripts if script not in done]
    yield from (left[start : start + GROUP] for start in range(0, len(left), GROUP))


def run_scripts(variant: Variant, scripts: Iterable[str], jobs: int) -> dict[str, str]:
    """Run some functional scripts with upstream's runner; a failed one gets a second try on its own."""
    results = _run_once(variant, list(scripts), jobs)
    again = sorted({name.split()[0] for name, status in results.items() if status == FAILED})
    if again:
        print(f"second try, one at a time: {', '.join(again)}", flush=True)
        results |= _run_once(variant, again, 1)
    return results


def _run_once(variant: Variant, scripts: list[str], jobs: int) -> dict[str, str]:
    with tempfile.TemporaryDirectory(prefix="core_functional_") as folder:
        results = Path(folder) / "results.csv"
        command = [
            sys.executable,
            str(variant.objects / "test" / "functional" / "test_runner.py"),
            f"--jobs={jobs}",
            f"--tmpdirprefix={folder}",
            f"--resultsfile={results}",
            *scripts,
        ]
        subprocess.run(command, env=clean_environment(), check=False)
        return read_results(results)


def read_results(path: Path) -> dict[str, str]:
    """Read the runner's CSV: script with its arguments, and how it ended."""
    try:
        with path.open(newline="") as file:
            rows = list(csv.DictReader(file))
        return {row["test"]: row["status"].lower() for row in rows if row["test"] != "ALL"}
    except (OSError, KeyError, AttributeError) as error:
        raise PatchError(f"upstream's test runner left no results: {error}") from error
