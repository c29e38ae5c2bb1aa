"""Cases of opening.json."""

from __future__ import annotations

from dataclasses import fields

from dev.vector_cases.fixture import (
    Json,
    cut_and_extended,
    decoded,
    make_header,
    make_opening,
    named,
    outcome,
    patched,
    refused,
)
from podl_tools.commitment import Opening, checkpoint_leaf, checkpoints_root
from podl_tools.constants import ZERO_HASH
from podl_tools.header import Header, check_commitment, grind

_STAMP_BITS = 8


def build() -> Json:
    """Build openings with their `hashModel`, checkpoint trees, and headers as commitments."""
    return {
        "valid": [_valid(opening) for opening in _openings()],
        "invalid": cut_and_extended(make_opening().serialize(), Opening.parse),
        "null": _null(),
        "checkpoints": [_checkpoints(count) for count in (2, 3, 6, 255)],
        "stamp_bits": _STAMP_BITS,
        "commitments": _commitments(),
        "commitments_invalid": _commitments_invalid(),
    }


def _openings() -> list[Opening]:
    return [
        make_opening(),
        make_opening(height=0xFFFF_FFFF, n_params=0x01020304, n_checkpoints=255, salt=ZERO_HASH),
        make_opening(salt=named("another salt")),
    ]


def _valid(opening: Opening) -> Json:
    return {
        "hex": opening.serialize().hex(),
        "fields": decoded(opening),
        "model_hash": opening.model_hash.hex(),
    }


def _null() -> list[Json]:
    names = [
        field.name for field in fields(Opening) if isinstance(getattr(make_opening(), field.name), bytes)
    ]
    cases = []
    for name in names:
        opening = make_opening(**{name: ZERO_HASH})
        cases.append({"case": name, "hex": opening.serialize().hex(), **outcome(opening.check_null)})
    return cases


def _checkpoints(count: int) -> Json:
    roots = [(named(f"master {index}"), named(f"velocity {index}")) for index in range(count)]
    leaves = [checkpoint_leaf(index, *pair) for index, pair in enumerate(roots)]
    return {"roots": decoded(roots), "leaves": decoded(leaves), "root": checkpoints_root(roots).hex()}


def _ground() -> Header:
    return grind(make_header(make_opening().model_hash), _STAMP_BITS)


def _commitments() -> list[Json]:
    rows = [_ground(), grind(make_header(named("other"), version=0x5FFF_FFFF, time=0xFFFF_FFFF), _STAMP_BITS)]
    return [{"hex": header.serialize().hex(), "fields": decoded(header)} for header in rows]


def _commitments_invalid() -> list[Json]:
    def parse(data: bytes) -> Header:
        return check_commitment(data, _STAMP_BITS)

    data = _ground().serialize()
    nonce = next(
        nonce
        for nonce in range(1000)
        if not Header.parse(patched(data, 76, nonce.to_bytes(4, "little"))).meets_stamp(_STAMP_BITS)
    )
    return [
        *cut_and_extended(data, parse),
        refused("Bitcoin's 80 bytes", data[:80], parse),
        refused("version 4", patched(data, 0, b"\x04\x00\x00\x00"), parse),
        refused("version bits of BIP9", patched(data, 0, b"\x00\x00\x00\x20"), parse),
        refused("version with all three bits", patched(data, 0, b"\x00\x00\x00\xe0"), parse),
        refused("null hashModel", patched(data, 80, ZERO_HASH), parse),
        refused("no stamp", patched(data, 76, nonce.to_bytes(4, "little")), parse),
    ]
