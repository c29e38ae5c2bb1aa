"""The byte tables of docs/examples.md are cases of the shared vectors."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
ROW = re.compile(r"^ *(\d+)  ([0-9a-f]*) *(?:\S.*)?$")
SOURCES = {
    "Opening": ("opening.json", "valid"),
    "Recipe": ("recipe.json", "valid"),
    "Header (commitment)": ("opening.json", "commitments"),
    "Reveal": ("reveal.json", "valid"),
    "Task entry": ("entries.json", "valid"),
    "Release entry": ("entries.json", "valid"),
    "Final entry": ("entries.json", "valid"),
    "Shards entry": ("entries.json", "valid"),
}


def read_tables() -> dict[str, str]:
    """Return the bytes of every table in hex, by heading; offsets must add up."""
    text = (ROOT / "docs" / "examples.md").read_text(encoding="utf-8")
    tables = {}
    for title, body in re.findall(r"^### (.+?)\n.*?```\n(.*?)```", text, re.DOTALL | re.MULTILINE):
        data = ""
        for line in body.splitlines():
            row = ROW.match(line)
            assert row is not None, line
            assert int(row[1]) == len(data) // 2, line
            data += row[2]
        tables[title] = data
    return tables


def test_every_object_has_a_table() -> None:
    assert set(read_tables()) == set(SOURCES)


@pytest.mark.parametrize("title", SOURCES)
def test_table_is_a_vector(title: str) -> None:
    name, group = SOURCES[title]
    cases = json.loads((ROOT / "vectors" / name).read_text(encoding="utf-8"))[group]
    assert read_tables()[title] in [case["hex"] for case in cases]
