#!/usr/bin/env python3
"""PoDL headers and blocks that the schedule does not name (yet) hold nothing up and blame nobody.

Node 0 has played a height. A scripted peer shows its blocks to node 1, which has neither schedule nor blocks.
"""

import podl_framework  # noqa: F401 - sets the import path
from podl_framework import p2p
from podl_framework.actors import Miner, judge
from podl_framework.base import PodlTestFramework
from podl_framework.p2p import BLOCK_MESSAGES, PodlPeer, RawMessage
from podl_framework.rounds import Round, play_height
from test_framework.blocktools import create_block, create_coinbase
from test_framework.messages import (
    MSG_BLOCK,
    MSG_CMPCT_BLOCK,
    MSG_WITNESS_FLAG,
    CBlockHeader,
    CInv,
    from_hex,
    msg_getdata,
    ser_compact_size,
)
from test_framework.util import assert_equal

MAX_HEADERS = 2000


def headers_message(headers: list[bytes]) -> RawMessage:
    """Build headers from raw headers of either size."""
    return BLOCK_MESSAGES["headers"](ser_compact_size(len(headers)) + b"".join(h + b"\x00" for h in headers))


class PodlHeadersTest(PodlTestFramework):
    """What is refused does not take along what is not."""

    def set_test_params(self):
        self.num_nodes = 2
        self.extra_args = [["-debug=net", "-debug=podl"]] * 2

    def setup_network(self):
        self.setup_nodes()

    def run_test(self):
        self.source, self.node = self.nodes
        self.generate(self.source, self.podl_height - 1, sync_fun=self.no_op)
        miner = Miner(self.requester, "only")
        play_height(self.requester, self.source, [miner])
        self.headers = self.source_headers()
        assert_equal([len(h) for h in self.headers], [80] * (self.podl_height - 1) + [112])
        self.check_cut_batch()
        self.check_refused_blocks()
        self.check_unknown_parent(miner)
        self.check_advance()
        self.check_presync()

    def source_headers(self):
        heights = range(1, self.source.getblockcount() + 1)
        return [
            bytes.fromhex(self.source.getblockheader(self.source.getblockhash(h), False)) for h in heights
        ]

    def hash_at(self, height):
        return int(self.source.getblockhash(height), 16)

    def connect(self, node):
        return node.add_p2p_connection(PodlPeer(self.requester.log.chain_id))

    def block_payloads(self):
        """Node 0's last block as the payloads of block and cmpctblock."""
        reader = self.connect(self.source)
        tip = self.hash_at(self.podl_height)
        reader.send_without_ping(msg_getdata([CInv(MSG_BLOCK | MSG_WITNESS_FLAG, tip)]))
        reader.send_without_ping(msg_getdata([CInv(MSG_CMPCT_BLOCK, tip)]))
        found = reader.wait_for("block"), reader.wait_for("cmpctblock")
        self.source.disconnect_p2ps()
        return found

    def check_cut_batch(self):
        self.log.info("A batch that ends with a header nobody has named yet: the rest is downloaded")
        self.peer = self.connect(self.node)
        self.peer.wait_until(lambda: self.peer.message_count["getheaders"] == 1)
        with self.node.assert_debug_log(
            [f"Headers from height {self.podl_height} on are not in the schedule"]
        ):
            self.peer.send_without_ping(headers_message(self.headers))
            self.peer.wait_until(lambda: "getdata" in self.peer.last_message)
        wanted = [i.hash for i in self.peer.last_message["getdata"].inv]
        assert_equal(wanted, [self.hash_at(h) for h in range(1, self.podl_height)])
        for height in range(1, self.podl_height):
            raw = self.source.getblock(self.source.getblockhash(height), 0)
            self.peer.send_without_ping(BLOCK_MESSAGES["block"](bytes.fromhex(raw)))
        self.wait_until(lambda: self.node.getblockcount() == self.podl_height - 1)
        self.peer.send_and_ping(headers_message(self.headers[-1:]))
        self.peer.send_and_ping(headers_message(self.headers))
        assert_equal(self.node.getblockchaininfo()["headers"], self.podl_height - 1)

    def check_refused_blocks(self):
        self.log.info("The block itself, whole and compact")
        block, compact = self.block_payloads()
        self.peer.send_and_ping(BLOCK_MESSAGES["block"](block))
        self.peer.send_and_ping(BLOCK_MESSAGES["cmpctblock"](compact))
        assert_equal(self.node.getblockchaininfo()["headers"], self.podl_height - 1)
        assert_equal(len(self.node.getchaintips()), 1)

    def check_unknown_parent(self, miner):
        self.log.info("A PoDL header whose parent is not known makes the node ask")
        before = self.peer.message_count["getheaders"]
        child = Round(self.requester, self.source, [miner]).commit().kept[0].disclosure.header
        self.peer.send_and_ping(headers_message([child.serialize()]))
        self.peer.wait_until(lambda: self.peer.message_count["getheaders"] == before + 1)
        self.peer.send_and_ping(p2p.no_headers())

    def check_advance(self):
        self.log.info("When the final is known, headers are asked for again, and the block follows")
        before = self.peer.message_count["getheaders"]
        self.peer.wait_for("getpodlsched")
        self.peer.send_without_ping(p2p.schedule([e.serialize() for e in self.requester.log.entries[1:]]))
        self.peer.wait_until(lambda: self.peer.message_count["getheaders"] == before + 1)
        self.peer.send_without_ping(headers_message(self.headers))
        tip = self.hash_at(self.podl_height)
        self.peer.wait_until(lambda: tip in [i.hash for i in self.peer.last_message["getdata"].inv])
        assert self.peer.is_connected
        self.connect_nodes(1, 0)

        def level():
            judge(self.node, self.requester)
            return self.node.getbestblockhash() == self.source.getbestblockhash()

        self.wait_until(level)
        self.disconnect_nodes(1, 0)

    def check_presync(self):
        self.log.info("PoDL headers do not enter the sync of low-work chains")
        # Two for each header of the two batches, and for the two blocks below them.
        work = 2 * (2 + MAX_HEADERS + 2)
        self.restart_node(1, extra_args=[*self.node.extra_args, f"-minimumchainwork={work:#x}"])
        peer = self.connect(self.node)
        plain = self.mine_headers(MAX_HEADERS)
        with self.node.assert_debug_log(["Initial headers sync started with peer="]):
            peer.send_and_ping(headers_message(plain))
        assert self.node.getpeerinfo()[0]["presynced_headers"] > 0
        # The chain goes on with a PoDL header: nothing is left of the batch, and that sync is over.
        peer.send_and_ping(headers_message([self.podl_header_on(plain[-1])]))
        assert_equal(self.node.getpeerinfo()[0]["presynced_headers"], -1)
        with self.node.assert_debug_log(["Initial headers sync started with peer="]):
            peer.send_and_ping(headers_message(plain))
        last = self.mine_headers(1, plain[-1])[0]
        with self.node.assert_debug_log(["Initial headers sync aborted with peer="]):
            peer.send_and_ping(headers_message([last, self.podl_header_on(last)]))
        assert peer.is_connected
        assert_equal(self.node.getblockchaininfo()["headers"], self.podl_height)

    def mine_headers(self, count, parent=None):
        """Ordinary headers on the block below the first PoDL height's parent, or on another header."""
        prev = from_hex(CBlockHeader(), (parent or self.headers[0]).hex())
        height, time, tip = 2, prev.nTime, prev.hash_int
        mined = []
        for _ in range(count):
            time += 1
            block = create_block(tip, create_coinbase(height), ntime=time)
            block.solve()
            tip = block.hash_int
            mined.append(CBlockHeader(block).serialize())
        return mined

    def podl_header_on(self, parent):
        """Copy of the PoDL header behind another parent, with a nonce that passes Bitcoin's own check."""
        draft = bytearray(self.headers[-1])
        draft[4:36] = p2p.block_hash(parent)
        for nonce in range(1000):
            draft[76:80] = nonce.to_bytes(4, "little")
            if p2p.block_hash(bytes(draft))[31] < 0x7F:
                return bytes(draft)
        raise AssertionError("no nonce")


if __name__ == "__main__":
    PodlHeadersTest(__file__).main()
