#!/usr/bin/env python3
"""A node in the middle of a long evaluation of its own answers, connects blocks and relays them.

The evaluation would go on for hours, so that nothing here can have waited for its end: under a lock that
RPCs, validation or peers need, none of it would happen.
"""

import time

import podl_framework  # noqa: F401 - sets the import path
from podl_framework import endless
from podl_framework.actors import Miner, client, evaluate
from podl_framework.base import PodlTestFramework
from podl_framework.p2p import PodlPeer
from podl_framework.rounds import Round
from test_framework.util import assert_equal

from podl_tools.chain.verdict import Verdict, verdict_key

CALLS = 100
HIGHEST = 64  # claim of the candidate that is measured first


class PodlEvaluatorBusyTest(PodlTestFramework):
    """Node 0 measures by itself what nobody else does; node 1 hears of all through it."""

    def set_test_params(self):
        self.num_nodes = 2
        self.extra_args = [["-podlevaluator=auto", "-podlevaluatorthreads=1"], []]

    def make_requester(self):
        return endless.make_requester(self.podl_height)

    def run_test(self):
        self.node, self.other = self.nodes
        self.mine_to_podl()
        self.peer = self.node.add_p2p_connection(PodlPeer(self.requester.log.chain_id))
        self.slow = Miner(self.requester, "slow", epochs=1)
        self.fast = Miner(self.requester, "fast", architecture=1, epochs=1)
        self.current = Round(self.requester, self.node, [self.slow, self.fast])
        self.current.kept = [
            miner.commit(self.node, recipe=miner.recipe(b=1), trained=endless.untrained(miner.program))
            for miner in self.current.miners
        ]
        self.current.close()
        self.check_answers("idle")
        begins = b"own evaluation for height 5 begins"
        with self.node.busy_wait_for_debug_log([begins]):
            self.slow.reveal_all(self.node, self.current.kept[0], self.current.release, claim=HIGHEST)
        self.check_answers("evaluating")
        self.check_block()
        self.check_answers("evaluating")
        self.check_still_busy()

    def check_answers(self, state):
        """Ask for what needs the manager's lock, for what needs Core's, and a peer's ping."""
        calls = {
            "getpodlinfo": self.node.getpodlinfo,
            "getpodlschedule": self.node.getpodlschedule,
            "getblockchaininfo": self.node.getblockchaininfo,
            "ping": self.peer.sync_with_ping,
        }
        for name, call in calls.items():
            worst = 0.0
            for _ in range(CALLS):
                begin = time.monotonic()
                call()
                worst = max(worst, time.monotonic() - begin)
            self.log.info(f"{state}: {CALLS} times {name}, the slowest in {1000 * worst:.0f} ms")

    def check_block(self):
        self.log.info("Another candidate is revealed, judged over RPC and named; its block goes round")
        kept, release = self.current.kept[1], self.current.release
        reveal = self.fast.reveal_all(self.node, kept, release)
        self.submit_verdict(self.node)
        states = {c["hash"]: c["state"] for c in self.node.listpodlcandidates()["candidates"]}
        assert_equal(states, {self.current.kept[0].hash_hex: "waiting-verdict", kept.hash_hex: "valid"})
        self.requester.publish(self.requester.final(reveal), self.node)
        self.wait_until(lambda: self.node.getbestblockhash() == kept.hash_hex)
        digest = self.requester.log.last_id.hex()
        self.wait_until(lambda: self.other.getpodlinfo()["digest"] == digest)
        self.submit_verdict(self.other)
        self.wait_until(lambda: self.other.getbestblockhash() == kept.hash_hex)

    def submit_verdict(self, node):
        """Tell a node the true count of the tiny network."""
        trained, release = self.current.kept[1].trained, self.current.release
        found = evaluate(self.requester, trained.weights, endless.TINY, release)
        key = verdict_key(1, endless.TINY.serialize(), trained.weights_root, release.body.test_root)
        answer = client(node).submit_verdict(
            Verdict(key, found.count, found.rank_sum, "NumPy on CPU", "scripted")
        )
        assert_equal(answer.status, "accepted")

    def check_still_busy(self):
        self.log.info("The evaluation has not ended meanwhile")
        assert b"own evaluation for height 5 ends" not in self.node.debug_log_path.read_bytes()
        own = {e["name"]: e["verdicts"] for e in self.node.getpodlinfo()["evaluators"]}
        assert_equal(own, {"internal": 0, "scripted": 1})


if __name__ == "__main__":
    PodlEvaluatorBusyTest(__file__).main()
