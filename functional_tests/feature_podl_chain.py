#!/usr/bin/env python3
"""One height after another on one node: commit, release, reveal, verdict, final, connected block.

Then a coin of an ordinary block is spent in a PoDL block, and a model starts from an earlier winner.
"""

import podl_framework  # noqa: F401 - sets the import path
from podl_framework.actors import Miner, client
from podl_framework.base import PodlTestFramework
from podl_framework.rounds import Round, play_height
from test_framework.util import assert_equal, assert_greater_than
from test_framework.wallet import MiniWallet


class PodlChainTest(PodlTestFramework):
    """The best true claim of each height becomes its block."""

    podl_height = 105

    def set_test_params(self):
        self.num_nodes = 1

    def run_test(self):
        node = self.nodes[0]
        wallet = MiniWallet(node)
        self.generate(wallet, self.podl_height - 1)
        miners = [Miner(self.requester, "first"), Miner(self.requester, "second", architecture=1)]
        self.log.info("Phases, winner and header of two heights")
        first = self.check_height(node, miners)
        self.check_height(node, miners)
        self.log.info("A transaction of an ordinary coin is confirmed in a PoDL block")
        sent = wallet.send_self_transfer(from_node=node)
        play_height(self.requester, node, miners)
        assert sent["txid"] in node.getblock(node.getbestblockhash())["tx"]
        self.log.info("A model trained on from the first height's winner")
        self.check_warm_start(node, first)
        info = node.getpodlinfo()
        assert_equal(info["finals"], 4)
        assert_equal(info["alarms"], [])
        assert_greater_than(int(info["accuracywork"]), 0)

    def check_height(self, node, miners):
        height = node.getblockcount() + 1
        assert_equal(node.getpodlinfo()["phase"], "commit")
        current = Round(self.requester, node, miners).commit().close()
        info = node.getpodlinfo()
        assert_equal((info["phase"], info["height"], info["attempt"]), ("reveal", height, 0))
        best = current.reveal().judge().best()
        states = {c["hash"]: (c["state"], c.get("count")) for c in node.listpodlcandidates()["candidates"]}
        assert_equal(states[best.disclosure.header.hash[::-1].hex()], ("valid", best.claim))
        current.finish()
        header = best.disclosure.header
        assert_equal((node.getblockcount(), node.getbestblockhash()), (height, header.hash[::-1].hex()))
        shown = node.getblockheader(node.getbestblockhash())
        assert_equal(shown["modelhash"], header.model_hash.hex())
        assert_equal(node.getblockheader(node.getbestblockhash(), False), header.serialize().hex())
        assert_equal(client(node).info().digest, self.requester.log.last_id)
        return best

    def check_warm_start(self, node, first):
        parent_root = first.disclosure.opening.model_root
        parent = bytes.fromhex(node.getpodldata("model", parent_root.hex())["hex"])
        architecture = first.disclosure.recipe[1]
        miner = Miner(self.requester, "third", architecture=architecture)
        recipe = miner.recipe(parent=parent_root)
        kept = miner.prepare(node, recipe=recipe, parent=parent)
        assert_equal(client(node).submit_commitment(kept.disclosure.header.serialize()).status, "accepted")
        current = Round(self.requester, node, [miner], [kept]).close().reveal().judge()
        current.finish()
        assert_equal(node.getbestblockhash(), kept.hash_hex)


if __name__ == "__main__":
    PodlChainTest(__file__).main()
