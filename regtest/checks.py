"""Checks at the end of a demonstration; each one raises DemoError with the reason."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from regtest.errors import DemoError
from regtest.replay import SAME

if TYPE_CHECKING:
    from collections.abc import Sequence

    from regtest.history import Block
    from regtest.replay import Replay


@dataclass(frozen=True)
class View:
    """What one node says about the chain: tip (hash as Bitcoin shows it), its height, schedule digest."""

    node: str
    height: int
    tip: str
    digest: str


def check_same_chain(views: Sequence[View], blocks: Sequence[Block]) -> View:
    """Demand that all nodes agree, and that the chain reaches the last block.

    Returns
    -------
    View
        What all of them say.
    """
    first = views[0]
    for view in views[1:]:
        for name in ("height", "tip", "digest"):
            one, other = getattr(first, name), getattr(view, name)
            if one != other:
                raise DemoError(f"{first.node} has {name} {one}, {view.node} has {other}")
    if first.height < blocks[-1].height:
        raise DemoError(f"the nodes stop at height {first.height}, block {blocks[-1].height} is final")
    return first


def check_replays(replays: Sequence[Replay], blocks: Sequence[Block]) -> None:
    """Demand that every training was repeated bit for bit and every claim is the measured count."""
    for replay, block in zip(replays, blocks, strict=True):
        if replay.result != SAME:
            raise DemoError(f"height {block.height}: the repeated training {replay.result}")
        if replay.measured != block.claim:
            raise DemoError(f"height {block.height}: claim {block.claim}, measured {replay.measured}")


def check_blocks_in_chain(blocks: Sequence[Block], hashes: Sequence[str]) -> None:
    """Demand that the block of every final is in the active chain; hashes as Bitcoin shows them."""
    for block, found in zip(blocks, hashes, strict=True):
        if block.hash[::-1].hex() != found:
            raise DemoError(f"height {block.height}: final {block.hash[::-1].hex()}, in the chain {found}")


def check_candidates(blocks: Sequence[Block], miners: int) -> None:
    """Demand that every height had a commitment of every miner."""
    for block in blocks:
        if block.listed != miners:
            raise DemoError(f"height {block.height}: {block.listed} candidates instead of {miners}")
