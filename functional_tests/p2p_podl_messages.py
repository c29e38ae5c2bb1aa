#!/usr/bin/env python3
"""A hostile peer: handshake at the wrong time, malformed payloads of every kind, random bytes, floods.

Malformed messages cost the connection and are named in the log; the node's state stays as it was.
"""

import random
import struct

import podl_framework  # noqa: F401 - sets the import path
from podl_framework import p2p
from podl_framework.actors import Miner, named_bytes
from podl_framework.base import PodlTestFramework
from podl_framework.p2p import BODY, COMMITMENT, DATA, ENTRY, REVEAL, PodlPeer, message
from podl_framework.rounds import Round, play_height
from test_framework.messages import (
    MSG_BLOCK,
    MSG_CMPCT_BLOCK,
    MSG_WITNESS_FLAG,
    CInv,
    msg_getdata,
    msg_getheaders,
    msg_sendcmpct,
    msg_sendheaders,
    ser_compact_size,
)
from test_framework.util import assert_equal, assert_greater_than

UNKNOWN = named_bytes("nothing has this id")
HUGE_COUNTS = [b"\xfd\xff\xff", b"\xfe\xff\xff\xff\x7f", b"\xff" + b"\xff" * 8]


class PodlMessagesTest(PodlTestFramework):
    """Nothing that a peer sends breaks a node."""

    def set_test_params(self):
        self.num_nodes = 1
        self.extra_args = [["-debug=podl", "-debug=net"]]

    def run_test(self):
        self.node = self.nodes[0]
        self.chain_id = self.requester.log.chain_id
        self.mine_to_podl()
        miner = Miner(self.requester, "only")
        self.check_announcements(miner)
        self.round = Round(self.requester, self.node, [miner]).commit().close().reveal().judge()
        before = self.state()
        self.check_handshake()
        self.check_silence()
        self.check_malformed()
        self.check_random_bytes()
        self.check_unsolicited()
        self.check_announcement_flood()
        assert_equal(self.state(), before)
        self.log.info("The node still plays")
        self.round.finish()
        assert_equal(self.node.getblockcount(), self.podl_height + 1)

    def state(self):
        node = self.node
        node.syncpodl()
        return (
            node.getpodlinfo(),
            node.listpodlcommitments(),
            node.listpodlcandidates(),
            node.getbestblockhash(),
        )

    def connect(self, **options):
        return self.node.add_p2p_connection(PodlPeer(self.chain_id, **options))

    def expect_disconnect(self, log, peer, *messages):
        with self.node.assert_debug_log([log]):
            for sent in messages:
                peer.send_without_ping(sent)
            peer.wait_for_disconnect()

    def check_announcements(self, miner):
        self.log.info("The first PoDL block is announced to PoDL peers alone")
        tip = bytes.fromhex(self.node.getblockheader(self.node.getbestblockhash(), False))
        compact = msg_sendcmpct(announce=True, version=2)
        wishes = {"headers": msg_sendheaders(), "cmpctblock": compact, "inv": None}
        peers = {}
        for chain_id in (None, self.chain_id):
            for expected, wish in wishes.items():
                peer = self.node.add_p2p_connection(PodlPeer(chain_id))
                if wish is not None:
                    peer.send_without_ping(wish)
                peer.send_and_ping(p2p.BLOCK_MESSAGES["headers"](b"\x01" + tip + b"\x00"))
                peer.forget()
                peers[expected, chain_id is not None] = peer
        play_height(self.requester, self.node, [miner])
        for (expected, podl), peer in peers.items():
            if podl:
                peer.wait_until(lambda p=peer, e=expected: p.message_count[e] > 0)
        for (_, podl), peer in peers.items():
            if not podl:
                peer.sync_with_ping()
                assert_equal([peer.message_count[name] for name in wishes], [0, 0, 0])
                assert_equal(peer.received, [])
        self.node.disconnect_p2ps()

    def check_handshake(self):
        self.log.info("sendpodl: both sides, right time, right chain")
        peer = self.connect()
        assert_equal(peer.wait_for("sendpodl"), struct.pack("<I", 1) + self.chain_id)
        names = [name for name, _ in peer.received]
        assert_equal(names[0], "sendpodl")
        peer.wait_for("getpodlsched", lambda p: p == self.requester.log.last_id)
        with self.node.assert_debug_log(["Ignoring duplicate sendpodl"]):
            twice = self.connect(before_verack=[p2p.handshake(self.chain_id)])
            twice.ask_schedule(bytes(32))
        self.expect_disconnect("sendpodl received after verack", twice, p2p.handshake(self.chain_id))
        bad = {
            "sendpodl with another chain id": p2p.handshake(UNKNOWN),
            "sendpodl with another version": p2p.handshake(self.chain_id, version=2),
            "podl-message in sendpodl: ": message("sendpodl", struct.pack("<I", 1)),
        }
        for log, greeting in bad.items():
            stranger = PodlPeer(None, before_verack=[greeting])
            with self.node.assert_debug_log([log], timeout=30):
                self.node.add_p2p_connection(stranger, expect_success=False)
            self.wait_until(lambda: len(self.node.getpeerinfo()) == 1)  # the first one stays
        peer.sync_with_ping()

    def check_silence(self):
        self.log.info("A peer without handshake gets no PoDL message, no PoDL header and no PoDL block")
        plain = self.node.add_p2p_connection(PodlPeer(None))
        plain.send_without_ping(message("getpodlsched", bytes(32)))
        ask = msg_getheaders()
        ask.locator.vHave = [int(self.node.getblockhash(0), 16)]
        plain.send_without_ping(ask)
        plain_size = (self.podl_height - 1) * 81
        assert_equal(len(plain.wait_for("headers")), 1 + plain_size)
        for kind in (MSG_BLOCK, MSG_BLOCK | MSG_WITNESS_FLAG, MSG_CMPCT_BLOCK):
            plain.send_without_ping(msg_getdata([CInv(kind, int(self.node.getbestblockhash(), 16))]))
        plain.sync_with_ping()
        assert_equal({name for name, _ in plain.received}, {"sendpodl", "headers"})
        podl = self.connect()
        podl.send_without_ping(ask)
        assert_equal(len(podl.wait_for("headers")), 1 + plain_size + 113)
        for kind in (MSG_BLOCK, MSG_CMPCT_BLOCK):
            podl.send_without_ping(msg_getdata([CInv(kind, int(self.node.getbestblockhash(), 16))]))
        podl.wait_for("block")
        podl.wait_for("cmpctblock")

    def check_malformed(self):
        self.log.info("Every malformed payload costs the connection, with its name in the log")
        for name, payloads in self.malformed().items():
            for what, payload in payloads.items():
                self.log.debug(f"{name}: {what}")
                self.expect_disconnect(f"podl-message in {name}: ", self.connect(), message(name, payload))

    def malformed(self):
        entry, body = self.requester.log.entries[-1], self.round.kept[0].block
        good = {
            "podlinv": p2p.inv((ENTRY, entry.id), (DATA, UNKNOWN)).payload,
            "podlgetdata": p2p.getdata(BODY, UNKNOWN, 3).payload,
            "podldata": p2p.data(ENTRY, entry.id, entry.serialize()).payload,
            "getpodlsched": entry.id,
            "podlsched": p2p.schedule([entry.serialize()]).payload,
        }
        bad = {
            name: {"empty": b"", "truncated": payload[:-1], "trailing": payload + b"\x00"}
            for name, payload in good.items()
        }
        bad["podlinv"]["type 0"] = b"\x01\x00" + UNKNOWN
        bad["podlinv"]["type 6"] = b"\x01\x06" + UNKNOWN
        bad["podlinv"]["257 objects"] = p2p.inv(*[(ENTRY, UNKNOWN)] * 257).payload
        for i, count in enumerate(HUGE_COUNTS):
            bad["podlinv"][f"huge count {i}"] = count
            bad["podlsched"][f"huge count {i}"] = b"\x00" + count
            bad["podlsched"][f"huge entry {i}"] = b"\x00\x01" + count
        bad["podlgetdata"]["second chunk of an entry"] = p2p.getdata(ENTRY, UNKNOWN, 1).payload
        bad["podldata"] |= {
            "status 2": p2p.notfound(ENTRY, UNKNOWN).payload[:-1] + b"\x02",
            "entry with a path": p2p.data(ENTRY, entry.id, entry.serialize(), path=[UNKNOWN]).payload,
            "body with a path": p2p.data(BODY, UNKNOWN, body, path=[UNKNOWN]).payload,
            "data without its path": p2p.data(DATA, UNKNOWN, bytes(70_000), path=[]).payload,
            "chunk behind the end": p2p.data(BODY, UNKNOWN, body, 1).payload,
            "empty object": p2p.data(ENTRY, UNKNOWN, b"").payload,
            "short commitment": p2p.data(COMMITMENT, UNKNOWN, bytes(113)).payload,
            "large reveal": p2p.data(REVEAL, UNKNOWN, bytes(4097)).payload,
            "large entry": p2p.data(ENTRY, UNKNOWN, bytes(65_537)).payload,
        }
        bad["podlsched"] |= {
            "flag 2": b"\x02\x00",
            "empty entry": b"\x00\x01\x00",
            "large entry": b"\x00\x01" + ser_compact_size(65_537) + bytes(65_537),
            "more than a page": p2p.schedule([bytes(60_000)] * 17).payload,
            "more after nothing": p2p.schedule([], more=True).payload,
        }
        return bad

    def check_random_bytes(self):
        self.log.info("Random bytes in every message")
        rng = random.Random(7)
        peer = self.connect()
        for i in range(400):
            name = rng.choice(p2p.NAMES[1:])
            payload = bytearray(rng.randbytes(rng.choice([1, 33, 37, 38, 60, 200])))
            payload[0] = rng.randrange(6)
            if len(payload) > 37:
                payload[37] = rng.randrange(3)
            if not peer.is_connected:
                peer = self.connect()
            try:
                peer.send_without_ping(message(name, bytes(payload)))
                if i % 20 == 0:
                    peer.sync_with_ping()
            except (AssertionError, OSError):
                assert not peer.is_connected
        assert_equal(self.node.getblockcount(), self.podl_height)
        self.node.disconnect_p2ps()

    def check_unsolicited(self):
        self.log.info("What nobody asked for is dropped and blames nobody")
        peer = self.connect()
        entry = self.requester.log.entries[-1]
        with self.node.assert_debug_log(["Ignoring podlsched that was not asked for"]):
            peer.wait_for("getpodlsched")
            for _ in range(20):
                peer.send_without_ping(p2p.schedule([entry.serialize()]))
                peer.send_without_ping(p2p.data(BODY, UNKNOWN, bytes(70_000)))
                peer.send_without_ping(p2p.data(DATA, UNKNOWN, bytes(70_000)))
                peer.send_without_ping(p2p.data(COMMITMENT, UNKNOWN, bytes(112)))
                peer.send_without_ping(p2p.notfound(DATA, UNKNOWN, 5))
            peer.sync_with_ping()
        assert peer.is_connected

    def check_announcement_flood(self):
        self.log.info(
            "Announcements that are not served: a bounded number of requests, the next peer is asked"
        )
        liar = self.connect()
        liar.forget()
        for i in range(20):
            liar.send_without_ping(p2p.inv(*[(COMMITMENT, named_bytes(f"{i} {j}")) for j in range(256)]))
        liar.wait_until(lambda: len([n for n, _ in liar.received if n == "podlgetdata"]) >= 32)
        liar.sync_with_ping()
        assert_equal(len(liar.of("podlgetdata")), 32)
        honest = self.connect()
        target = named_bytes("0 0")
        honest.send_and_ping(p2p.inv((COMMITMENT, target)))
        assert_equal(honest.of("podlgetdata"), [])
        honest.wait_for_request(COMMITMENT, target)  # after five seconds of silence
        # The liar is asked again for the rest, and for one more in the place of the target.
        assert_greater_than(34, len(set(liar.of("podlgetdata"))))
        assert liar.is_connected
        assert honest.is_connected


if __name__ == "__main__":
    PodlMessagesTest(__file__).main()
