#!/usr/bin/env python3
"""Bitcoin Core's optional indexes over PoDL blocks.

An index that was on all the time, over a block put aside and taken back, one that was switched on later and
one built by -reindex say the same about every block.
"""

import podl_framework  # noqa: F401 - sets the import path
from podl_framework.actors import Miner
from podl_framework.base import PodlTestFramework
from podl_framework.rounds import play_height
from test_framework.util import assert_equal, assert_raises_rpc_error
from test_framework.wallet import MiniWallet

INDEXES = ["-txindex=1", "-coinstatsindex=1", "-blockfilterindex=1", "-txospenderindex=1"]


class PodlIndexTest(PodlTestFramework):
    """txindex, coinstatsindex, blockfilterindex, txospenderindex."""

    podl_height = 105

    def set_test_params(self):
        self.num_nodes = 1
        self.extra_args = [INDEXES]

    def run_test(self):
        self.node = self.nodes[0]
        wallet = MiniWallet(self.node)
        self.generate(wallet, self.podl_height - 1)
        miners = [Miner(self.requester, "miner")]
        self.spends = []
        for _ in range(3):
            self.spends.append(wallet.send_self_transfer(from_node=self.node))
            play_height(self.requester, self.node, miners)
        self.check_values()
        self.check_put_aside()
        self.check_later()
        self.check_reindex()

    def sync(self):
        """Wait until every index is at the tip."""
        height = self.node.getblockcount()

        def done():
            found = self.node.getindexinfo().values()
            return [(i["synced"], i["best_block_height"]) for i in found] == [(True, height)] * len(INDEXES)

        self.wait_until(done)

    def report(self):
        """Everything the indexes say about the PoDL blocks."""
        self.sync()
        hashes = [
            self.node.getblockhash(h) for h in range(self.podl_height - 1, self.node.getblockcount() + 1)
        ]
        return [
            [self.node.getblockfilter(block) for block in hashes],
            [self.node.gettxoutsetinfo("muhash", block) for block in hashes],
            [self.node.getrawtransaction(tx["txid"], 2) for tx in self.spends],
            self.node.gettxspendingprevout([self.outpoint(tx) for tx in self.spends]),
        ]

    def outpoint(self, tx):
        """The coin that a transaction spends."""
        coin = tx["tx"].vin[0].prevout
        return {"txid": f"{coin.hash:064x}", "vout": coin.n}

    def check_values(self):
        self.log.info("What they say is right")
        filters, stats, transactions, spenders = self.report()
        blocks = [self.node.getblockhash(self.podl_height + i) for i in range(3)]
        assert_equal([tx["blockhash"] for tx in transactions], blocks)
        assert_equal([found["spendingtxid"] for found in spenders], [tx["txid"] for tx in self.spends])
        assert_equal([found["blockhash"] for found in spenders], blocks)
        scanned = self.node.gettxoutsetinfo("muhash", None, False)
        for key in ("height", "bestblock", "txouts", "bogosize", "muhash", "total_amount"):
            assert_equal(stats[-1][key], scanned[key])
        # Each block spends one coin of 50 and its reward pays the fee.
        assert_equal([s["block_info"]["prevout_spent"] for s in stats[1:2]], [50])
        assert_equal(len({f["header"] for f in filters}), 4)
        scripts = [tx["tx"].vout[0].scriptPubKey.hex() for tx in self.spends[:1]]
        found = self.node.scanblocks("start", [f"raw({scripts[0]})"], self.podl_height)
        assert_equal(found["relevant_blocks"], blocks)

    def check_put_aside(self):
        self.log.info("A PoDL block that is put aside and taken back changes nothing")
        before = self.report()
        tip = self.node.getbestblockhash()
        self.node.invalidateblock(tip)
        assert_equal(self.node.gettxoutsetinfo("muhash", None, False)["muhash"], before[1][-2]["muhash"])
        (found,) = self.node.gettxspendingprevout([self.outpoint(self.spends[-1])])
        assert "blockhash" not in found
        self.node.reconsiderblock(tip)
        assert_equal(self.report(), before)

    def check_later(self):
        self.log.info("Switched on later, they read the same from the block files")
        before = self.report()
        self.restart_node(0, self.podl_args())
        assert_raises_rpc_error(
            -5, "No such mempool transaction", self.node.getrawtransaction, self.spends[0]["txid"]
        )
        self.stop_node(0)
        self.cleanup_folder(self.node.chain_path / "indexes")
        self.start_node(0, [*self.podl_args(), *INDEXES])
        assert_equal(self.report(), before)

    def check_reindex(self):
        self.log.info("-reindex and -reindex-chainstate with all of them on")
        before = self.report()
        for option in ("-reindex", "-reindex-chainstate"):
            self.restart_node(0, [*self.podl_args(), *INDEXES, option])
            self.wait_until(lambda: self.node.getblockcount() == self.podl_height + 2)
            assert_equal(self.report(), before)


if __name__ == "__main__":
    PodlIndexTest(__file__).main()
