"""The data folders that every measurement starts from: made once, by the plain build."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, Final

import numpy as np

from dev.bench_node.node import running
from podl_tools.hashing import sha256d
from podl_tools.requester.prepare import TASK_FILE, Ingredients, new_chain
from podl_tools.sealing import TaskOptions

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from dev.bench_node.node import Variant

FAR_HEIGHT: Final = 10_000_000
_MATURE: Final = 101
_OUTPUTS: Final = 20
_BATCH: Final = 500
_REGTEST_BITS: Final = 0x207FFFFF
_LIMIT_TOP_BYTE: Final = 0x7F
_VERSION: Final = 0x20000000
_START: Final = 1_700_000_000


def make_task(directory: Path) -> Path:
    """Seal a small task that never comes into force, so that PoDL is on and no block is a PoDL block."""
    home = directory / "task"
    if not (home / TASK_FILE).is_file():
        random = np.random.default_rng(0)
        for name in ("training", "test"):
            samples = random.integers(0, 100, (128, 8)).astype(np.int8)
            np.savez(directory / f"{name}.npz", samples=samples, labels=(samples[:, 0] % 4).astype(np.uint8))
        files = (directory / "training.npz", directory / "test.npz")
        ingredients = Ingredients(*files, ["input 8, output 4"], 2, 64)
        options = TaskOptions(first_height=FAR_HEIGHT, min_commit=10, min_reveal=10, max_phase=600)
        new_chain(home, ingredients, options, None, _START)
    return home / TASK_FILE


def make_chain(plain: Variant, datadir: Path, blocks: int, tell: Callable[[int], None]) -> None:
    """Mine ordinary blocks, each with two wallet payments of 20 outputs."""
    with running(plain, datadir, "-unsafesqlitesync=1") as node:
        node.wait_for_height(0)
        node.call("createwallet", "payees")
        payees = {node.call("getnewaddress"): 0.0002 for _ in range(_OUTPUTS)}
        node.call("unloadwallet", "payees")  # so that the paying wallet stays small
        node.call("createwallet", "payer")
        payer = f"raw({node.call('getaddressinfo', node.call('getnewaddress'))['scriptPubKey']})"
        node.call("generatetodescriptor", _MATURE, payer)
        for height in range(_MATURE, blocks):
            for _ in range(2):
                node.call("sendmany", "", payees)
            node.call("generatetoaddress", 1, next(iter(payees)))  # one more coin would slow every payment
            tell(height + 1)
        node.call("unloadwallet", "payer")


def headers(parent: bytes, time: int, count: int) -> Iterator[bytes]:
    """Make regtest headers on top of a block; the nonce meets regtest's target of two tries on average."""
    for at in range(count):
        body = struct.pack("<i32s32sII", _VERSION, parent, bytes(32), time + at + 1, _REGTEST_BITS)
        nonce = 0
        while (parent := sha256d(body + struct.pack("<I", nonce)))[31] > _LIMIT_TOP_BYTE:
            nonce += 1
        yield body + struct.pack("<I", nonce)


def make_headers(plain: Variant, datadir: Path, count: int, tell: Callable[[int], None]) -> None:
    """Fill a block index with headers that have no blocks."""
    with running(plain, datadir) as node:
        node.wait_for_height(0)
        first = node.call("getblockheader", node.call("getblockhash", 0))
        parent = bytes.fromhex(first["hash"])[::-1]
        calls: list[tuple[str, list[object]]] = []
        for at, header in enumerate(headers(parent, first["time"], count), 1):
            calls.append(("submitheader", [header.hex()]))
            if len(calls) == _BATCH or at == count:
                node.batch(calls)
                calls.clear()
                tell(at)
