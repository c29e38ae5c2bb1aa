"""The real requester, miner and validator programs beside the framework's nodes."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
from test_framework.test_node import TestNode
from test_framework.util import rpc_port

from podl_framework.actors import Requester, client
from podl_framework.base import PodlTestFramework
from podl_framework.toy import PROGRAMS, SHARD_SIZE, make_examples
from podl_tools.chain.follow import ScheduleFollower
from podl_tools.dataset import serialize_examples, split
from podl_tools.examples import Examples
from podl_tools.program import format_program
from podl_tools.schedule import Schedule
from regtest.ports import free_ports
from regtest.process import Process, terminate
from regtest.sidecars import make_sidecar

TRAINING_SIZE = 256


class SidecarTestFramework(PodlTestFramework):
    """Base of tests whose requester is the real program, on a generated data set with the NumPy backend.

    The task is prepared with `podl-requester init`, as a user would. Every node publishes notifications.
    """

    task_options = ("--mincommit=0", "--minreveal=0", "--maxphase=60")
    shard_size = SHARD_SIZE
    n_shards = 4

    def set_test_params(self):
        raise NotImplementedError

    def run_test(self):
        raise NotImplementedError

    def make_requester(self) -> Requester:
        raise AssertionError("the requester of this test is a program")

    def setup_chain(self):
        self.setup_clean_chain = True
        super(PodlTestFramework, self).setup_chain()
        self.sidecars: list[Process] = []
        self.store_port, *self.zmq_ports = free_ports(1 + self.num_nodes)
        self.folder = Path(self.options.tmpdir) / "sidecars"
        self.requester_dir = self.folder / "requester"
        sizes = [TRAINING_SIZE] + [self.shard_size] * self.n_shards
        self.training, *shards = split(make_examples(sum(sizes)), sizes)
        self.shards = shards
        self.task_file = self.init_requester()

    def init_requester(self) -> Path:
        """Run `podl-requester init` and return the task file."""
        self.requester_dir.mkdir(parents=True)
        test = Examples(
            np.concatenate([shard.samples for shard in self.shards]),
            np.concatenate([shard.labels for shard in self.shards]),
        )
        files = []
        for name, examples in (("training", self.training), ("test", test)):
            path = self.folder / f"{name}.npz"
            np.savez(path, samples=examples.samples, labels=examples.labels)
            files.append(f"--{name}={path}")
        command = [
            sys.executable,
            "-m",
            "podl_tools.requester",
            "init",
            f"--datadir={self.requester_dir}",
            *files,
        ]
        command += [f"--program={format_program(program)}" for program in self.programs()]
        command += [
            f"--shards={self.n_shards}",
            f"--shardsize={self.shard_size}",
            f"--firstheight={self.podl_height}",
        ]
        subprocess.run([*command, *self.task_options], check=True, capture_output=True, text=True)
        return self.requester_dir / "task.hex"

    def programs(self):
        """Layer programs of the task."""
        return PROGRAMS

    def podl_args(self, index: int = 0) -> list[str]:
        return [*super().podl_args(), f"-zmqpubpodl={self.zmq(index)}"]

    def setup_nodes(self):
        self.add_nodes(self.num_nodes, [self.podl_args(index) for index in range(self.num_nodes)])
        self.start_nodes()

    def zmq(self, index: int) -> str:
        """Address of a node's PoDL notifications."""
        return f"tcp://127.0.0.1:{self.zmq_ports[index]}"

    def start_sidecar(self, program: str, folder: str, node: TestNode, **settings: object) -> Process:
        """Start a program at a node, without the settings that are None; it is stopped when the test ends."""
        common = {
            "rpcport": rpc_port(node.index),
            "rpccookiefile": node.chain_path / ".cookie",
            "zmqpubpodl": self.zmq(node.index),
            "pollinterval": 1,
            "backend": "numpy",
        }
        given = {name: value for name, value in (common | settings).items() if value is not None}
        process = make_sidecar(program, folder, self.folder / folder, self.folder / f"{folder}.log", given)
        process.start()
        self.sidecars.append(process)
        return process

    def start_requester(self, node: TestNode, commitments: int, **settings: object) -> Process:
        """Start the requester, which closes Phase 1 when so many commitments are there."""
        settings = {"committimeout": 30, "revealtimeout": 30} | settings
        return self.start_sidecar(
            "podl-requester",
            "requester",
            node,
            storeport=self.store_port,
            mincommitments=commitments,
            **settings,
        )

    def start_miner(self, name: str, node: TestNode, **settings: object) -> Process:
        """Start a miner that pays to a script made of its name."""
        script = "0014" + name.encode().hex().rjust(40, "0")
        store = f"http://127.0.0.1:{self.store_port}"
        return self.start_sidecar("podl-miner", name, node, store=store, payoutscript=script, **settings)

    def start_validator(self, name: str, node: TestNode, **settings: object) -> Process:
        """Start a validator."""
        return self.start_sidecar("podl-validator", name, node, name=name, **settings)

    def wait_log(self, process: Process, text: str, timeout: int = 60):
        """Wait for a text in a program's log; fail with its end when the program ends before."""

        def found() -> bool:
            there = process.log.exists() and text in process.log.read_text(encoding="utf-8")
            if not there:
                process.check()
            return there

        self.wait_until(found, timeout=timeout)

    def wait_height(self, height: int, nodes: list[TestNode] | None = None, timeout: int = 120):
        """Wait until nodes have a height; fail when a program ends before."""

        def reached() -> bool:
            for process in self.sidecars:
                process.check()
            return all(node.getblockcount() >= height for node in nodes or self.nodes)

        self.wait_until(reached, timeout=timeout)

    def kill_sidecar(self, process: Process):
        """End a program without warning; it may be started again."""
        process.child.kill()
        process.child.wait()

    def stop_sidecars(self, *processes: Process):
        """Stop the given programs, or all; each must end cleanly."""
        stopped = list(processes or self.sidecars)
        terminate([process.child for process in stopped])
        self.sidecars = [process for process in self.sidecars if process not in stopped]
        bad = {process.name: process.child.returncode for process in stopped if process.child.returncode != 0}
        if bad:
            raise AssertionError(f"programs that did not end with code 0: {bad}")

    def shutdown(self):
        terminate([process.child for process in self.sidecars])
        return super().shutdown()


class Observer:
    """What a scripted miner needs of a requester that is another program: its log, task and data."""

    class _Sealed:
        def __init__(self, task, training: bytes):
            self.task, self.training = task, training

    def __init__(self, node: TestNode, training: Examples) -> None:
        self._node = node
        self._follower = ScheduleFollower(client(node))
        self._training = serialize_examples(training)

    @property
    def log(self) -> Schedule:
        """The node's schedule as of now."""
        self._follower.update()
        return self._follower.schedule

    @property
    def task(self):
        """Body of the first task."""
        return self.log.tasks[0].body

    @property
    def sealed(self):
        """Task and training set."""
        return self._Sealed(self.task, self._training)

    def shard_data(self, release) -> bytes:
        """Bytes of an opened shard, from the node."""
        return bytes.fromhex(self._node.getpodldata("shard", release.body.test_root.hex())["hex"])
