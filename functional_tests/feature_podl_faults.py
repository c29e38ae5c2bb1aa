#!/usr/bin/env python3
"""What may befall a node at each step of a height: kill -9, a stop, a full disk, a clock 25 hours off.

Two nodes play the same heights, one of them is the victim. The chain goes on, both have the same schedule,
and nothing is called invalid that is not. `--seconds` makes the stops longer.
"""

import resource
import signal
import time

import podl_framework  # noqa: F401 - sets the import path
import psutil
from podl_framework import p2p
from podl_framework.actors import Miner, Requester, client, judge
from podl_framework.base import PodlTestFramework
from podl_framework.p2p import DATA, PodlPeer
from podl_framework.rounds import Round
from podl_framework.toy import CLASSES, FEATURES, PROGRAMS
from test_framework.util import assert_equal

from podl_tools.chain.data import Kind, upload
from podl_tools.program import parse_program

HOURS_25 = 25 * 3600
# Its weights have 90 kB and its model 360 kB, with room for a file size limit between.
WIDE = parse_program(f"input {FEATURES}, dense 900, dense 90, output {CLASSES}")
ROOM = 300_000
# A file size limit then fails writes, as a full disk does.
IGNORE_SIGXFSZ = 'trap "" XFSZ; exec "$0" "$@"'


