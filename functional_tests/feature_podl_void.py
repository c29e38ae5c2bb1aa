#!/usr/bin/env python3
"""Behind a void final comes the next attempt, on nodes that have the proof, however its news arrive.

A false claim, then the same header with the true one; a release of the height above that was signed before
anyone had measured; a body that Core refuses; a node that syncs later.
"""

import podl_framework  # noqa: F401 - sets the import path
from feature_podl_alarm import greedy
from podl_framework.actors import Miner, client, judge
from podl_framework.base import PodlTestFramework
from podl_framework.rounds import Round, play_height
from test_framework.util import assert_equal


class PodlVoidTest(PodlTestFramework):
    """Node 0 hears of everything first, node 1 of some things in another order, node 2 comes late."""

    def set_test_params(self):
        self.num_nodes = 3

    def setup_network(self):
        self.setup_nodes()

    def run_test(self):
        self.mine_to_podl_apart()
        self.miners = [Miner(self.requester, "first"), Miner(self.requester, "second", architecture=1)]
        for case in (self.false_claim, self.bad_body, self.late_node):
            self.log.info(case.__doc__)
            case()

    def submit(self, node, entry):
        """Submit an entry and return status and reason."""
        answer = client(node).submit_entry(entry.serialize())
        return answer.status, answer.reason

    def judge_until_synced(self):
        """Do node 1's evaluations until it has the tip of node 0."""
        first, second = self.nodes[:2]

        def is_synced():
            judge(second, self.requester)
            return second.getbestblockhash() == first.getbestblockhash()

        self.wait_until(is_synced)

    def false_claim(self):
        """A false claim, with a release behind it already, then the same header with the true claim."""
        first, second = self.nodes[:2]
        current = Round(self.requester, first, self.miners[:1]).commit().close()
        liar = self.miners[0].reveal_all(first, current.kept[0], current.release, claim=64)
        void = self.requester.final(liar)
        self.requester.publish(void, first)
        ahead = self.requester.release(current.kept[0].hash, [bytes(31) + b"\x01"])
        assert_equal(self.submit(first, ahead), ("accepted", ""))
        for entry in (current.release, void, ahead):
            assert_equal(self.submit(second, entry), ("accepted", ""))
        judge(first, self.requester)
        self.requester.log.void_last()
        for _ in range(2):
            info = first.getpodlinfo()
            assert_equal((info["state"], info["phase"], info["height"]), ("void", "commit", self.podl_height))
            assert_equal((info["digest"], info["finals"]), (void.id.hex(), 0))
            assert_equal([alarm["reason"] for alarm in info["alarms"]], ["podl-claim-mismatch"])
            assert_equal(self.submit(first, ahead), ("later", "podl-final-void"))
            assert_equal(first.getblockcount(), self.podl_height - 1)
            self.restart_node(0, self.podl_args())
        prev = bytes.fromhex(first.getbestblockhash())[::-1]
        again = Round(self.requester, first, self.miners[:1], current.kept)
        again.release = self.requester.release(prev, [current.kept[0].hash])
        self.requester.publish(again.release, first)
        self.requester.open_shard(again.release, first)
        again.reveal().judge().finish()
        assert_equal(first.getbestblockhash(), current.kept[0].hash_hex)
        self.log.info("A node without the proof waits for it, then follows")
        assert_equal(self.submit(second, again.release), ("later", "podl-void-unproven"))
        assert_equal(second.getpodlinfo()["digest"], ahead.id.hex())
        self.connect_nodes(0, 1)
        self.wait_until(lambda: second.listpodlcandidates()["jobs"])
        assert_equal(second.getpodlinfo()["alarms"], [])
        self.judge_until_synced()
        assert_equal(second.getpodlinfo()["digest"], self.requester.log.last_id.hex())
        assert_equal([alarm["reason"] for alarm in second.getpodlinfo()["alarms"]], ["podl-claim-mismatch"])

    def bad_body(self):
        """A body that Core refuses, then another header; a final found valid is not withdrawn."""
        first = self.nodes[0]
        current = Round(self.requester, first, self.miners)
        bad, good = self.miners
        current.kept = [bad.commit(first, make=greedy), good.commit(first)]
        current.close().reveal().judge()
        self.requester.publish(self.requester.final(current.reveals[0]), first)
        judge(first, self.requester)
        self.wait_until(lambda: first.getpodlinfo()["state"] == "void")
        assert "bad-cb-amount" in [alarm["reason"] for alarm in first.getpodlinfo()["alarms"]]
        self.requester.log.void_last()
        again = Round(self.requester, first, [good], current.kept[1:]).close().reveal().judge()
        final = self.requester.final(again.reveals[0])
        self.requester.publish(final, first)
        self.wait_until(lambda: first.getbestblockhash() == current.kept[1].hash_hex)
        self.judge_until_synced()
        release = self.requester.release(
            current.kept[1].disclosure.header.prev_block,
            [current.kept[0].hash],
            height=final.body.height,
            attempt=2,
        )
        assert_equal(self.submit(first, release), ("refused", "podl-final-not-void"))
        assert_equal(first.getpodlinfo()["alarms"][-1]["reason"], "podl-final-not-void")
        assert_equal(first.getpodlinfo()["state"], "running")
        play_height(self.requester, first, self.miners)
        self.judge_until_synced()

    def late_node(self):
        """A node that syncs later proves both finals void and comes to the same schedule and tip."""
        late = self.nodes[2]
        self.restart_node(2, [*self.podl_args(), "-podlevaluator=internal"])
        self.connect_nodes(2, 1)
        self.wait_until(lambda: late.getbestblockhash() == self.nodes[0].getbestblockhash())
        info = late.getpodlinfo()
        assert_equal(info["digest"], self.requester.log.last_id.hex())
        reasons = {alarm["reason"] for alarm in info["alarms"]} - {"podl-final-suboptimal"}
        assert_equal(reasons, {"podl-claim-mismatch", "bad-cb-amount"})


if __name__ == "__main__":
    PodlVoidTest(__file__).main()
