#!/usr/bin/env python3
"""A snapshot of the coins (assumeutxo) below the first PoDL height.

Bitcoin Core loads only snapshots whose hash is compiled in; regtest has one for its own tests, at height 299
of a chain that anyone can make again. A node that starts from it follows the PoDL heights above, checks the
blocks below, and is left with one chain state.
"""

import podl_framework  # noqa: F401 - sets the import path
from podl_framework.actors import Miner, judge
from podl_framework.base import PodlTestFramework
from podl_framework.rounds import play_height
from test_framework.address import create_deterministic_address_bcrt1_p2tr_op_true
from test_framework.test_node import TestNode
from test_framework.util import assert_equal
from test_framework.wallet import MiniWallet

CACHED = 199
BASE = 299
BASE_HASH = "7cc695046fec709f8c9394b6f928f81e81fd3ac20977bb68760fa1faa7916ea2"


class PodlAssumeutxoTest(PodlTestFramework):
    """Node 0 has the chain, node 1 starts from its snapshot."""

    podl_height = 305

    def set_test_params(self):
        self.num_nodes = 2

    def setup_network(self):
        self.setup_nodes()

    def run_test(self):
        self.source, self.node = self.nodes
        self.make_base()
        snapshot = self.source.dumptxoutset("snapshot.dat", "latest")
        assert_equal((snapshot["base_height"], snapshot["base_hash"]), (BASE, BASE_HASH))
        headers = [self.source.getblockheader(self.source.getblockhash(h), False) for h in range(1, BASE + 1)]
        self.source.setmocktime(0)
        self.generate(self.source, self.podl_height - 1 - BASE, sync_fun=self.no_op)
        for _ in range(2):
            play_height(self.requester, self.source, [Miner(self.requester, "miner")])
        self.log.info("Loaded at height 299")
        for header in headers:
            self.node.submitheader(header)
        assert_equal(self.node.loadtxoutset(snapshot["path"])["base_height"], BASE)
        assert_equal(self.node.getblockcount(), BASE)
        assert_equal(len(self.node.getchainstates()["chainstates"]), 2)
        self.restart_node(1)
        assert_equal(len(self.node.getchainstates()["chainstates"]), 2)
        self.log.info("Two PoDL heights on top, and all blocks below")
        self.connect_nodes(1, 0)
        self.wait_until(self.level)
        self.wait_until(lambda: len(self.node.getchainstates()["chainstates"]) == 1)
        self.log.info("One chain state is left, also after a restart")
        self.restart_node(1)
        assert_equal(len(self.node.getchainstates()["chainstates"]), 1)
        assert_equal(self.node.getbestblockhash(), self.source.getbestblockhash())
        assert_equal(self.node.getpodlinfo()["alarms"], [])
        assert_equal(self.node.verifychain(4, 10), True)

    def make_base(self):
        """Make the chain of Bitcoin Core's feature_assumeutxo.py again."""
        addresses = [key.address for key in TestNode.PRIV_KEYS][:3]
        addresses.append(create_deterministic_address_bcrt1_p2tr_op_true()[0])
        # All blocks are dated from the first one on, so that they come out the same.
        self.source.setmocktime(self.source.getblockheader(self.source.getbestblockhash())["time"])
        for i in range(8):
            count = 25 if i < 7 else 24
            self.generatetoaddress(self.source, count, addresses[i % 4], sync_fun=self.no_op)
        assert_equal(self.source.getblockcount(), CACHED)
        self.source.setmocktime(self.source.getblockheader(self.source.getbestblockhash())["time"])
        wallet = MiniWallet(self.source)
        for i in range(BASE - CACHED):
            if i % 3 == 0:
                wallet.send_self_transfer(from_node=self.source)
            self.generate(self.source, 1, sync_fun=self.no_op)
        assert_equal(self.source.getbestblockhash(), BASE_HASH)

    def level(self):
        judge(self.node, self.requester)
        return self.node.getbestblockhash() == self.source.getbestblockhash()


if __name__ == "__main__":
    PodlAssumeutxoTest(__file__).main()
