#!/usr/bin/env python3
"""Bitcoin Core's RPCs about blocks, on PoDL blocks.

Whatever shows or checks a header knows the 32 bytes more: getblock(header), Merkle proofs, chain tips,
statistics, scans of the coins, verifychain, and a snapshot of the coins. Loading a snapshot does not work:
Bitcoin Core takes only those whose hash is compiled in.
"""

from dataclasses import replace

import podl_framework  # noqa: F401 - sets the import path
from podl_framework.actors import Miner
from podl_framework.base import PodlTestFramework
from podl_framework.rounds import play_height
from test_framework.util import assert_equal, assert_raises_rpc_error
from test_framework.wallet import MiniWallet

from podl_tools.header import Header, grind

SIZE = 112


def xor(data, key):
    """Take off, or put on, what hides the content of block files."""
    return bytes(byte ^ key[i % len(key)] for i, byte in enumerate(data))


class PodlBlockchainTest(PodlTestFramework):
    """RPCs about blocks."""

    podl_height = 105

    def set_test_params(self):
        self.num_nodes = 2
        self.extra_args = [[], ["-txindex=1"]]

    def setup_network(self):
        self.setup_nodes()

    def run_test(self):
        self.node = self.nodes[0]
        self.wallet = MiniWallet(self.node)
        self.generate(self.wallet, self.podl_height - 1, sync_fun=self.no_op)
        miners = [Miner(self.requester, "miner")]
        self.first = play_height(self.requester, self.node, miners).disclosure.header
        self.txids = [self.wallet.send_self_transfer(from_node=self.node)["txid"] for _ in range(3)]
        self.header = play_height(self.requester, self.node, miners).disclosure.header
        self.block = self.node.getbestblockhash()
        self.check_block()
        self.check_chain()
        self.check_proof()
        self.check_coins()
        self.check_verify()
        self.check_snapshot()

    def check_block(self):
        self.log.info("getblockheader and getblock in every verbosity")
        raw = self.header.serialize().hex()
        assert_equal(self.node.getblockheader(self.block, False), raw)
        data = self.node.getblock(self.block, 0)
        assert_equal(data[: 2 * SIZE], raw)
        assert_equal(Header.parse(bytes.fromhex(data)[:SIZE]), self.header)
        shown = self.node.getblockheader(self.block)
        assert_equal(shown["modelhash"], self.header.model_hash.hex())
        assert_equal(shown["versionHex"], "40000000")
        assert_equal(shown["nTx"], 4)
        for verbosity in (1, 2, 3):
            block = self.node.getblock(self.block, verbosity)
            assert_equal({key: block[key] for key in shown}, shown)
            assert_equal((block["size"], block["strippedsize"] < block["size"]), (len(data) // 2, True))
            assert_equal(block["weight"], 3 * block["strippedsize"] + block["size"])
        last = self.node.getblockheader(self.node.getblockhash(self.podl_height - 1))
        assert "modelhash" not in last
        assert_equal(last["nextblockhash"], self.first.hash[::-1].hex())

    def check_chain(self):
        self.log.info("getblockchaininfo, getchaintips, getblockstats, getchaintxstats")
        info, height = self.node.getblockchaininfo(), self.podl_height + 1
        assert_equal((info["blocks"], info["headers"], info["bestblockhash"]), (height, height, self.block))
        assert_equal(int(info["chainwork"], 16), 2 * (height + 1))
        tip = {"height": height, "hash": self.block, "branchlen": 0, "status": "active"}
        assert_equal(self.node.getchaintips(), [tip])
        stats = self.node.getblockstats(height)
        assert_equal((stats["blockhash"], stats["txs"], stats["time"]), (self.block, 4, self.header.time))
        coinbase = self.node.getblock(self.block, 2)["tx"][0]["vout"][0]["value"]
        assert_equal(stats["subsidy"] + stats["totalfee"], coinbase * 100_000_000)
        assert_equal(self.node.getchaintxstats(1)["window_tx_count"], 4)
        assert_equal(self.node.waitforblockheight(height)["hash"], self.block)

    def check_proof(self):
        self.log.info("gettxoutproof and verifytxoutproof: a proof begins with 112 bytes")
        proof = self.node.gettxoutproof(self.txids, self.block)
        assert_equal(proof[: 2 * SIZE], self.header.serialize().hex())
        assert_equal(sorted(self.node.verifytxoutproof(proof)), sorted(self.txids))
        one = self.node.gettxoutproof(self.txids[1:2])
        assert_equal(self.node.verifytxoutproof(one), self.txids[1:2])
        # With another model commitment it is another block.
        changed = bytearray.fromhex(one)
        changed[SIZE - 1] ^= 1
        assert_raises_rpc_error(-5, "Block not found in chain", self.node.verifytxoutproof, changed.hex())

    def check_coins(self):
        self.log.info("gettxout, scantxoutset, gettxoutsetinfo")
        out = self.node.gettxout(self.txids[0], 0)
        assert_equal((out["bestblock"], out["confirmations"]), (self.block, 1))
        found = self.node.scantxoutset("start", [self.wallet.get_descriptor()])
        assert_equal((found["success"], found["bestblock"]), (True, self.block))
        scanned = {(c["txid"], c["blockhash"]) for c in found["unspents"] if c["height"] > self.podl_height}
        assert_equal(scanned, {(txid, self.block) for txid in self.txids})
        info = self.node.gettxoutsetinfo()
        assert_equal((info["bestblock"], info["height"]), (self.block, self.podl_height + 1))

    def check_verify(self):
        self.log.info(
            "verifychain at every level; another model commitment in a block file is found at start"
        )
        for level in range(5):
            assert_equal(self.node.verifychain(level, 0), True)
        self.stop_node(0)
        path = self.node.blocks_path / "blk00000.dat"
        kept = path.read_bytes()
        key = (self.node.blocks_path / "xor.dat").read_bytes()
        old = self.header.serialize()
        # Its proof of work stays right, so that only the hash tells.
        new = grind(replace(self.header, model_hash=bytes([1] * 32)), stamp_bits=1).serialize()
        path.write_bytes(xor(xor(kept, key).replace(old, new), key))
        with self.node.assert_debug_log(["GetHash() doesn't match index"]):
            self.node.assert_start_raises_init_error(
                [*self.podl_args(), "-checklevel=0", "-checkblocks=0"],
                "Corrupted block database detected.\n"
                "Please restart with -reindex or -reindex-chainstate to recover.",
            )
        path.write_bytes(kept)
        self.start_node(0)
        assert_equal(self.node.getbestblockhash(), self.block)

    def check_snapshot(self):
        self.log.info("dumptxoutset writes a snapshot of PoDL's coins, of the tip and of a block below")
        info = self.node.gettxoutsetinfo()
        written = self.node.dumptxoutset("tip.dat", "latest")
        assert_equal(
            (written["base_hash"], written["txoutset_hash"]), (self.block, info["hash_serialized_3"])
        )
        below = self.node.dumptxoutset("below.dat", rollback=self.podl_height)
        assert_equal(
            (below["base_height"], below["base_hash"]), (self.podl_height, self.first.hash[::-1].hex())
        )
        assert_equal(self.node.getbestblockhash(), self.block)
        assert_equal(self.node.getpodlinfo()["alarms"], [])
        self.log.info("loadtxoutset refuses it by name: its hash is not in the chain parameters")
        other = self.nodes[1]
        assert_raises_rpc_error(
            -32603,
            f"assumeutxo block hash in snapshot metadata not recognized (hash: {self.block}). "
            "The following snapshot heights are available: 110, 200, 299",
            other.loadtxoutset,
            written["path"],
        )
        assert_equal(other.getblockcount(), 0)
        assert_equal(len(other.getchainstates()["chainstates"]), 1)


if __name__ == "__main__":
    PodlBlockchainTest(__file__).main()
