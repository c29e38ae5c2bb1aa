"""Lines, tables, JSON and plot of the demonstration."""

from __future__ import annotations

import io
import json
import struct
from typing import TYPE_CHECKING

import pytest
from rich.console import Console

from regtest.chain import Payment
from regtest.checks import View
from regtest.figures import collect
from regtest.plot import claim_points, winner_points, write_plot
from regtest.report import (
    Result,
    block_rows,
    block_table,
    figure_rows,
    figure_table,
    judge_table,
    write_json,
)
from regtest.screen import open_screen
from tests.regtest_samples import block, replay
from tests.test_regtest_judges import JUDGES

if TYPE_CHECKING:
    from pathlib import Path

BLOCKS = [block(110), block(111, architecture=2, claim=64)]
REPLAYS = [replay(110), replay(111, measured=64, warm=True)]
FIGURES = collect(
    {"miner-cnn": 100 << 20, "node0": 70 << 20, "requester": 60 << 20},
    {"miner-cnn": "x; 12 % of the time so far was training\ny\n34 % of the time was spent training\n"},
    {"node0": [0.5, 0.1, 2.0]},
)


def shown(width: int, *, terminal: bool) -> tuple[Console, io.StringIO]:
    out = io.StringIO()
    return Console(file=out, width=width, force_terminal=terminal), out


def test_line() -> None:
    assert block(112, shard=4).line() == (
        "height 112: 3 commitments, shard 4 opened, claims mlp 58, cnn 61, mgru 60; "
        "winner cnn with 61 of 64, 3.8 s"
    )
    assert block(112, attempts=2).line().endswith("3.8 s, 2 attempts")


def test_block_rows() -> None:
    first, second = block_rows(BLOCKS, REPLAYS)
    root = "ab" * 5
    numbers = ["3", "1.2 s", "2.5 s", root]
    assert first == ["110", "cnn", "convolutional", "61/64", "61/64", *numbers, "fresh", "bit-identical"]
    assert second == ["111", "mgru", "recurrent", "64/64", "64/64", *numbers, "warm", "bit-identical"]


def test_figure_rows() -> None:
    assert figure_rows(FIGURES) == [
        ["miner-cnn", "100 MiB", "34%", ""],
        ["node0", "70 MiB", "", "0.50 s, 2.00 s"],
        ["requester", "60 MiB", "", ""],
    ]


@pytest.mark.parametrize("width", [60, 130])
def test_plain_output_has_no_control_characters_and_no_cut_cells(width: int) -> None:
    console, out = shown(width, terminal=False)
    with open_screen(2, console) as screen:
        screen.state("not shown")
        screen.line("a [line] " + "with words " * 30)
        screen.table(block_table(BLOCKS, REPLAYS))
        screen.table(figure_table(FIGURES))
        screen.table(judge_table(JUDGES))
        screen.advance()
    text = out.getvalue()
    assert "\x1b" not in text
    assert "not shown" not in text
    assert text.startswith("a [line] with words with")
    assert "…" not in text
    assert text.count("bit-identical") == 2


def test_terminal_shows_the_state() -> None:
    console, out = shown(100, terminal=True)
    with open_screen(2, console) as screen:
        screen.state("height 110: 2 of 3 commitments")
        screen.line("a line")
    assert "2 of 3 commitments" in out.getvalue()


def test_json(tmp_path: Path) -> None:
    result = Result(
        BLOCKS,
        REPLAYS,
        FIGURES,
        JUDGES,
        View("node0", 111, "aa", "bb"),
        Payment("cc", 3),
        110,
        seconds=12.3456,
    )
    write_json(result, tmp_path / "demo.json")
    found = json.loads((tmp_path / "demo.json").read_text())
    assert found["transaction"] == {"txid": "cc", "coin_height": 3, "confirmed_height": 110}
    assert found["tip"] == {"height": 111, "hash": "aa", "digest": "bb"}
    assert [made["winner"] for made in found["blocks"]] == ["cnn", "mgru"]
    assert found["blocks"][0]["candidates"][1] == {"miner": "cnn", "claim": 61}
    assert found["blocks"][0]["hash"] == bytes(range(32))[::-1].hex()
    assert found["processes"][1]["reveal_to_verdict_seconds"] == [0.5, 0.1, 2.0]
    assert found["judges"][1]["evaluators"][0]["device"] == "C++ on CPU (avx2)"
    assert found["seconds"] == 12.346


def test_points_of_the_plot() -> None:
    assert claim_points(BLOCKS, 1) == [(110, 100 * 61 / 64), (111, 100 * 58 / 64)]
    measured = [replay(110, measured=32), replay(111, measured=64)]
    assert winner_points(BLOCKS, measured) == [(110.0, 50.0), (111.15, 100.0)]


def test_plot_is_a_picture(tmp_path: Path) -> None:
    path = tmp_path / "accuracy.png"
    write_plot(BLOCKS, REPLAYS, path)
    data = path.read_bytes()
    assert data.startswith(b"\x89PNG\r\n\x1a\n")
    width, height = struct.unpack(">II", data[16:24])
    assert width > height > 400
