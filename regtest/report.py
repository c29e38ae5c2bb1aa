"""The result of a run: tables for people, JSON for programs."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Final

from rich.box import SIMPLE_HEAD
from rich.table import Table

from regtest.plan import MINERS, miner_name

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from regtest.chain import Payment
    from regtest.checks import View
    from regtest.figures import ProcessFigures
    from regtest.history import Block
    from regtest.judges import Judges
    from regtest.replay import Replay

_MIB: Final = 1 << 20
_ROOT_DIGITS: Final = 10


@dataclass(frozen=True)
class Result:
    """Everything a run has shown.

    Parameters
    ----------
    blocks, replays
        By height.
    figures
        By process.
    judges
        By node.
    view
        What all nodes agree on.
    payment, confirmed
        The ordinary transaction and the height of its block.
    seconds
        Duration from the start of the first node to the last check.
    """

    blocks: Sequence[Block]
    replays: Sequence[Replay]
    figures: Sequence[ProcessFigures]
    judges: Sequence[Judges]
    view: View
    payment: Payment
    confirmed: int
    seconds: float


def block_rows(blocks: Sequence[Block], replays: Sequence[Replay]) -> list[list[str]]:
    """Return the cells of the table of blocks."""
    return [
        [
            str(block.height),
            miner_name(block.architecture),
            MINERS[block.architecture].kind,
            f"{block.claim}/{block.samples}",
            f"{replay.measured}/{block.samples}",
            str(block.listed),
            f"{block.commit_seconds:.1f} s",
            f"{block.reveal_seconds:.1f} s",
            block.model_root.hex()[:_ROOT_DIGITS],
            "warm" if replay.warm else "fresh",
            replay.result,
        ]
        for block, replay in zip(blocks, replays, strict=True)
    ]


def _table(title: str) -> Table:
    return Table(title=title, title_justify="left", box=SIMPLE_HEAD, padding=(0, 1, 0, 0), pad_edge=False)


def block_table(blocks: Sequence[Block], replays: Sequence[Replay]) -> Table:
    """Return the table of blocks."""
    table = _table("Blocks won by trained models")
    for name in ("height", "winner", "model"):
        table.add_column(name)
    for name in ("claim", "measured", "candi-\ndates", "commit", "reveal"):
        table.add_column(name, justify="right")
    for name in ("model root", "start", "replay"):
        table.add_column(name)
    for row in block_rows(blocks, replays):
        table.add_row(*row)
    return table


def figure_rows(figures: Sequence[ProcessFigures]) -> list[list[str]]:
    """Return the cells of the table of processes."""
    rows = []
    for found in figures:
        share = "" if found.training_share is None else f"{found.training_share:.0%}"
        times = ""
        if found.median_verdict is not None:
            times = f"{found.median_verdict:.2f} s, {max(found.verdict_seconds):.2f} s"
        rows.append([found.name, f"{found.peak_bytes / _MIB:.0f} MiB", share, times])
    return rows


def figure_table(figures: Sequence[ProcessFigures]) -> Table:
    """Return the table of processes."""
    table = _table("Processes")
    table.add_column("process")
    for name in ("peak memory", "time spent training", "reveal to first verdict: median, longest"):
        table.add_column(name, justify="right")
    for row in figure_rows(figures):
        table.add_row(*row)
    return table


def judge_rows(judges: Sequence[Judges]) -> list[list[str]]:
    """Return the cells of the table of evaluators; a node's name and mode stand in its first row."""
    rows = []
    for found in judges:
        first = [found.node, found.mode, str(found.evaluated)]
        for one in found.evaluators:
            rows.append([*first, one.name, one.device, str(one.verdicts)])
            first = ["", "", ""]
    return rows


def judge_table(judges: Sequence[Judges]) -> Table:
    """Return the table of evaluators."""
    table = _table("Who judged")
    for name in ("node", "judges by"):
        table.add_column(name)
    table.add_column("blocks", justify="right")
    for name in ("evaluator", "device"):
        table.add_column(name)
    table.add_column("verdicts", justify="right")
    for row in judge_rows(judges):
        table.add_row(*row)
    return table


def as_json(result: Result) -> dict[str, Any]:
    """Return the raw numbers; hashes and roots as the interfaces show them."""
    return {
        "seconds": round(result.seconds, 3),
        "tip": {"height": result.view.height, "hash": result.view.tip, "digest": result.view.digest},
        "transaction": {
            "txid": result.payment.txid,
            "coin_height": result.payment.coin_height,
            "confirmed_height": result.confirmed,
        },
        "blocks": [
            _block(block, replay) for block, replay in zip(result.blocks, result.replays, strict=True)
        ],
        "judges": [asdict(found) for found in result.judges],
        "processes": [
            {
                "name": found.name,
                "peak_bytes": found.peak_bytes,
                "training_share": found.training_share,
                "reveal_to_verdict_seconds": [round(seconds, 4) for seconds in found.verdict_seconds],
            }
            for found in result.figures
        ],
    }


def _block(block: Block, replay: Replay) -> dict[str, Any]:
    return {
        "height": block.height,
        "hash": block.hash[::-1].hex(),
        "winner": miner_name(block.architecture),
        "claim": block.claim,
        "measured": replay.measured,
        "samples": block.samples,
        "candidates": [
            {"miner": miner_name(entrant.architecture), "claim": entrant.claim} for entrant in block.entrants
        ],
        "listed": block.listed,
        "skipped": block.skipped,
        "attempts": block.attempts,
        "shard": block.shard,
        "commit_seconds": round(block.commit_seconds, 3),
        "reveal_seconds": round(block.reveal_seconds, 3),
        "model_root": block.model_root.hex(),
        "warm_start": replay.warm,
        "replay": replay.result,
        "replay_seconds": round(replay.seconds, 3),
    }


def write_json(result: Result, path: Path) -> None:
    """Write the raw numbers."""
    path.write_text(json.dumps(as_json(result), indent=1) + "\n", encoding="utf-8")
