#!/usr/bin/env python3
"""What a requester may not do raises an alarm on every node, and loses nothing.

A final whose body Core refuses, one with a false claim, one that breaks its own rules, two finals for one
slot. Each case plays on a chain of its own.
"""

from dataclasses import replace

import podl_framework  # noqa: F401 - sets the import path
from bitcoin.core import CBlock, CTransaction, CTxOut
from podl_framework.actors import Miner, client, judge
from podl_framework.base import PodlTestFramework
from podl_framework.rounds import Round, play_height
from test_framework.util import assert_equal

from podl_tools.block import make_block
from podl_tools.chain.template import draft_block


def greedy(template, payout):
    """Draft a block whose coinbase takes one satoshi too many."""
    draft = draft_block(template, payout)
    first = draft.vtx[0]
    outputs = [CTxOut(first.vout[0].nValue + 1, first.vout[0].scriptPubKey), *first.vout[1:]]
    vtx = [CTransaction(first.vin, outputs, first.nLockTime, first.nVersion, first.wit), *draft.vtx[1:]]
    return make_block(replace(draft.header, merkle_root=CBlock.build_merkle_tree_from_txs(vtx)[-1]), vtx)


class PodlAlarmTest(PodlTestFramework):
    """Two nodes follow one requester; node 0 gets everything, node 1 what it needs."""

    def set_test_params(self):
        self.num_nodes = 2

    def setup_network(self):
        self.setup_nodes()

    def run_test(self):
        for case in (self.bad_body, self.false_claim, self.nonsense, self.two_finals):
            self.log.info(case.__doc__)
            self.fresh_chain()
            case()

    def fresh_chain(self):
        """Start both nodes on empty data folders with one good PoDL block."""
        self.requester = self.make_requester()
        for node in self.nodes:
            self.stop_node(node.index)
            self.cleanup_folder(node.chain_path)
        self.task_file.write_text(self.requester.task_entry.serialize().hex(), encoding="ascii")
        for node in self.nodes:
            self.start_node(node.index, self.podl_args())
        self.mine_to_podl_apart()
        self.miners = [Miner(self.requester, "first"), Miner(self.requester, "second", architecture=1)]
        play_height(self.requester, self.nodes[0], self.miners)
        self.tip = self.nodes[0].getbestblockhash()

    def entries_to_second(self):
        """Give node 1 the whole schedule, and what it needs to judge the finals."""
        answers = [client(self.nodes[1]).submit_entry(e.serialize()) for e in self.requester.log.entries]
        return answers[-1]

    def check_void(self, node, reason):
        """Find the node on its last good tip, with a reason, taking no other height, also after a restart."""
        for _ in range(2):
            info = node.getpodlinfo()
            assert_equal(info["state"], "void")
            assert reason in [alarm["reason"] for alarm in info["alarms"]] + [
                a["detail"] for a in info["alarms"]
            ]
            assert_equal(node.getbestblockhash(), self.tip)
            self.restart_node(node.index, self.podl_args())
        release = self.requester.release(bytes(31) + b"\x07", [bytes(31) + b"\x01"])
        answer = client(node).submit_entry(release.serialize())
        assert_equal((answer.status, answer.reason), ("later", "podl-final-void"))

    def bad_body(self):
        """A final that names a block which Core refuses."""
        node = self.nodes[0]
        current = Round(self.requester, node, self.miners[:1])
        current.kept = [self.miners[0].commit(node, make=greedy)]
        current.close().reveal().judge()
        self.requester.publish(self.requester.final(current.reveals[0]), node)
        node.syncpodl()
        self.check_void(node, "bad-cb-amount")

    def false_claim(self):
        """A final whose claim is not what the node measures."""
        node = self.nodes[0]
        current = Round(self.requester, node, self.miners).commit().close()
        liar = self.miners[0].reveal_all(node, current.kept[0], current.release, claim=64)
        self.requester.publish(self.requester.final(liar), node)
        judge(node, self.requester)
        self.check_void(node, "podl-claim-mismatch")
        self.log.info("The header itself is not invalid")
        assert_equal(
            {tip["status"] for tip in node.getchaintips()} - {"headers-only", "valid-headers"}, {"active"}
        )

    def nonsense(self):
        """A signed final that breaks its own rules is refused with an alarm; the true one is still taken."""
        node = self.nodes[0]
        current = Round(self.requester, node, self.miners).commit().close().reveal().judge()
        good = self.requester.final(current.best())
        bad = self.requester.sign(replace(good.body, claim=good.body.claim - 1))
        answer = client(node).submit_entry(bad.serialize())
        assert_equal((answer.status, answer.reason), ("refused", "podl-final-invalid"))
        assert "podl-reveal-sig" in answer.detail
        assert_equal([a["reason"] for a in node.getpodlinfo()["alarms"]], ["podl-final-invalid"])
        assert_equal(node.getpodlinfo()["state"], "running")
        self.requester.publish(good, node)
        node.syncpodl()
        assert_equal(node.getblockcount(), self.podl_height + 1)

    def two_finals(self):
        """Two finals in one slot freeze every node that sees both, in either order."""
        node, second = self.nodes
        current = Round(self.requester, node, self.miners).commit().close().reveal().judge()
        finals = [self.requester.final(reveal) for reveal in current.reveals]
        self.entries_to_second()
        orders = {node: finals, second: finals[::-1]}
        for target, order in orders.items():
            assert_equal(client(target).submit_entry(order[0].serialize()).status, "accepted")
            answer = client(target).submit_entry(order[1].serialize())
            assert_equal((answer.status, answer.reason), ("refused", "podl-entry-equivocation"))
            info = target.getpodlinfo()
            assert_equal(info["state"], "frozen")
            alarm = next(a for a in info["alarms"] if a["reason"] == "podl-entry-equivocation")
            assert_equal(set(alarm["ids"]), {final.id.hex() for final in finals})
            self.restart_node(target.index, self.podl_args())
            assert_equal(target.getpodlinfo()["alarms"], info["alarms"])
            assert_equal(
                {tip["status"] for tip in target.getchaintips()} - {"headers-only", "valid-headers"},
                {"active"},
            )


if __name__ == "__main__":
    PodlAlarmTest(__file__).main()
