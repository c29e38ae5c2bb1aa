"""Cases of reveal.json."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from dev.vector_cases.fixture import (
    MINER,
    Json,
    cut_and_extended,
    decoded,
    key,
    make_disclosure,
    named,
    patched,
    refused,
)
from podl_tools.constants import MAX_REVEAL_SIZE
from podl_tools.reveal import Reveal

if TYPE_CHECKING:
    from podl_tools.keys import SigningKey

_SCRIPT_LENGTH_AT = 1 + 112 + 329 + 96
_RELEASE = named("release")


def build() -> Json:
    """Reveals with ids and signature results, and bytes that are refused."""
    return {"valid": [_valid(reveal) for reveal in _reveals()], "invalid": _invalid()}


def _sign(signer: SigningKey, claim: int, payout: bytes) -> Reveal:
    return Reveal.sign(signer, make_disclosure(payout=payout), _RELEASE, claim)


def _reveals() -> list[Reveal]:
    good = _sign(MINER, 57, b"\x51")
    return [
        good,
        _sign(MINER, 0, bytes(128)),
        _sign(MINER, 0xFFFF_FFFF, b"\x6a" * 20),
        _sign(key("thief"), 57, b"\x51"),
        replace(good, claim=58),
        replace(good, release_id=named("later release")),
        replace(good, signature=bytes(64)),
    ]


def _valid(reveal: Reveal) -> Json:
    return {
        "hex": reveal.serialize().hex(),
        "fields": decoded(reveal),
        "id": reveal.id.hex(),
        "signature_valid": reveal.verify(),
    }


def _invalid() -> list[Json]:
    data = _sign(MINER, 57, b"\x51").serialize()
    at = _SCRIPT_LENGTH_AT
    return [
        *cut_and_extended(data, Reveal.parse),
        refused("version 0", patched(data, 0, b"\x00"), Reveal.parse),
        refused("version 2", patched(data, 0, b"\x02"), Reveal.parse),
        refused("no payout script", data[:at] + b"\0" + data[at + 2 :], Reveal.parse),
        refused("script longer than the rest", patched(data, at, b"\x80"), Reveal.parse),
        refused("script of 129 bytes", data[:at] + b"\x81" + bytes(129) + data[at + 2 :], Reveal.parse),
        refused("4096 bytes", data + bytes(MAX_REVEAL_SIZE - len(data)), Reveal.parse),
        refused("4097 bytes", data + bytes(MAX_REVEAL_SIZE + 1 - len(data)), Reveal.parse),
    ]
