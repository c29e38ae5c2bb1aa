#!/usr/bin/env python3
"""Compact blocks with PoDL headers (BIP152).

Node 0 plays the heights. Scripted peers stand between it and node 1, which knows the finals but has no
bodies: it rebuilds the blocks from compact ones, alone when it has the transactions, else with a request for
them.
"""

from dataclasses import replace

import podl_framework  # noqa: F401 - sets the import path
from podl_framework.actors import Miner, client, judge
from podl_framework.base import PodlTestFramework
from podl_framework.p2p import BLOCK_MESSAGES, PodlPeer
from podl_framework.rounds import Round
from test_framework.messages import MSG_CMPCT_BLOCK, CInv, msg_getblocktxn, msg_getdata, msg_sendcmpct
from test_framework.util import assert_equal
from test_framework.wallet import MiniWallet

from podl_tools.chain.data import Kind
from podl_tools.header import Header, grind

SIZE = 112


class PodlCompactBlocksTest(PodlTestFramework):
    """Blocks rebuilt from the mempool."""

    podl_height = 105

    def set_test_params(self):
        self.num_nodes = 2

    def setup_network(self):
        self.setup_nodes()

    def run_test(self):
        self.source, self.node = self.nodes
        self.wallet = MiniWallet(self.source)
        self.generate(self.wallet, self.podl_height - 1, sync_fun=self.no_op)
        self.connect_nodes(0, 1)
        self.sync_blocks()
        self.disconnect_nodes(0, 1)
        self.miner = Miner(self.requester, "miner")
        self.reader = self.source.add_p2p_connection(PodlPeer(self.requester.log.chain_id))
        self.reader.send_and_ping(msg_sendcmpct(announce=True, version=2))
        self.peer = self.node.add_p2p_connection(PodlPeer(self.requester.log.chain_id))
        self.peer.send_and_ping(msg_sendcmpct(announce=False, version=2))
        self.check_rebuilt(missing=0)
        self.check_rebuilt(missing=1)
        self.check_not_final()
        assert_equal([node.getpodlinfo()["alarms"] for node in self.nodes], [[], []])
        assert "Misbehaving" not in self.node.debug_log_path.read_text(encoding="utf8")

    def play(self):
        """Play a height on node 0; node 1 gets all of it but the body."""
        current = Round(self.requester, self.source, [self.miner]).commit().close()
        client(self.node).submit_entry(current.release.serialize())
        self.requester.open_shard(current.release, self.node)
        current.reveal().judge().finish()
        client(self.node).submit_entry(self.requester.log.entries[-1].serialize())
        self.miner.upload(self.node, current.kept[0], Kind.WEIGHTS)
        self.node.syncpodl()
        judge(self.node, self.requester)
        return current.kept[0]

    def check_rebuilt(self, *, missing):
        self.log.info(f"Two transactions, {missing} of them unknown to the receiver")
        txs = [self.wallet.send_self_transfer(from_node=self.source) for _ in range(2)]
        for tx in txs[missing:]:
            self.node.sendrawtransaction(tx["hex"])
        # A node announces a compact block to a peer of which it knows that it has the block before.
        tip = bytes.fromhex(self.source.getblockheader(self.source.getbestblockhash(), False))
        self.reader.send_and_ping(BLOCK_MESSAGES["headers"](b"\x01" + tip + b"\x00"))
        self.reader.forget()
        kept = self.play()
        self.log.info("... announced to a peer that wants compact blocks at once")
        compact = self.reader.wait_for("cmpctblock", lambda p: p[:SIZE] == kept.block[:SIZE])
        # header, nonce, number of short ids
        assert_equal(compact[SIZE + 8], 2)
        assert_equal(self.node.getblockcount(), self.source.getblockcount() - 1)
        asked = self.peer.message_count["getblocktxn"]
        self.peer.send_without_ping(BLOCK_MESSAGES["cmpctblock"](compact))
        if missing:
            self.peer.wait_until(lambda: self.peer.message_count["getblocktxn"] == asked + 1)
            request = self.peer.last_message["getblocktxn"].block_txn_request
            place = self.source.getblock(kept.hash_hex)["tx"].index(txs[0]["txid"])
            assert_equal((request.blockhash, request.to_absolute()), (int(kept.hash_hex, 16), [place]))
            self.reader.last_message.pop("blocktxn", None)
            forwarded = msg_getblocktxn()
            forwarded.block_txn_request = request
            self.reader.send_without_ping(forwarded)
            self.reader.wait_until(lambda: "blocktxn" in self.reader.last_message)
            self.peer.send_without_ping(self.reader.last_message["blocktxn"])
        self.wait_until(lambda: self.node.getbestblockhash() == kept.hash_hex)
        assert_equal(self.peer.message_count["getblocktxn"], asked + bool(missing))
        assert_equal(self.node.getblock(kept.hash_hex, 0), kept.block.hex())
        assert_equal(self.node.getrawmempool(), [])

    def check_not_final(self):
        self.log.info("Served on request; with another model commitment it is no block of this chain")
        tip = int(self.node.getbestblockhash(), 16)
        self.peer.forget()
        self.peer.send_without_ping(msg_getdata([CInv(MSG_CMPCT_BLOCK, tip)]))
        compact = self.peer.wait_for("cmpctblock")
        header = bytes.fromhex(self.node.getblockheader(self.node.getbestblockhash(), False))
        assert_equal(compact[:SIZE], header)
        before = self.node.getchaintips()
        other = grind(replace(Header.parse(header), model_hash=bytes([1] * 32)), stamp_bits=1)
        self.peer.send_and_ping(BLOCK_MESSAGES["cmpctblock"](other.serialize() + compact[SIZE:]))
        assert_equal(self.node.getchaintips(), before)


if __name__ == "__main__":
    PodlCompactBlocksTest(__file__).main()
