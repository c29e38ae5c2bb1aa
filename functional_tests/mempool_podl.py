#!/usr/bin/env python3
"""The mempool around PoDL blocks: confirmed, in conflict, put back by a reorganization, confirmed again."""

import podl_framework  # noqa: F401 - sets the import path
from podl_framework.actors import Miner
from podl_framework.base import PodlTestFramework
from podl_framework.rounds import Round, play_height
from test_framework.util import assert_equal, assert_raises_rpc_error
from test_framework.wallet import MiniWallet


class PodlMempoolTest(PodlTestFramework):
    """What PoDL blocks take out of the mempool and give back to it."""

    podl_height = 105

    def set_test_params(self):
        self.num_nodes = 1

    def run_test(self):
        self.node = self.nodes[0]
        self.wallet = MiniWallet(self.node)
        self.generate(self.wallet, self.podl_height - 1)
        self.miners = [Miner(self.requester, "miner")]
        self.check_reorganization()
        self.check_conflict()
        self.check_reward_gone()
        self.check_kept()

    def tip_txids(self):
        return self.node.getblock(self.node.getbestblockhash())["tx"][1:]

    def check_reorganization(self):
        self.log.info("A chain of transactions leaves with a PoDL block and comes back when it is put aside")
        txids = [
            tx["txid"] for tx in self.wallet.send_self_transfer_chain(from_node=self.node, chain_length=3)
        ]
        play_height(self.requester, self.node, self.miners)
        assert_equal(self.tip_txids(), txids)
        assert_equal(self.node.getrawmempool(), [])
        block = self.node.getbestblockhash()
        self.node.invalidateblock(block)
        assert_equal(sorted(self.node.getrawmempool()), sorted(txids))
        assert_equal(self.node.getmempoolentry(txids[2])["ancestorcount"], 3)
        self.node.reconsiderblock(block)
        assert_equal(self.node.getbestblockhash(), block)
        assert_equal(self.node.getrawmempool(), [])

    def check_conflict(self):
        self.log.info("A replacement that came too late for the block leaves when the block spends its coin")
        coin = self.wallet.get_utxo()
        first = self.wallet.send_self_transfer(from_node=self.node, utxo_to_spend=coin)
        current = Round(self.requester, self.node, self.miners).commit()
        second = self.wallet.send_self_transfer(
            from_node=self.node, utxo_to_spend=coin, fee_rate=first["fee"] * 1000
        )
        child = self.wallet.send_self_transfer(from_node=self.node, utxo_to_spend=second["new_utxo"])
        assert_equal(sorted(self.node.getrawmempool()), sorted([second["txid"], child["txid"]]))
        current.close().reveal().judge().finish()
        assert_equal(self.tip_txids(), [first["txid"]])
        assert_equal(self.node.getrawmempool(), [])
        assert_raises_rpc_error(
            -25, "bad-txns-inputs-missingorspent", self.node.sendrawtransaction, second["hex"]
        )
        self.wallet.rescan_utxos()

    def check_reward_gone(self):
        self.log.info("What a reorganization makes premature is dropped")
        # In the mempool of the next block, this reward has its hundredth confirmation.
        height = self.node.getblockcount() + 1 - 100
        coinbase = self.node.getblock(self.node.getblockhash(height))["tx"][0]
        spend = self.wallet.send_self_transfer(
            from_node=self.node, utxo_to_spend=self.wallet.get_utxo(txid=coinbase)
        )
        other = self.wallet.send_self_transfer(from_node=self.node, utxo_to_spend=self.oldest_coin())
        tip = self.node.getbestblockhash()
        self.node.invalidateblock(tip)
        pool = self.node.getrawmempool()
        assert spend["txid"] not in pool
        assert other["txid"] in pool
        self.node.reconsiderblock(tip)
        assert_equal(self.node.getrawmempool(), [other["txid"]])
        self.node.sendrawtransaction(spend["hex"])
        play_height(self.requester, self.node, self.miners)
        assert_equal(sorted(self.tip_txids()), sorted([spend["txid"], other["txid"]]))

    def oldest_coin(self):
        """Coin of the lowest block."""
        return min(
            self.wallet.get_utxos(mark_as_spent=False, confirmed_only=True), key=lambda coin: coin["height"]
        )

    def check_kept(self):
        self.log.info("The mempool outlives a restart in the middle of a round, and goes into the next block")
        self.wallet.rescan_utxos()
        current = Round(self.requester, self.node, self.miners).commit()
        txid = self.wallet.send_self_transfer(from_node=self.node, utxo_to_spend=self.oldest_coin())["txid"]
        self.restart_node(0)
        self.wait_until(lambda: self.node.getmempoolinfo()["loaded"])
        assert_equal(self.node.getrawmempool(), [txid])
        current.close().reveal().judge().finish()
        assert_equal(self.node.getrawmempool(), [txid])
        play_height(self.requester, self.node, self.miners)
        assert_equal(self.tip_txids(), [txid])


if __name__ == "__main__":
    PodlMempoolTest(__file__).main()
