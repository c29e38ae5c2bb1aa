#!/usr/bin/env python3
"""The real requester, miner and validator stopped exactly at each step of a height, and killed.

A program stops (SIGSTOP) where `podl_framework.stopping` is told to, just before, within or just after a file
is written or the node is called; then it, or its node, is killed, or it is left standing, and the height goes
on. `--all` takes every step, otherwise every fifth one and those around a signature; `--seconds` makes the
pauses longer.
"""

import os
import re
import resource
import signal
import sys
import time
from pathlib import Path

import podl_framework  # noqa: F401 - sets the import path
import psutil
from podl_framework.sidecars import SidecarTestFramework
from podl_framework.toy import CLASSES, FEATURES, PROGRAMS
from test_framework.util import assert_equal

from podl_tools.program import parse_program

STOPPING = Path(__file__).resolve().parent / "podl_framework" / "stopping.py"
# Its model has 360 kB: a limit between that and the size of every log stands for a full disk.
WIDE = parse_program(f"input {FEATURES}, dense 900, dense 90, output {CLASSES}")
ROOM = 200_000


def files(*names: str) -> list[str]:
    return [f"{when} {name}" for name in names for when in ("before", "within", "after")]


def calls(*names: str) -> list[str]:
    return [f"{when} {name}" for name in names for when in ("before", "after")]


REQUESTER = [
    *files("signed release"),
    *calls("submitpodlentry release", "submitpodldata shard"),
    *calls("submitpodlverdict", "getpodldata body"),
    *files("checked.json", "signed final"),
    *calls("submitpodlentry final"),
]
MINER = [
    *files("model", "weights", "checkpoints", "job.json", "block"),
    *calls("submitpodlcommitment", "submitpodlreveal"),
    *calls("submitpodldata body", "submitpodldata weights", "submitpodldata model"),
]
VALIDATOR = calls("getpodldata weights", "getpodldata shard", "submitpodlverdict")
ALWAYS = {
    "after signed release",
    "after submitpodlentry release",
    "after signed final",
    "after submitpodlentry final",
}


