from __future__ import annotations

import json
from hashlib import sha256
from pathlib import Path

import pytest

from podl_tools.hashing import Tag, sha256d, tagged_hash

PROTOCOL = Path(__file__).parent.parent / "docs" / "protocol.md"
VECTORS = json.loads((Path(__file__).parent.parent / "vectors" / "hashing.json").read_text())


def test_tagged_hash_is_that_of_bip340() -> None:
    prefix = sha256(b"PoDL/leaf/v1").digest()
    assert tagged_hash(Tag.LEAF, b"a", b"bc") == sha256(prefix + prefix + b"abc").digest()


def test_double_sha256_of_bitcoins_genesis_header() -> None:
    header = bytes.fromhex(
        "0100000000000000000000000000000000000000000000000000000000000000000000003ba3edfd7a7b12b27ac72c3e"
        "67768f617fc81bc3888a51323a9fb8aa4b1e5e4a29ab5f49ffff001d1dac2b7c"
    )
    expected = "000000000019d6689c085ae165831e934ff763ae46a2a6c172b3f1b60a8ce26f"
    assert sha256d(header)[::-1].hex() == expected


def test_tags_are_distinct_and_in_the_protocol() -> None:
    text = PROTOCOL.read_text()
    values = [tag.value for tag in Tag]
    assert len(set(values)) == len(values)
    assert [value for value in values if f'"{value}"' not in text] == []


@pytest.mark.parametrize("row", VECTORS["tagged"])
def test_tagged_vectors(row: dict[str, str]) -> None:
    assert tagged_hash(Tag(row["tag"]), bytes.fromhex(row["data"])).hex() == row["hash"]


@pytest.mark.parametrize("row", VECTORS["sha256d"])
def test_double_vectors(row: dict[str, str]) -> None:
    assert sha256d(bytes.fromhex(row["data"])).hex() == row["hash"]
