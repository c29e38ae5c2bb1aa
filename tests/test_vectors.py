"""The committed vectors are those that the code makes, and show every reason that the protocol names."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from dev.make_vectors import BUILDERS, render
from podl_tools.entry import Entry
from podl_tools.header import Header
from podl_tools.reveal import Reveal
from podl_tools.task import Task

ROOT = Path(__file__).parent.parent
PROTOCOL = (ROOT / "docs" / "protocol.md").read_text()


def load(name: str) -> dict[str, Any]:
    """Return the committed file."""
    found: dict[str, Any] = json.loads((ROOT / "vectors" / f"{name}.json").read_text())
    return found


def details_of_the_protocol() -> set[str]:
    """Details of `podl-final-invalid` in section 8, short forms written out."""
    listed = re.search(r"`podl-final-invalid` \(detail: ([^)]*)\)", PROTOCOL)
    assert listed
    names: list[str] = []
    for name in re.findall(r"`([a-z-]+)`", listed[1]):
        names.append(names[-1].rsplit("-", 1)[0] + name if name.startswith("-") else name)
    return set(names)


def steps() -> list[dict[str, Any]]:
    """Every step of every sequence."""
    return [step for sequence in load("schedule")["sequences"] for step in sequence["steps"]]


@pytest.mark.parametrize("name", BUILDERS)
def test_committed_vectors_are_fresh(name: str) -> None:
    committed = (ROOT / "vectors" / f"{name}.json").read_text()
    assert committed == render(BUILDERS[name]()), "run python -m dev.make_vectors"


def test_every_file_has_its_builder_and_its_explanation() -> None:
    names = {path.stem for path in (ROOT / "vectors").glob("*.json")}
    assert names == set(BUILDERS)
    readme = (ROOT / "vectors" / "README.md").read_text()
    assert [name for name in names if f"`{name}.json`" not in readme] == []


def test_the_schedule_shows_every_detail_of_an_invalid_final() -> None:
    shown = {step["detail"] for step in steps() if step["reason"] == "podl-final-invalid"}
    assert shown == details_of_the_protocol()


def test_the_schedule_shows_every_reason_of_its_rules() -> None:
    """Sections 5 and 8 name them; bytes that do not parse are in entries.json."""
    entry_reasons = set(re.findall(r"`(podl-(?:entry|task|release|shards|schedule|void)-[a-z-]+)`", PROTOCOL))
    expected = entry_reasons | {"podl-final-time", "podl-final-invalid", "podl-final-void"}
    expected -= {"podl-entry-noncanonical", "podl-entry-not-chosen"}  # bytes, and an operator's choice
    assert expected <= {step["reason"] for step in steps()}
    assert {row["reason"] for row in load("entries")["invalid"]} == {"podl-entry-noncanonical"}


@pytest.mark.parametrize(
    "row", load("entries")["valid"] + load("entries")["same_id"], ids=lambda row: row["case"]
)
def test_entries_read_back(row: dict[str, Any]) -> None:
    entry = Entry.parse(bytes.fromhex(row["hex"]))
    key = bytes.fromhex(load("entries")["requester_key"])
    assert entry.id.hex() == row["id"]
    assert entry.verify(key) is row["signature_valid"]
    assert entry.serialize().hex() == row["hex"]


@pytest.mark.parametrize("row", load("reveal")["valid"], ids=lambda row: row["id"][:8])
def test_reveals_read_back(row: dict[str, Any]) -> None:
    reveal = Reveal.parse(bytes.fromhex(row["hex"]))
    assert reveal.id.hex() == row["id"]
    assert reveal.verify() is row["signature_valid"]


@pytest.mark.parametrize("row", load("opening")["commitments"], ids=lambda row: row["fields"]["hash"][:8])
def test_headers_read_back(row: dict[str, Any]) -> None:
    header = Header.parse(bytes.fromhex(row["hex"]))
    assert header.hash.hex() == row["fields"]["hash"]
    assert header.meets_stamp(load("opening")["stamp_bits"])


@pytest.mark.parametrize("row", load("task")["valid"], ids=lambda row: row["case"])
def test_task_sizes(row: dict[str, Any]) -> None:
    task = Entry.parse(bytes.fromhex(row["hex"])).body
    assert isinstance(task, Task)
    sizes = [{"n_params": program.n_params, "macs": program.macs} for program in task.loaded_programs]
    assert sizes == row["programs"]
