"""The whole network: which processes there are, where they listen, how they are started and stopped."""

from __future__ import annotations

import secrets
import time
from functools import cached_property
from typing import TYPE_CHECKING, Any, Final

from podl_tools.chain.node import Node
from podl_tools.chain.rpc import HttpTransport, Login
from regtest.bitcoind import NodeConfig, make_node
from regtest.errors import DeadlineError
from regtest.plan import EVALUATORS, MINERS, NODES, PODL_HEIGHT, VALIDATOR_BACKENDS
from regtest.ports import free_ports
from regtest.process import Process, stop_processes
from regtest.record import Running, write_record
from regtest.sidecars import make_sidecar, miner_settings, requester_settings, validator_settings

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from pathlib import Path

_RPC_SECONDS: Final = 60
_LOOK_SECONDS: Final = 0.1
_DEADLINE_SECONDS: Final = 180
_PORTS_PER_NODE: Final = 3


class Network:
    """Nodes, validators, miners and requester of one demonstration.

    Parameters
    ----------
    directory : Path
        Everything lies below it; it exists.
    binaries : Path
        Folder with bitcoind and bitcoin-cli.
    task_file : Path
        Signed first task.
    """

    def __init__(self, directory: Path, binaries: Path, task_file: Path) -> None:
        self.directory = directory
        *ports, self._store_port = free_ports(_PORTS_PER_NODE * NODES + 1)
        self.configs = make_configs(directory, binaries, task_file, ports)
        self.logs = directory / "logs"
        self.logs.mkdir()
        self.nodes = [make_node(config, self._log(config.name)) for config in self.configs]
        self.requester = self._sidecar(
            "podl-requester", "requester", requester_settings(self.configs[0], self._store_port)
        )
        self.validators = [
            self._sidecar(
                "podl-validator", f"validator{at}", validator_settings(at, self.configs[at], self.store)
            )
            for at in VALIDATOR_BACKENDS
        ]
        self.miners: list[Process] = []

    def _log(self, name: str) -> Path:
        return self.logs / f"{name}.log"

    def _sidecar(self, program: str, name: str, settings: dict[str, object]) -> Process:
        return make_sidecar(program, name, self.directory / name, self._log(name), settings)

    def add_miners(self, addresses: Iterable[str]) -> None:
        """Prepare one miner per node, each paid to its address."""
        self.miners = [
            self._sidecar("podl-miner", f"miner-{plan.name}", miner_settings(at, config, self.store, address))
            for at, (plan, config, address) in enumerate(zip(MINERS, self.configs, addresses, strict=True))
        ]

    @property
    def store(self) -> str:
        """Address of the requester's HTTP store."""
        return f"http://127.0.0.1:{self._store_port}"

    @property
    def processes(self) -> list[Process]:
        """Every process, nodes last."""
        return [*self.miners, *self.validators, self.requester, *self.nodes]

    @cached_property
    def _transports(self) -> list[HttpTransport]:
        return [
            HttpTransport(f"http://127.0.0.1:{config.rpc_port}/", Login(config.cookie), _RPC_SECONDS)
            for config in self.configs
        ]

    def rpc(self, index: int, method: str, *params: object) -> Any:
        """Call an RPC of a node."""
        return self._transports[index].call(method, *params)

    def node(self, index: int) -> Node:
        """Return the typed client of a node."""
        return Node(self._transports[index])

    def start(self, processes: Iterable[Process]) -> None:
        """Start processes and note them, so that `python -m regtest stop` finds them."""
        for process in processes:
            process.start()
            self._write_record()

    def _write_record(self) -> None:
        running = [
            Running(process.name, process.child.pid, process.child.create_time(), process in self.nodes)
            for process in self.processes
            if process.child is not None
        ]
        write_record(self.directory, running)

    def check(self) -> None:
        """Raise ProcessDiedError if a process has ended by itself; take a look at everybody's memory."""
        for process in self.processes:
            process.check()
            process.sample_memory()

    def wait_until(self, what: str, condition: Callable[[], bool]) -> None:
        """Wait for a condition, and watch the processes meanwhile.

        Raises
        ------
        DeadlineError
            It did not come true in time; the message names ``what``.
        """
        deadline = time.monotonic() + _DEADLINE_SECONDS
        while True:
            self.check()
            if condition():
                return
            if time.monotonic() > deadline:
                raise DeadlineError(f"waited {_DEADLINE_SECONDS} s in vain: {what} (logs in {self.logs})")
            time.sleep(_LOOK_SECONDS)

    def stop(self) -> None:
        """Stop everything: miners, validators and requester first, then the nodes."""
        stop_processes([*self.miners, *self.validators, self.requester])
        stop_processes(self.nodes)
        self._write_record()


def make_configs(directory: Path, binaries: Path, task_file: Path, ports: list[int]) -> list[NodeConfig]:
    """Describe the nodes; each one connects to all before it."""
    p2p_ports, rpc_ports, zmq_ports = (ports[at::_PORTS_PER_NODE] for at in range(_PORTS_PER_NODE))
    return [
        NodeConfig(
            name=f"node{at}",
            datadir=directory / f"node{at}",
            binaries=binaries,
            p2p_port=p2p_ports[at],
            rpc_port=rpc_ports[at],
            zmq_port=zmq_ports[at],
            podl_height=PODL_HEIGHT,
            task_file=task_file,
            evaluator=EVALUATORS[at],
            peers=tuple(p2p_ports[:at]),
            validator_password=secrets.token_hex(16),
        )
        for at in range(NODES)
    ]