class PodlFaultsTest(PodlTestFramework):
    """Requester and miners are scripted, so that each step is taken exactly when it shall be."""

    def set_test_params(self):
        self.num_nodes = 2

    def add_options(self, parser):
        super().add_options(parser)
        parser.add_argument("--seconds", type=float, default=2, help="how long a node is stopped")

    def make_requester(self):
        return Requester(first_height=self.podl_height, programs=(*PROGRAMS, WIDE), n_shards=40)

    def setup_nodes(self):
        self.add_nodes(self.num_nodes, [self.podl_args()] * self.num_nodes)
        for node in self.nodes:
            node.args = ["sh", "-c", IGNORE_SIGXFSZ, *node.args]
        self.start_nodes()

    def run_test(self):
        self.faults = 0
        self.mine_to_podl()
        self.miners = [Miner(self.requester, "first"), Miner(self.requester, "second", architecture=1)]
        for victim in self.nodes:
            self.check_killed(victim)
        for victim in self.nodes:
            self.check_stopped(victim)
        self.check_full_disk()
        self.check_clock(HOURS_25)
        self.check_clock(-HOURS_25)
        self.check_silence_and_clock()
        self.log.info(f"{self.faults} faults injected")

    def steps(self, miners):
        """Yield the name of each step of a height, which is taken when the generator goes on."""
        origin = self.nodes[0]
        current = Round(self.requester, origin, miners)
        for miner in miners:
            yield f"commitment of {miner.name}"
            current.kept.append(miner.commit(origin))
        yield "release"
        prev = bytes.fromhex(origin.getbestblockhash())[::-1]
        listed = [kept.hash for kept in current.kept]
        moment = max(int(time.time()), *(kept.disclosure.header.time for kept in current.kept))
        current.release = self.requester.release(prev, listed, at=moment)
        self.requester.publish(current.release, origin)
        yield "shard"
        self.requester.open_shard(current.release, origin)
        for miner, kept in zip(miners, current.kept, strict=True):
            yield f"reveal of {miner.name}"
            current.reveals.append(miner.reveal(kept, current.release))
            answer = client(origin).submit_reveal(current.reveals[-1].serialize())
            assert answer.status in ("accepted", "duplicate"), answer
            for kind in (Kind.BODY, Kind.WEIGHTS, Kind.MODEL):
                yield f"{kind.value} of {miner.name}"
                miner.upload(origin, kept, kind)
        yield "verdicts"
        for node in self.nodes:
            if node.running:
                judge(node, self.requester)
        yield "final"
        self.requester.publish(self.requester.final(current.best()), origin)
        yield "block"
        origin.syncpodl()

    def state(self, node):
        """Return what both nodes must have in common; verdicts are a node's own."""
        judge(node, self.requester)  # a model is fetched for a candidate that is found good
        node.syncpodl()
        info = node.getpodlinfo()
        held = ("hash", "claims", "body", "weights", "model")
        candidates = [[c[name] for name in held] for c in node.listpodlcandidates()["candidates"]]
        pooled = sorted(c["hash"] for c in node.listpodlcommitments()["commitments"])
        chain = node.getbestblockhash(), info["digest"], info["phase"], info["height"]
        return *chain, pooled, sorted(candidates, key=str)

    def agree(self):
        """Wait until both nodes have the same of everything, and find nothing wrong with either."""
        self.wait_until(lambda: self.state(self.nodes[0]) == self.state(self.nodes[1]))
        for node in self.nodes:
            info = node.getpodlinfo()
            assert_equal((info["state"], info["alarms"]), ("running", []))
            assert_equal({tip["status"] for tip in node.getchaintips()}, {"active"})
            states = {c["state"] for c in node.listpodlcandidates().get("candidates", [])}
            assert not states & {"invalid", "false-claim"}, states

    def revive(self, victim):
        """Start a killed node again."""
        self.start_node(victim.index)
        self.connect_nodes(1, 0)

    def check_killed(self, victim):
        self.log.info(f"kill -9 of node {victim.index} at every step of a height")
        for step in self.steps(self.miners[:1]):
            if not victim.running:  # the step was taken without it
                self.revive(victim)
                self.agree()
            self.log.debug(f"killed before: {step}")
            victim.kill_process()
            self.faults += 1
            if victim is self.nodes[0]:
                self.revive(victim)
                self.agree()
        if not victim.running:
            self.revive(victim)
        self.agree()

    def check_stopped(self, victim):
        self.log.info(
            f"Node {victim.index} is stopped (SIGSTOP) at the release and at the final, and goes on"
        )
        other = self.nodes[1 - victim.index]
        for step in self.steps(self.miners):
            if step in ("shard", "block"):
                victim.process.send_signal(signal.SIGSTOP)
                self.faults += 1
                until = time.monotonic() + self.options.seconds
                self.wait_until(
                    lambda end=until: other.getpodlinfo() and time.monotonic() > end,
                    timeout=60 + self.options.seconds,
                )
                victim.process.send_signal(signal.SIGCONT)
            self.agree()

    def limit(self, node, size):
        """Let no file of a node grow above a size, in bytes."""
        psutil.Process(node.process.pid).rlimit(resource.RLIMIT_FSIZE, (size, resource.RLIM_INFINITY))

    def check_full_disk(self):
        self.log.info("Without room a model is not taken, nor an entry; with room they are")
        node = self.nodes[0]
        wide = Miner(self.requester, "wide", architecture=2, epochs=1)
        current = Round(self.requester, node, [wide]).commit().close()
        reveal = wide.reveal(current.kept[0], current.release)
        assert_equal(client(node).submit_reveal(reveal.serialize()).status, "accepted")
        kept = current.kept[0]
        self.limit(node, ROOM)
        wide.upload(node, kept, Kind.BODY, Kind.WEIGHTS)
        answer = upload(client(node), Kind.MODEL, kept.trained.model_root, kept.trained.model)
        assert_equal((answer.status, answer.reason), ("later", "podl-store-error"))
        self.limit(node, resource.RLIM_INFINITY)
        wide.upload(node, kept, Kind.MODEL)
        self.agree()
        final = self.requester.final(reveal)
        self.requester.append(final)
        self.limit(node, 1)
        answer = client(node).submit_entry(final.serialize())
        assert_equal((answer.status, answer.reason), ("later", "podl-store-error"))
        assert node.getpodlinfo()["digest"] != final.id.hex()
        self.limit(node, resource.RLIM_INFINITY)
        self.faults += 2
        self.log.info("... the entry without being sent again")
        self.wait_until(lambda: node.getpodlinfo()["digest"] == final.id.hex())
        self.agree()
        assert_equal(node.getbestblockhash(), kept.hash_hex)

    def keep_connected(self):
        """Connect the nodes again: Core gives up peers that seem silent when the clock jumps."""
        if not self.nodes[1].getpeerinfo():
            self.connect_nodes(1, 0)
        return True

    def check_clock(self, offset):
        self.log.info(f"A clock {offset // 3600} hours off, and back")
        victim = self.nodes[1]
        victim.setmocktime(int(time.time()) + offset)
        self.faults += 1
        for _ in self.steps(self.miners):
            self.keep_connected()
        finals = self.nodes[0].getpodlinfo()["finals"]
        if offset > 0:
            self.wait_until(lambda: self.keep_connected() and victim.getpodlinfo()["finals"] == finals)
        else:
            assert victim.getpodlinfo()["finals"] < finals, "entries ahead of its clock wait"
        assert_equal(victim.getpodlinfo()["alarms"], [])
        victim.setmocktime(0)
        self.keep_connected()
        self.agree()
        self.log.info("... and a height with the right time")
        for _ in self.steps(self.miners):
            self.agree()
        self.agree()

    def check_silence_and_clock(self):
        self.log.info("A silent peer is given up although the clock has been set back meanwhile")
        origin, victim = self.nodes
        victim.setmocktime(int(time.time()) + HOURS_25)
        self.keep_connected()
        miner = self.miners[0]
        current = Round(self.requester, origin, [miner]).commit().close()
        reveal = miner.reveal(current.kept[0], current.release)
        current.reveals.append(reveal)
        assert_equal(client(origin).submit_reveal(reveal.serialize()).status, "accepted")
        self.wait_until(lambda: self.keep_connected() and self.state(origin) == self.state(victim))
        mute = victim.add_p2p_connection(PodlPeer(self.requester.log.chain_id))
        root = current.kept[0].trained.weights_root
        mute.send_without_ping(p2p.inv((DATA, root)))
        mute.wait_for_request(DATA, root)
        victim.setmocktime(0)
        self.faults += 1
        miner.upload(origin, current.kept[0])
        self.agree()
        current.judge().finish()
        self.agree()
        victim.disconnect_p2ps()


if __name__ == "__main__":
    PodlFaultsTest(__file__).main()
