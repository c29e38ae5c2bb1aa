#!/usr/bin/env python3
"""The stream of -zmqpubpodl.

Two subscribers, one on TCP and one on a UNIX socket, follow a whole height: commitments, release, reveal,
bytes, verdict, final. Every message must have its topic's form, the sequence of each socket must have no gap
over all topics, and what the messages name must be what was accepted. Then the options: listed by
getzmqnotifications, counted anew after a restart, refused with a clear error where they cannot work.
"""

from __future__ import annotations

import socket
from dataclasses import replace
from pathlib import Path

import podl_framework  # noqa: F401 - sets the import path
import zmq
from podl_framework.actors import Miner, client
from podl_framework.base import PodlTestFramework
from podl_framework.rounds import Round
from test_framework.test_node import ErrorMatch
from test_framework.util import assert_equal, p2p_port

from podl_tools.chain.data import Kind
from podl_tools.chain.events import Event, parse_event
from podl_tools.header import grind

POLL_MS = 200
RECEIVE_MS = 60_000
MAX_HWM = 1000


class Subscriber:
    """Reads a socket's whole stream and insists on its sequence."""

    def __init__(self, context: zmq.Context[zmq.Socket[bytes]], address: str) -> None:
        self.socket = context.socket(zmq.SUB)
        self.socket.setsockopt(zmq.RCVTIMEO, RECEIVE_MS)
        self.socket.setsockopt(zmq.SUBSCRIBE, b"podl")
        self.socket.connect(address)
        self.expected: int | None = None

    def receive(self) -> Event:
        """Wait for the next message."""
        event = parse_event(self.socket.recv_multipart())
        assert event is not None
        assert self.expected in (None, event.sequence), (self.expected, event)
        self.expected = event.sequence + 1
        return event

    def receive_until(self, topic: str, body: bytes) -> list[Event]:
        """Read messages up to the one given, and return them all."""
        events = [self.receive()]
        while (events[-1].topic, events[-1].body) != (topic, body):
            events.append(self.receive())
        return events


