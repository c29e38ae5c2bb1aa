"""One bitcoind under measurement: started on a copy of a prepared data folder, asked by RPC, stopped."""

from __future__ import annotations

import time
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import requests

from podl_tools.chain.rpc import HttpTransport, Login
from podl_tools.tool_errors import NodeUnreachableError, NodeWarmupError
from regtest.ports import free_ports
from regtest.process import Process, stop_processes

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

_LOOK_SECONDS: Final = 0.005
_RPC_SECONDS: Final = 600.0


@dataclass(frozen=True)
class Variant:
    """
    A build with its options.

    Parameters
    ----------
    name
        As shown.
    bitcoind
        The program.
    options
        Added to every start.

    """

    name: str
    bitcoind: Path
    options: tuple[str, ...] = ()


class RunningNode:
    """A started node."""

    def __init__(self, process: Process, port: int, cookie: Path) -> None:
        self.process = process
        self._url = f"http://127.0.0.1:{port}/"
        self._login = Login(cookie)
        self._transport = HttpTransport(self._url, self._login, _RPC_SECONDS)

    def call(self, method: str, *params: object) -> Any:
        """Call an RPC."""
        return self._transport.call(method, *params)

    def batch(self, calls: Sequence[tuple[str, list[object]]]) -> float:
        """Send calls as one JSON-RPC batch and return the seconds until the whole answer is here."""
        body = [
            {"jsonrpc": "1.0", "id": at, "method": method, "params": params}
            for at, (method, params) in enumerate(calls)
        ]
        begin = time.perf_counter()
        answer = requests.post(self._url, json=body, auth=self._login.credentials(), timeout=_RPC_SECONDS)
        seconds = time.perf_counter() - begin
        errors = [item["error"] for item in answer.json() if item["error"] is not None]
        if errors:
            raise RuntimeError(f"{calls[0][0]}: {errors[0]}")
        return seconds

    def wait_for_height(self, height: int) -> None:
        """Wait until the active chain has this height."""
        while self.blocks() < height:
            self.process.check()
            time.sleep(_LOOK_SECONDS)

    def blocks(self) -> int:
        """Height of the active chain; -1 before the node answers."""
        try:
            return int(self.call("getblockcount"))
        except (NodeUnreachableError, NodeWarmupError):
            return -1

    def memory(self) -> int:
        """Resident memory in bytes."""
        assert self.process.child is not None  # noqa: S101  (a started process has a child)
        return int(self.process.child.memory_info().rss)


@contextmanager
def running(variant: Variant, datadir: Path, *options: str) -> Iterator[RunningNode]:
    """Start a node on a data folder without network, and stop it at the end of the block."""
    (port,) = free_ports(1)
    command = [
        str(variant.bitcoind),
        f"-datadir={datadir}",
        "-regtest",
        f"-rpcport={port}",
        "-server",
        "-listen=0",
        "-connect=0",
        "-fallbackfee=0.0001",
        "-printtoconsole=0",
        "-rpcworkqueue=64",
        "-checkblockindex=0",  # regtest's default walks the whole index at every step, other chains' does not
        *variant.options,
        *options,
    ]
    process = Process(variant.name, command, datadir / "output.log")
    process.start()
    try:
        yield RunningNode(process, port, datadir / "regtest" / ".cookie")
    finally:
        stop_processes([process])
