"""
Compare the node's speed and memory: plain upstream, patched with PoDL off, patched with PoDL on.

Run from the project's root after `make upstream-test` has built both: `python -m dev.bench_node`. Every round
measures all three in turn on copies of the same data folders, so that whatever slows the machine slows all.
PoDL is on with a task that never comes into force: the same blocks, with every hook active.
"""

from __future__ import annotations

import json
import shutil
import statistics
import time
from collections import defaultdict
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click
from rich.console import Console
from rich.progress import Progress, TaskID
from rich.table import Table

from dev.bench_node.node import RunningNode, Variant, running
from dev.bench_node.prepare import FAR_HEIGHT, make_chain, make_headers, make_task

if TYPE_CHECKING:
    from collections.abc import Callable

_BUILD: Final = Path(__file__).resolve().parents[2] / "build"
_MIB: Final = 1 << 20
_HEADER_CALLS: Final = 2000
_TEMPLATE_CALLS: Final = 2000
_UNITS: Final = {
    "start-up": "s",
    "connect (-reindex-chainstate)": "s",
    "reindex (-reindex)": "s",
    "getblockheader": "us",
    "getblocktemplate": "us",
    "memory after start": "MiB",
    "memory per index entry": "bytes",
}

Figures = dict[str, dict[str, list[float]]]


def measure_start(variant: Variant, datadir: Path, height: int) -> dict[str, float]:
    """Start on a chain; ask many times in one batch, so that the client's share is small."""
    begin = time.perf_counter()
    with running(variant, datadir) as node:
        node.wait_for_height(height)
        found = {"start-up": time.perf_counter() - begin, "memory after start": node.memory() / _MIB}
        tip = node.call("getbestblockhash")
        found["getblockheader"] = per_call(node, "getblockheader", [tip], _HEADER_CALLS)
        found["getblocktemplate"] = per_call(
            node, "getblocktemplate", [{"rules": ["segwit"]}], _TEMPLATE_CALLS
        )
    return found


def per_call(node: RunningNode, method: str, params: list[object], count: int) -> float:
    """Microseconds per call, after one batch to warm up."""
    node.batch([(method, params)] * count)
    return node.batch([(method, params)] * count) / count * 1e6


def measure_rebuild(variant: Variant, datadir: Path, height: int, option: str) -> float:
    """Seconds from the start of the process until the chain is connected again."""
    begin = time.perf_counter()
    with running(variant, datadir, option, "-checkblocks=1") as node:
        node.wait_for_height(height)
        return time.perf_counter() - begin


def measure_index(variant: Variant, empty: Path, filled: Path, count: int) -> float:
    """Bytes that each entry of the block index adds to a freshly started node."""
    sizes = []
    for datadir in (empty, filled):
        with running(variant, datadir) as node:
            node.wait_for_height(0)
            sizes.append(node.memory())
    return (sizes[1] - sizes[0]) / count


def measure(
    variant: Variant, templates: dict[str, Path], scratch: Path, blocks: int, count: int
) -> dict[str, float]:
    """Run all measurements of one variant on fresh copies."""
    shutil.rmtree(scratch, ignore_errors=True)
    copies = {name: shutil.copytree(path, scratch / name) for name, path in templates.items()}
    found = measure_start(variant, copies["chain"], blocks)
    for name in ("connect (-reindex-chainstate)", "reindex (-reindex)"):
        option = name.partition("(")[2].rstrip(")")
        found[name] = measure_rebuild(variant, copies["chain"], blocks, option)
    found["memory per index entry"] = measure_index(variant, copies["empty"], copies["headers"], count)
    shutil.rmtree(scratch)
    return found


def prepare(plain: Variant, home: Path, blocks: int, count: int, progress: Progress) -> dict[str, Path]:
    """Make the data folders that are not there yet."""
    makers: dict[str, tuple[int, Callable[[Path, Callable[[int], None]], None]]] = {
        f"chain-{blocks}": (blocks, lambda path, tell: make_chain(plain, path, blocks, tell)),
        f"headers-{count}": (count, lambda path, tell: make_headers(plain, path, count, tell)),
        "headers-0": (0, lambda path, tell: make_headers(plain, path, 0, tell)),
    }
    for name, (total, maker) in makers.items():
        if (home / name).is_dir():
            continue
        partial = home / f"{name}.partial"
        shutil.rmtree(partial, ignore_errors=True)
        partial.mkdir(parents=True)
        bar = progress.add_task(f"preparing {name}", total=total)
        maker(partial, mover(progress, bar))
        partial.rename(home / name)
    return {
        "chain": home / f"chain-{blocks}",
        "headers": home / f"headers-{count}",
        "empty": home / "headers-0",
    }


def mover(progress: Progress, bar: TaskID) -> Callable[[int], None]:
    """Return what moves a bar."""
    return lambda done: progress.update(bar, completed=done)


def show(figures: Figures, names: list[str]) -> Table:
    """Medians, and their ratio to the plain build's."""
    table = Table(title="Median of all rounds, and ratio to plain")
    for title in ("", *names):
        table.add_column(title, justify="right" if title else "left")
    for what, by_name in figures.items():
        plain = statistics.median(by_name[names[0]])
        cells = [
            f"{statistics.median(by_name[name]):.4g} ({statistics.median(by_name[name]) / plain:.3f})"
            for name in names
        ]
        table.add_row(f"{what}, {_UNITS[what]}", *cells)
    return table


@click.command(help=__doc__)
@click.option(
    "--blocks", type=click.IntRange(200), default=5000, show_default=True, help="Blocks of the chain."
)
@click.option(
    "--headers",
    type=click.IntRange(1000),
    default=300_000,
    show_default=True,
    help="Entries of the large block index.",
)
@click.option("--rounds", type=click.IntRange(1), default=5, show_default=True, help="Measurements of each.")
@click.option(
    "--out",
    type=click.Path(path_type=Path),
    default=_BUILD / "bench-node.json",
    show_default="build/bench-node.json",
    help="Raw numbers.",
)
def main(blocks: int, headers: int, rounds: int, out: Path) -> None:
    """Prepare, measure, print a table."""
    home = _BUILD / "bench-node"
    home.mkdir(parents=True, exist_ok=True)
    task = make_task(home)
    patched = _BUILD / "bitcoin-build" / "bin" / "bitcoind"
    variants = [
        Variant("plain", _BUILD / "upstream-build" / "bin" / "bitcoind"),
        Variant("PoDL off", patched),
        Variant("PoDL on", patched, (f"-podlheight={FAR_HEIGHT}", f"-podltask={task}")),
    ]
    figures: Any = defaultdict(lambda: defaultdict(list))
    console = Console()
    with Progress(console=console) as progress:
        templates = prepare(variants[0], home, blocks, headers, progress)
        bar = progress.add_task("measuring", total=rounds * len(variants))
        for at in range(rounds):
            for variant in variants[at % 3 :] + variants[: at % 3]:
                for what, value in measure(variant, templates, home / "scratch", blocks, headers).items():
                    figures[what][variant.name].append(value)
                progress.advance(bar)
    console.print(show(figures, [variant.name for variant in variants]))
    out.write_text(json.dumps({"blocks": blocks, "headers": headers, "figures": figures}, indent=1) + "\n")
    console.print(f"numbers: {out}")


if __name__ == "__main__":
    main()