class ZmqPodlTest(PodlTestFramework):
    """The stream of -zmqpubpodl."""

    def set_test_params(self) -> None:
        """Use one node."""
        self.num_nodes = 1

    def skip_test_if_missing_module(self) -> None:
        """Skip in a build without ZMQ."""
        self.skip_if_no_bitcoind_zmq()

    def run_test(self) -> None:
        """Follow a height, then try the options."""
        self.address = f"tcp://127.0.0.1:{p2p_port(self.num_nodes + 1)}"
        self.unix_path = Path(self.options.tmpdir) / "podl.sock"
        self.addresses = [self.address, f"ipc://{self.unix_path}"]
        self.own_args = [f"-zmqpubpodl={self.address}", f"-zmqpubpodl=unix:{self.unix_path}"]
        self.mine_to_podl()
        context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
        try:
            self.follow_height(context)
            self.check_restart(context)
        finally:
            context.destroy(linger=0)
        self.check_errors()

    def restart(self, *options: str) -> None:
        """Restart the node with both addresses and more options."""
        self.restart_node(0, [*self.podl_args(), *self.own_args, *options])

    def subscribe(self, context: zmq.Context[zmq.Socket[bytes]]) -> list[Subscriber]:
        """Connect to both sockets; commit to arbitrary models until both subscriptions have arrived."""
        subscribers = [Subscriber(context, address) for address in self.addresses]
        waiting = list(subscribers)
        while waiting:
            sent = self.commit_to_nothing()
            first = waiting[0]
            if not first.socket.poll(POLL_MS):
                continue
            event = waiting.pop(0).receive()
            assert_equal(event.topic, "podlcommitment")
            while event.body.hex() != sent:
                event = first.receive()
            # One socket sends the same messages as the other, and both have sent each of them.
            assert_equal(event.sequence, self.committed - 1)
        last = self.commit_to_nothing()
        for subscriber in subscribers:
            subscriber.receive_until("podlcommitment", bytes.fromhex(last))
        return subscribers

    def commit_to_nothing(self) -> str:
        """Commit to a model hash that nobody can open; return the block hash."""
        self.committed += 1
        header = replace(self.template_header, model_hash=self.committed.to_bytes(32, "big"))
        header = grind(header, self.requester.task.stamp_bits)
        answer = client(self.nodes[0]).submit_commitment(header.serialize())
        assert_equal(answer.status, "accepted")
        return header.hash[::-1].hex()

    def start_counting(self, *options: str) -> None:
        """Restart, so that both sockets count from 0."""
        self.restart(*options)
        self.committed = 0

    def follow_height(self, context: zmq.Context[zmq.Socket[bytes]]) -> None:
        """Play a height and read along."""
        self.log.info("Both subscriptions arrive")
        node = self.nodes[0]
        miner = Miner(self.requester, "first")
        kept = miner.prepare(node)
        self.template_header = kept.disclosure.header
        self.start_counting()
        subscribers = self.subscribe(context)

        self.log.info("Commitment, release, reveal")
        current = Round(self.requester, node, [miner]).commit()
        kept = current.kept[0]
        shown = kept.hash[::-1]
        current.close()
        reveal = miner.reveal(kept, current.release)
        assert_equal(str(client(node).submit_reveal(reveal.serialize())), "accepted")
        topics = [("podlcommitment", shown), ("podlentry", current.release.id), ("podlcandidate", shown)]
        for subscriber in subscribers:
            for topic in topics:
                subscriber.receive_until(*topic)

        self.log.info("Each kind of bytes that comes changes the candidate")
        for kind in (Kind.WEIGHTS, Kind.MODEL, Kind.BODY):
            miner.upload(node, kept, kind)
            node.syncpodl()
            for subscriber in subscribers:
                subscriber.receive_until("podlcandidate", shown)
        current.reveals = [reveal]

        self.log.info("Verdict and final")
        opening = kept.disclosure.opening
        current.judge()
        verdict = opening.weights_root + current.release.body.test_root
        for subscriber in subscribers:
            subscriber.receive_until("podlverdict", verdict)
        self.requester.publish(self.requester.final(reveal), node)
        node.syncpodl()
        assert_equal(node.getbestblockhash(), shown.hex())
        for subscriber in subscribers:
            subscriber.receive_until("podlentry", self.requester.log.last_id)
        self.check_refusals_are_silent(subscribers)

    def check_refusals_are_silent(self, subscribers: list[Subscriber]) -> None:
        """Send what is known or wrong; the next message must be that of a new entry."""
        self.log.info("Nothing is published about what was not accepted")
        node = self.nodes[0]
        client(node).submit_entry(self.requester.log.entries[-1].serialize())
        node.submitpodlentry("00")
        node.submitpodlcommitment("00" * 112)
        node.syncpodl()
        tip = bytes.fromhex(node.getbestblockhash())[::-1]
        miner = Miner(self.requester, "second")
        kept = miner.commit(node)
        self.template_header = kept.disclosure.header
        assert_equal(self.template_header.prev_block, tip)
        for subscriber in subscribers:
            drained = subscriber.receive_until("podlcommitment", kept.hash[::-1])
            assert all(event.topic == "podlcandidate" for event in drained[:-1]), drained

    def check_restart(self, context: zmq.Context[zmq.Socket[bytes]]) -> None:
        """Find the counters at 0 again and the sockets listed."""
        self.log.info("After a restart the sequence starts at 0; getzmqnotifications lists the sockets")
        listed = [{"type": "pubpodl", "address": address, "hwm": MAX_HWM} for address in self.addresses]
        assert_equal(self.nodes[0].getzmqnotifications(), listed)
        self.start_counting(
            "-zmqpubpodlhwm=7", f"-zmqpubhashblock=tcp://127.0.0.1:{p2p_port(self.num_nodes + 2)}"
        )
        self.subscribe(context)
        listed = self.nodes[0].getzmqnotifications()
        assert_equal(
            [(item["type"], item["hwm"]) for item in listed],
            [("pubhashblock", MAX_HWM), ("pubpodl", 7), ("pubpodl", 7)],
        )

    def check_errors(self) -> None:
        """Addresses that cannot work."""
        self.log.info("Addresses that cannot be used stop the start")
        self.stop_node(0)
        cannot = "Error: Cannot publish on -zmqpubpodl="
        podl = f"-zmqpubpodl={self.address}"
        self.refuse_start([podl, podl], cannot)
        self.refuse_start([podl, f"-zmqpubhashblock={self.address}"], cannot)
        self.refuse_start(["-zmqpubpodl=127.0.0.1:65536"], "Error: Invalid port specified in -zmqpubpodl")
        self.refuse_start(["-zmqpubpodl=tcp://127.0.0.1:65536"], cannot)
        self.refuse_start(["-zmqpubpodl=nothing://127.0.0.1:28332"], cannot)
        with socket.socket() as other:
            other.bind(("127.0.0.1", 0))
            other.listen()
            taken = f"tcp://127.0.0.1:{other.getsockname()[1]}"
            self.refuse_start([f"-zmqpubpodl={taken}"], cannot)
        self.log.info("It needs PoDL")
        plain = Path(self.options.tmpdir) / "plain"
        plain.mkdir()
        ordinary = ["-regtest", f"-datadir={plain}", podl]
        self.refuse_start(ordinary, "Error: -zmqpubpodl is set, but proof of deep learning", podl=False)

    def refuse_start(self, options: list[str], message: str, *, podl: bool = True) -> None:
        """Expect an error at start."""
        args = [*(self.podl_args() if podl else []), *options]
        self.nodes[0].assert_start_raises_init_error(args, message, match=ErrorMatch.PARTIAL_REGEX)


if __name__ == "__main__":
    ZmqPodlTest(__file__).main()
