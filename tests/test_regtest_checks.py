"""Checks at the end of the demonstration: each failure has its reason."""

from __future__ import annotations

from dataclasses import replace

import pytest

from regtest.checks import (
    View,
    check_blocks_in_chain,
    check_candidates,
    check_replays,
    check_same_chain,
)
from regtest.errors import DemoError
from tests.regtest_samples import block, replay

BLOCKS = [block(110), block(111)]
VIEW = View("node0", 111, "aa", "bb")
VIEWS = [VIEW, replace(VIEW, node="node1"), replace(VIEW, node="node2")]


def test_same_chain() -> None:
    assert check_same_chain(VIEWS, BLOCKS) == VIEW


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"tip": "ab"}, "node0 has tip aa, node2 has ab"),
        ({"height": 110}, "node0 has height 111, node2 has 110"),
        ({"digest": "bc"}, "node0 has digest bb, node2 has bc"),
    ],
)
def test_another_chain(change: dict[str, str], reason: str) -> None:
    with pytest.raises(DemoError, match=reason):
        check_same_chain([*VIEWS[:2], replace(VIEWS[2], **change)], BLOCKS)  # type: ignore[arg-type]  # one case is a number


def test_chain_that_stops_early() -> None:
    views = [replace(view, height=110) for view in VIEWS]
    with pytest.raises(DemoError, match="stop at height 110, block 111 is final"):
        check_same_chain(views, BLOCKS)


def test_replays() -> None:
    check_replays([replay(110), replay(111)], BLOCKS)
    with pytest.raises(DemoError, match="height 111: the repeated training differs at epoch 2"):
        check_replays([replay(110), replay(111, result="differs at epoch 2")], BLOCKS)
    with pytest.raises(DemoError, match="height 110: claim 61, measured 60"):
        check_replays([replay(110, measured=60), replay(111)], BLOCKS)
    with pytest.raises(ValueError, match="zip"):
        check_replays([replay(110)], BLOCKS)


def test_blocks_in_chain() -> None:
    shown = [made.hash[::-1].hex() for made in BLOCKS]
    check_blocks_in_chain(BLOCKS, shown)
    with pytest.raises(DemoError, match=r"height 111: final 1f1e.*, in the chain 00ff"):
        check_blocks_in_chain(BLOCKS, [shown[0], "00ff"])


def test_candidates() -> None:
    check_candidates(BLOCKS, 3)
    with pytest.raises(DemoError, match="height 110: 2 candidates instead of 3"):
        check_candidates([block(110, listed=2)], 3)
