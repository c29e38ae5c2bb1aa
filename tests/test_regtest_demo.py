"""A run's end: the result is shown, then every check may still fail it."""

from __future__ import annotations

import io
import json
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest
from rich.console import Console

from regtest import demo as demo_module
from regtest.chain import Payment, confirmed_height
from regtest.checks import View
from regtest.demo import NUMBERS, PLOT, Demo
from regtest.errors import DeadlineError, DemoError
from regtest.report import Result
from regtest.screen import open_screen
from tests.regtest_samples import block, replay
from tests.test_regtest_judges import JUDGES

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

BLOCKS = [block(110), block(111)]
VIEW = View("node0", 111, "aa", "bb")


class FakeNetwork:
    """Counts how often it is stopped; nodes answer with made-up views."""

    def __init__(self, *_: object) -> None:
        self.stopped = 0
        self.hashes = [made.hash[::-1].hex() for made in BLOCKS]

    def stop(self) -> None:
        self.stopped += 1

    def rpc(self, _index: int, _method: str, height: int) -> str:
        return self.hashes[height - 110]

    @staticmethod
    def wait_until(what: str, condition: Callable[[], bool]) -> None:
        if not any(condition() for _ in range(3)):
            raise DeadlineError(f"in vain: {what}")


def make(directory: Path, out: io.StringIO) -> Demo:
    with open_screen(2, Console(file=out, width=120)) as screen:
        return Demo(directory, directory, 2, screen)


@pytest.mark.parametrize(
    ("second", "reason"),
    [
        (replay(111), ""),
        (replay(111, result="differs before epoch 2"), "height 111: the repeated training differs before"),
        (replay(111, measured=60), "height 111: claim 61, measured 60"),
    ],
)
def test_result_is_shown_and_then_judged(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, second: Any, reason: str
) -> None:
    out, network = io.StringIO(), FakeNetwork()
    result = Result(BLOCKS, [replay(110), second], [], JUDGES, VIEW, Payment("cc", 3), 110, seconds=1)
    monkeypatch.setattr(demo_module, "make_task", lambda _: tmp_path / "task.hex")
    monkeypatch.setattr(demo_module, "Network", lambda *_: network)
    monkeypatch.setattr(Demo, "_play", lambda *_: result)
    if reason:
        with pytest.raises(DemoError, match=reason):
            make(tmp_path, out).run(keep=True)
    else:
        make(tmp_path, out).run(keep=False)
    assert second.result in out.getvalue()
    assert ("all checks passed" in out.getvalue()) == (not reason)
    assert json.loads((tmp_path / NUMBERS).read_text())["blocks"][1]["measured"] == second.measured
    assert (tmp_path / PLOT).exists()
    assert network.stopped == 1


def agree(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, views: Sequence[View]) -> View:
    """Compare nodes that show these views, one after the other."""
    coming = iter(views)
    monkeypatch.setattr(demo_module, "_view", lambda *_: next(coming))
    network: Any = FakeNetwork()
    found = make(tmp_path, io.StringIO())._agree(network, BLOCKS)
    assert next(coming, None) is None
    return found


def test_nodes_are_compared_while_the_schedule_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    later = View("node0", 112, "cc", "dd")
    assert agree(tmp_path, monkeypatch, [VIEW, VIEW, later, later, later, later]) == later


@pytest.mark.parametrize(
    ("other", "reason"),
    [
        (View("node2", 111, "ab", "bb"), "node0 has tip aa, node2 has ab"),
        (View("node2", 111, "aa", "bc"), "node0 has digest bb, node2 has bc"),
        (View("node2", 110, "99", "bb"), "node0 has height 111, node2 has 110"),
    ],
)
def test_nodes_that_differ_fail_the_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, other: View, reason: str
) -> None:
    with pytest.raises(DemoError, match=reason):
        agree(tmp_path, monkeypatch, [VIEW, VIEW, other] * 3)


def test_final_that_is_not_in_the_chain_fails_the_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(FakeNetwork, "rpc", lambda *_: "00ff")
    with pytest.raises(DemoError, match="height 110: final 1f1e"):
        agree(tmp_path, monkeypatch, [VIEW] * 3)


@pytest.mark.parametrize(
    ("found", "coin", "reason"),
    [
        ({"blockheight": 110, "blockhash": "aa"}, 3, ""),
        ({}, 3, "is in no PoDL block"),
        ({"blockheight": 109, "blockhash": "aa"}, 3, "is in no PoDL block"),
        ({"blockheight": 110, "blockhash": "aa"}, 110, "spends a coin of height 110"),
        ({"blockheight": 110, "blockhash": "bb"}, 3, "node0 has block 110 without"),
    ],
)
def test_payment_must_be_confirmed(found: dict[str, Any], coin: int, reason: str) -> None:
    blocks = {"aa": {"tx": ["cc"]}, "bb": {"tx": []}}
    network: Any = SimpleNamespace(rpc=lambda _at, call, name: blocks[name] if call == "getblock" else found)
    if reason:
        with pytest.raises(DemoError, match=reason):
            confirmed_height(network, Payment("cc", coin))
    else:
        assert confirmed_height(network, Payment("cc", coin)) == 110