class PodlToolFaultsTest(SidecarTestFramework):
    """One miner, one requester, two nodes: whoever stands still, the chain does."""

    n_shards = 150

    def set_test_params(self):
        self.num_nodes = 2

    def add_options(self, parser):
        super().add_options(parser)
        parser.add_argument("--all", action="store_true", help="take every step")
        parser.add_argument("--seconds", type=float, default=2, help="how long a program is paused")

    def setup_chain(self):
        self.n_shards += int(5 * self.options.seconds)  # the others play on while one stands still
        super().setup_chain()

    def programs(self):
        return (*PROGRAMS, WIDE)

    def run_test(self):
        self.faults = 0
        self.signed = {}
        first, second = self.nodes
        self.mine_to_podl()
        requester = self.start_requester(first, commitments=1, revealtimeout=600)
        validator = self.start_validator("validator", second)
        miner = self.start_miner("miner", first, architecture=0, epochs=2)
        self.next_block()
        roles = ((requester, REQUESTER, first), (miner, MINER, first), (validator, VALIDATOR, second))
        for program, steps, _ in roles:
            self.log.info(f"kill -9 of the {program.name} at each of its steps")
            self.at_steps(program, self.chosen(steps), self.kill)
        for program, steps, node in roles:
            self.log.info(f"kill -9 of its node at each call of the {program.name}")
            called = [step for step in steps if any(word in step for word in (" submit", " getpodl"))]
            self.at_steps(program, self.chosen(called), lambda p, n=node: self.kill_node(p, n))
        for program, steps, _ in roles:
            self.log.info(f"The {program.name} stands still for {self.options.seconds} s")
            self.at_steps(program, steps[-1:], self.pause)
        self.check_lost_notifications(second)
        self.check_out_of_memory(validator)
        self.check_full_disk(miner)
        self.log.info(f"{self.faults} faults injected")
        self.stop_sidecars()

    def chosen(self, steps):
        return [s for i, s in enumerate(steps) if self.options.all or i % 5 == 0 or s in ALWAYS]

    def next_block(self):
        """Wait for one block more on both nodes, and find nothing wrong."""
        self.wait_height(max(node.getblockcount() for node in self.nodes) + 1)
        infos = [node.getpodlinfo() for node in self.nodes]
        for info in infos:
            assert_equal((info["state"], info["alarms"]), ("running", []))
        for node in self.nodes:
            assert not {tip["status"] for tip in node.getchaintips()} & {"invalid"}
            states = {c["state"] for c in node.listpodlcandidates().get("candidates", [])}
            assert not states & {"invalid", "false-claim"}, states
        entries = [node.getpodlschedule(0, 1000, 0)["entries"] for node in self.nodes]
        assert all(a["id"] == b["id"] for a, b in zip(*entries, strict=False)), "the schedules differ"
        self.check_signed()

    def check_signed(self):
        """What was signed for a slot stays what is signed for it, whether a node has seen it or not."""
        folder = self.requester_dir / "entries"
        now = {path.name: path.read_bytes() for path in folder.iterdir() if not path.name.startswith(".")}
        changed = [slot for slot, data in self.signed.items() if now.get(slot) != data]
        assert not changed, f"signed twice: {changed}"
        self.signed = now

    def at_steps(self, program, steps, act):
        """Stop a program at each of the steps, in whatever order it takes them, and act."""
        mark = self.folder / f"{program.name}.{self.faults}.steps"
        plain = program.command
        at = plain.index("-m")
        program.command = [
            sys.executable, str(STOPPING), str(mark), ",".join(steps), *plain[at + 1 :]
        ]  # fmt: skip
        self.kill_sidecar(program)
        program.start()
        for count in range(1, len(steps) + 1):
            self.wait_until(lambda n=count: self.stopped_at(program, mark, n), timeout=120)
            self.log.debug(f"{program.name} stopped {mark.read_text(encoding='utf-8').splitlines()[-1]}")
            self.faults += 1
            self.check_signed()
            act(program)
        assert_equal(sorted(mark.read_text(encoding="utf-8").splitlines()), sorted(steps))
        program.command = plain
        self.next_block()

    def stopped_at(self, program, mark, count):
        """Whether a program stands at its next step; none of them may have ended by itself."""
        for process in self.sidecars:
            process.check()
        reached = mark.read_text(encoding="utf-8").splitlines() if mark.exists() else []
        return len(reached) == count and program.child.status() == psutil.STATUS_STOPPED

    def kill(self, program):
        self.kill_sidecar(program)
        program.start()

    def retire(self, program):
        self.kill_sidecar(program)
        self.sidecars.remove(program)

    def kill_node(self, program, node):
        node.kill_process()
        program.child.send_signal(signal.SIGCONT)
        self.start_node(node.index, self.podl_args(node.index))
        self.connect_nodes(1, 0)

    def pause(self, program):
        until = time.monotonic() + self.options.seconds
        self.wait_until(lambda: time.monotonic() > until, timeout=60 + self.options.seconds)
        program.child.send_signal(signal.SIGCONT)

    def check_lost_notifications(self, node):
        self.log.info("Notifications end, and come back: the programs ask the node anyway")
        without = [arg for arg in self.podl_args(node.index) if not arg.startswith("-zmqpubpodl")]
        for arguments in (without, self.podl_args(node.index)):
            self.restart_node(node.index, arguments)
            self.connect_nodes(1, 0)
            self.faults += 1
            self.next_block()

    def check_out_of_memory(self, validator):
        self.log.info("A validator without memory knows nothing, and calls nothing invalid")
        first, second = self.nodes
        vms = psutil.Process(validator.child.pid).memory_info().vms
        validator.child.rlimit(resource.RLIMIT_AS, (vms, resource.RLIM_INFINITY))
        self.faults += 1
        wide = self.start_miner("wide", first, architecture=2, epochs=1)
        self.wait_log(validator, "out of memory")
        assert_equal(second.getpodlinfo()["alarms"], [])
        validator.child.rlimit(resource.RLIMIT_AS, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
        self.next_block()
        self.wide = wide

    def check_full_disk(self, miner):
        self.log.info("Without room a program names the file and ends; started again it goes on")
        # Not with a commitment under way, for whose reveal the requester would wait.
        self.at_steps(miner, ["before submitpodlcommitment"], self.retire)
        for program in (self.wide, self.sidecars[0]):
            os.truncate(program.log, 0)  # after long pauses it is larger than that itself
            program.child.rlimit(resource.RLIMIT_FSIZE, (ROOM, resource.RLIM_INFINITY))
            self.faults += 1
            self.wait_until(lambda p=program: p.child.poll() is not None, timeout=120)
            assert_equal(program.child.returncode, 1)
            assert re.search("Error: .*File too large", program.tail()), program.tail()
            program.start()
            self.next_block()


if __name__ == "__main__":
    PodlToolFaultsTest(__file__).main()
