"""docs/security.md names every attack and rule, and no file, test or reason that is not there."""

from __future__ import annotations

import json
import re
from fnmatch import fnmatchcase
from pathlib import Path

import pytest

from tests.test_reasons import reasons_of_the_protocol

ROOT = Path(__file__).parent.parent
TEXT = (ROOT / "docs" / "security.md").read_text()
OVERLAY = ROOT / "bitcoin-patch" / "overlay" / "src"
# Attacks of the catalogue's groups that version 1 is measured by.
GROUPS = {"A": 12, "B": 9, "C": 8, "D": 17, "E": 14, "F": 14, "G": 19, "H": 11, "I": 13, "J": 8, "K": 9}
# Where a row may point instead of having a test.
NO_TEST = ("**open**", "not in version 1")
OTHER_ROW = re.compile(r"^[A-K]\d+$")


def rows() -> dict[str, list[str]]:
    """Cells of the attacks' rows by id."""
    found = [
        line.strip("| \n").split(" | ") for line in TEXT.splitlines() if re.match(r"\| [A-K]\d+ \|", line)
    ]
    assert len({row[0] for row in found}) == len(found)
    return {row[0]: [cell.strip(" |") for cell in row] for row in found}


ROWS = rows()


def quoted(cell: str) -> list[str]:
    """Texts in backticks."""
    return re.findall(r"`([^`]+)`", cell)


def cases_of(suite: str) -> set[str]:
    """Names of the test cases of a suite of test_podl."""
    text = (OVERLAY / "test" / f"{suite}.cpp").read_text()
    return set(re.findall(r"BOOST_(?:AUTO|FIXTURE)_TEST_CASE\((\w+)", text))


def functions_of(path: Path) -> set[str]:
    """Names of the functions and methods of a Python file."""
    return set(re.findall(r"^\s*def (\w+)\(", path.read_text(), re.MULTILINE))


def sequences() -> set[str]:
    """Names of the sequences of schedule.json."""
    found = json.loads((ROOT / "vectors" / "schedule.json").read_text())["sequences"]
    return {sequence["name"] for sequence in found}


def is_test(name: str) -> bool:
    """Whether a reference of the last column leads to a test."""
    if name.startswith("schedule.json: "):
        return name.removeprefix("schedule.json: ") in sequences()
    if ".py" not in name:
        suite, _, case = name.partition("/")
        return case in cases_of(suite)
    file, _, function = name.partition("::")
    path = ROOT / ("tests" if file.startswith("test_") else "functional_tests") / file
    return path.is_file() and (not function or function in functions_of(path))


def is_file(name: str) -> bool:
    """Whether a file of the defence column exists."""
    places = (OVERLAY / "podl", OVERLAY, ROOT / "podl_tools", ROOT / "bitcoin-patch" / "patches", ROOT)
    return any((place / name).is_file() for place in places)


def test_every_attack_has_its_row() -> None:
    assert list(ROWS) == [f"{group}{n}" for group, count in GROUPS.items() for n in range(1, count + 1)]


@pytest.mark.parametrize("attack", ROWS)
def test_a_row_leads_somewhere(attack: str) -> None:
    _, _, defence, *last = ROWS[attack]
    tests = quoted(last[0]) if last else []
    assert [name for name in tests if not is_test(name)] == []
    names = [name for name in quoted(defence) if re.search(r"\.(cpp|h|py|patch)$", name)]
    assert [name for name in names if not is_file(name)] == []
    assert tests or any(word in defence for word in NO_TEST) or OTHER_ROW.match(defence)


def test_faults_and_limits_lead_to_tests() -> None:
    part = TEXT[TEXT.index("## Faults") : TEXT.index("## What commits")]
    last = [line.strip("| \n").split(" | ")[-1] for line in part.splitlines() if line.startswith("| ")]
    tests = [name for cell in last for name in quoted(cell) if re.search(r"_tests/|\.py|\.json", name)]
    assert len(tests) > 20
    assert [name for name in tests if not is_test(name)] == []


def test_every_rule_is_met() -> None:
    named = {int(number) for row in ROWS.values() for number in re.findall(r"\bR(\d+)\b", row[2])}
    assert set(range(1, 24)) - named == set()


def test_reasons_are_those_of_the_protocol() -> None:
    protocol = reasons_of_the_protocol()
    reasons = {
        name
        for name in quoted(TEXT)
        if re.fullmatch(r"(?:bad-)?podl-[a-z-]+[a-z]", name) and name != "podl-requester"
    }
    assert len(reasons) > 40
    assert [name for name in reasons if not any(fnmatchcase(name, known) for known in protocol)] == []


def test_every_invalid_state_names_its_hash() -> None:
    section = TEXT[TEXT.index("## What commits to the bytes") :]
    files = [*(OVERLAY / "podl").iterdir(), *(ROOT / "bitcoin-patch" / "patches").iterdir()]
    calls = [call for path in files for call in re.findall(r"\.Invalid\(([^;]*);", path.read_text())]
    reasons = {reason for call in calls for reason in re.findall(r'"((?:bad-)?podl-[a-z-]+)"', call)}
    assert len(calls) == len(reasons) == 3
    assert set(re.findall(r"^\| `([a-z-]+)` \| `BLOCK_", section, re.MULTILINE)) == reasons
