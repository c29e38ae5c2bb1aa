#!/usr/bin/env python3
"""The reward of a PoDL block is spent after a hundred more PoDL blocks, and not before."""

from decimal import Decimal

import podl_framework  # noqa: F401 - sets the import path
from podl_framework.actors import Miner, Requester
from podl_framework.base import PodlTestFramework
from podl_framework.rounds import play_height
from test_framework.blocktools import COINBASE_MATURITY
from test_framework.util import assert_equal, assert_raises_rpc_error


class PodlCoinbaseTest(PodlTestFramework):
    """Maturity, and a chain of more than a hundred PoDL blocks."""

    podl_height = 2

    def set_test_params(self):
        self.num_nodes = 1

    def skip_test_if_missing_module(self):
        self.skip_if_no_wallet()

    def make_requester(self):
        return Requester(first_height=self.podl_height, n_shards=COINBASE_MATURITY + 4)

    def run_test(self):
        node = self.nodes[0]
        self.mine_to_podl()
        node.createwallet("winner")
        node.createwallet("other")
        winner, other = node.get_wallet_rpc("winner"), node.get_wallet_rpc("other")
        script = bytes.fromhex(winner.getaddressinfo(winner.getnewaddress())["scriptPubKey"])
        miner = [Miner(self.requester, "winner", payout=script, architecture=1, epochs=1)]
        play_height(self.requester, node, miner)
        reward = node.getblock(node.getbestblockhash())["tx"][0]
        self.log.info("Immature up to the last block before")
        others = [Miner(self.requester, "other", architecture=1, epochs=1)]
        while winner.gettransaction(reward)["confirmations"] < COINBASE_MATURITY - 1:
            play_height(self.requester, node, others)
        inputs = [{"txid": reward, "vout": 0}]
        raw = node.createrawtransaction(inputs, {other.getnewaddress(): Decimal("49.99")})
        signed = winner.signrawtransactionwithwallet(raw)["hex"]
        assert_raises_rpc_error(-26, "bad-txns-premature-spend-of-coinbase", node.sendrawtransaction, signed)
        balances = winner.getbalances()["mine"]
        assert_equal((balances["trusted"], balances["immature"]), (0, 50))
        self.log.info("Spent in the first block that may, and confirmed in the next")
        play_height(self.requester, node, others)
        txid = node.sendrawtransaction(signed)
        play_height(self.requester, node, others)
        block = node.getblock(node.getbestblockhash())
        assert_equal(block["tx"][1:], [txid])
        assert_equal(block["height"], self.podl_height + COINBASE_MATURITY)
        assert_equal(winner.getbalance(), 0)
        assert_equal(other.gettransaction(txid)["confirmations"], 1)
        self.log.info("The chain stands every check of Bitcoin Core")
        assert_equal(node.verifychain(4, 0), True)
        assert_equal(node.getpodlinfo()["finals"], COINBASE_MATURITY + 1)


if __name__ == "__main__":
    PodlCoinbaseTest(__file__).main()
