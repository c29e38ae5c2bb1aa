#!/usr/bin/env python3
"""A pruned node on a PoDL chain.

Bodies of PoDL blocks go with the block files; podl/ keeps what the schedule and the verdicts say, so that the
node restarts, still answers, follows new heights, and can even lose its block index as long as one peer has
the blocks.
"""

import shutil

import podl_framework  # noqa: F401 - sets the import path
from podl_framework.actors import Miner, Requester, client, judge
from podl_framework.base import PodlTestFramework
from podl_framework.rounds import Round, play_height
from test_framework.authproxy import JSONRPCException
from test_framework.util import assert_equal, assert_greater_than, assert_raises_rpc_error
from test_framework.wallet import MiniWallet

# Bitcoin Core keeps this many blocks below the tip whatever is asked for.
KEPT = 288
# Two transactions of this size fill a block file of -fastprune.
BIG_VSIZE = 40_000
BIG_BLOCKS = 4


class PodlPruningTest(PodlTestFramework):
    """Node 0 prunes; node 1 has everything."""

    podl_height = 105

    def set_test_params(self):
        self.num_nodes = 2
        self.extra_args = [["-fastprune", "-prune=1"], ["-fastprune"]]

    def setup_network(self):
        self.setup_nodes()
        self.stop_node(1)

    def make_requester(self):
        return Requester(first_height=self.podl_height, n_shards=BIG_BLOCKS + KEPT + 10)

    def run_test(self):
        self.node, self.full = self.nodes
        self.miners = [Miner(self.requester, "miner", architecture=1, epochs=1)]
        self.make_chain()
        self.copy_to_full_node()
        self.check_pruned()
        self.check_restart()
        self.check_goes_on()
        self.check_fetched_again()
        self.check_lost_store()
        self.check_reindex()

    def play(self):
        play_height(self.requester, self.node, self.miners)

    def make_chain(self):
        self.log.info("Some big PoDL blocks, and so many small ones that the big ones may go")
        wallet = MiniWallet(self.node)
        self.generate(wallet, self.podl_height - 1, sync_fun=self.no_op)
        for _ in range(BIG_BLOCKS):
            wallet.send_self_transfer(from_node=self.node, target_vsize=BIG_VSIZE)
            self.play()
        for _ in range(KEPT + 1):
            self.play()

    def copy_to_full_node(self):
        """Give node 1 the whole chain and schedule."""
        self.stop_node(0)
        for folder in ("blocks", "chainstate", "podl"):
            shutil.rmtree(self.full.chain_path / folder, ignore_errors=True)
            shutil.copytree(self.node.chain_path / folder, self.full.chain_path / folder)
        self.start_node(0)
        self.start_node(1)
        assert_equal(self.full.getbestblockhash(), self.node.getbestblockhash())

    def check_pruned(self):
        self.log.info("Pruned to beyond the first PoDL height")
        height = self.podl_height + BIG_BLOCKS - 1
        pruned = self.node.pruneblockchain(height)
        assert_greater_than(pruned, self.podl_height)
        self.first = self.node.getblockhash(self.podl_height)
        self.check_gone()

    def check_gone(self):
        """The first PoDL block is known without its body, and podl/ answers."""
        assert_raises_rpc_error(-1, "pruned data", self.node.getblock, self.first)
        header = self.node.getblockheader(self.first)
        assert_equal(header, header | {"height": self.podl_height, "nTx": 2})
        assert_equal(len(self.node.getblockheader(self.first, False)), 2 * 112)
        assert_raises_rpc_error(-5, "podl-data-missing", self.node.getpodldata, "body", self.first)
        # A final's model may come after its block is connected.
        self.wait_until(lambda: self.node.getpodlinfo()["waiting"] == [])
        info = self.node.getpodlinfo()
        assert_equal(info["alarms"], [])
        assert_equal(info["digest"], self.requester.log.last_id.hex())
        entries = self.node.getpodlschedule(0, 3, 0)["entries"]
        assert_equal([e["type"] for e in entries], ["task", "release", "final"])
        final = self.requester.log.entries[2].body
        weights = final.disclosure.opening.weights_root.hex()
        assert_greater_than(self.node.getpodldata("weights", weights)["size"], 0)

    def check_restart(self):
        self.log.info("Restarted, stopped and killed")
        info = self.node.getblockchaininfo()
        assert_equal(info["pruned"], True)
        self.restart_node(0)
        self.check_gone()
        self.node.kill_process()
        self.start_node(0)
        self.check_gone()
        assert_equal(self.node.getblockchaininfo()["pruneheight"], info["pruneheight"])

    def check_goes_on(self):
        self.log.info("New heights, on the pruned node and on a peer of it")
        self.connect_nodes(0, 1)
        self.play()
        self.wait_until(lambda: self.level(self.full, self.node))
        Round(self.requester, self.full, self.miners).commit().close().reveal().judge().finish()
        self.wait_until(lambda: self.level(self.node, self.full))
        self.check_gone()

    def level(self, node, other):
        judge(node, self.requester)
        return node.getbestblockhash() == other.getbestblockhash()

    def check_fetched_again(self):
        self.log.info("getblockfrompeer brings a pruned PoDL block back")
        (peer,) = self.node.getpeerinfo()
        self.node.getblockfrompeer(self.first, peer["id"])
        wanted = self.full.getblock(self.first, 0)
        self.wait_until(lambda: self.held(self.first) == wanted)
        assert_equal(self.node.getpodldata("body", self.first)["hex"], wanted)

    def held(self, block):
        """The block's bytes, None if they are pruned."""
        try:
            return self.node.getblock(block, 0)
        except JSONRPCException:
            return None

    def check_lost_store(self):
        self.log.info("A lost podl/ is filled again: what was connected needs neither body nor verdict")
        self.stop_node(0)
        shutil.rmtree(self.node.chain_path / "podl")
        self.start_node(0, [*self.node.extra_args, "-podlresync", "-connect=0"])
        for entry in self.requester.log.entries:
            assert client(self.node).submit_entry(entry.serialize()).status in ("accepted", "duplicate")
        self.node.syncpodl()
        info = self.node.getpodlinfo()
        assert_equal((info["digest"], info["alarms"]), (self.requester.log.last_id.hex(), []))
        assert_equal(self.node.getbestblockhash(), self.full.getbestblockhash())

    def check_reindex(self):
        self.log.info("-reindex of a pruned node fetches every block again, as in Bitcoin Core")
        self.restart_node(0, [*self.node.extra_args, "-reindex"])
        self.connect_nodes(0, 1)
        self.wait_until(lambda: self.level(self.node, self.full))
        assert_equal(self.node.getpodlinfo()["alarms"], [])


if __name__ == "__main__":
    PodlPruningTest(__file__).main()
