#!/usr/bin/env python3
"""Bitcoin Core's own ZMQ publishers on a PoDL chain: hashblock, rawblock, rawtx and sequence."""

from __future__ import annotations

import struct

import podl_framework  # noqa: F401 - sets the import path
import zmq
from podl_framework.actors import Miner
from podl_framework.base import PodlTestFramework
from podl_framework.rounds import Round, play_height
from test_framework.util import assert_equal, p2p_port
from test_framework.wallet import MiniWallet

from podl_tools.header import Header

SIZE = 112
TOPICS = ("hashblock", "rawblock", "rawtx", "sequence")
POLL_MS = 200
RECEIVE_MS = 60_000


class Subscriber:
    """Reads one topic and insists on its sequence."""

    def __init__(self, context: zmq.Context, address: str, topic: str):
        self.topic = topic.encode()
        self.socket = context.socket(zmq.SUB)
        self.socket.setsockopt(zmq.RCVTIMEO, RECEIVE_MS)
        self.socket.setsockopt(zmq.SUBSCRIBE, self.topic)
        self.socket.connect(address)
        self.expected = None

    def receive(self) -> bytes:
        """Body of the next message."""
        topic, body, sequence = self.socket.recv_multipart()
        (number,) = struct.unpack("<I", sequence)
        assert_equal(topic, self.topic)
        assert self.expected in (None, number), (self.expected, number)
        self.expected = number + 1
        return body

    def receive_all(self, count: int) -> list[bytes]:
        """Bodies of so many messages, and no more than these are there."""
        bodies = [self.receive() for _ in range(count)]
        assert not self.socket.poll(POLL_MS)
        return bodies


class PodlZmqBlocksTest(PodlTestFramework):
    """What a subscriber of blocks and transactions gets."""

    podl_height = 130

    def set_test_params(self):
        self.num_nodes = 1

    def skip_test_if_missing_module(self):
        self.skip_if_no_bitcoind_zmq()

    def run_test(self):
        self.node = self.nodes[0]
        wallet = MiniWallet(self.node)
        self.generate(wallet, self.podl_height - 20)
        address = f"tcp://127.0.0.1:{p2p_port(self.num_nodes + 1)}"
        self.restart_node(0, [*self.podl_args(), *(f"-zmqpub{topic}={address}" for topic in TOPICS)])
        context = zmq.Context()
        try:
            self.topics = {topic: Subscriber(context, address, topic) for topic in TOPICS}
            self.arrive()
            self.check_block(wallet)
            self.check_put_aside()
        finally:
            context.destroy(linger=0)

    def arrive(self):
        """Mine until every subscription has arrived, and read what came of it."""
        waiting = list(self.topics.values())
        while waiting:
            assert self.node.getblockcount() < self.podl_height - 2
            self.generate(self.node, 1)
            waiting = [subscriber for subscriber in waiting if not subscriber.socket.poll(POLL_MS)]
        self.mine_to_podl()
        last = self.node.getbestblockhash()
        while self.topics["hashblock"].receive().hex() != last:
            pass
        while self.topics["rawblock"].receive().hex() != self.node.getblock(last, 0):
            pass
        for topic, subscriber in self.topics.items():
            while subscriber.socket.poll(POLL_MS):
                assert topic in ("rawtx", "sequence")
                subscriber.receive()

    def check_block(self, wallet):
        self.log.info("A transaction, then the PoDL block that confirms it")
        tx = wallet.send_self_transfer(from_node=self.node)
        best = play_height(self.requester, self.node, [Miner(self.requester, "miner")])
        header = best.disclosure.header
        self.block = header.hash[::-1].hex()
        assert_equal([body.hex() for body in self.topics["hashblock"].receive_all(1)], [self.block])
        (raw,) = self.topics["rawblock"].receive_all(1)
        assert_equal(Header.parse(raw[:SIZE]), header)
        assert_equal(raw.hex(), self.node.getblock(self.block, 0))
        coinbase, *_ = self.node.getblock(self.block, 2)["tx"]
        # Entered the mempool, then both of the block.
        wanted = sorted([tx["hex"], coinbase["hex"], tx["hex"]])
        assert_equal(sorted(body.hex() for body in self.topics["rawtx"].receive_all(3)), wanted)
        events = [self.event(body) for body in self.topics["sequence"].receive_all(2)]
        assert_equal(events, [(tx["txid"], "A"), (self.block, "C")])

    def event(self, body: bytes):
        """Hash and label of a sequence message."""
        return body[:32].hex(), chr(body[32])

    def check_put_aside(self):
        self.log.info("A PoDL block put aside and taken back")
        self.node.invalidateblock(self.block)
        (event, *others) = [self.event(body) for body in self.topics["sequence"].receive_all(2)]
        assert_equal((event, [label for _, label in others]), ((self.block, "D"), ["A"]))
        self.node.reconsiderblock(self.block)
        assert_equal(self.event(self.topics["sequence"].receive()), (self.block, "C"))
        # Bitcoin Core names new tips here, not the one that is left when a block is put aside.
        assert_equal([body.hex() for body in self.topics["hashblock"].receive_all(1)], [self.block])
        self.topics["rawblock"].receive_all(1)
        self.log.info("Nothing is said of headers that are only committed to")
        Round(self.requester, self.node, [Miner(self.requester, "miner")]).commit().close().reveal()
        assert not any(
            subscriber.socket.poll(POLL_MS) for name, subscriber in self.topics.items() if name != "rawtx"
        )


if __name__ == "__main__":
    PodlZmqBlocksTest(__file__).main()
