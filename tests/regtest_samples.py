"""Made-up results of a run, for tests of the demonstration's pure parts."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from regtest.history import Block, Entrant
from regtest.replay import SAME, Replay


def root(value: int) -> bytes:
    return bytes([value]) * 32


def block(height: int = 110, architecture: int = 1, claim: int = 61, **changes: Any) -> Block:
    claims = (claim, 60, 58)
    entrants = tuple(
        Entrant(root(height - 100 + 10 * at), root(height - 60 + 10 * at), at, claims[at - architecture])
        for at in range(3)
    )
    made = Block(
        height=height,
        hash=bytes(range(32)),
        architecture=architecture,
        claim=claim,
        samples=64,
        model_root=root(0xAB),
        test_root=root(0xCD),
        shard=height - 110,
        attempts=1,
        listed=3,
        skipped=0,
        entrants=entrants,
        commit_seconds=1.25,
        reveal_seconds=2.5,
    )
    return replace(made, **changes)


def replay(height: int = 110, measured: int = 61, **changes: Any) -> Replay:
    made = Replay(height, SAME, measured, warm=False, seconds=0.5)
    return replace(made, **changes)
