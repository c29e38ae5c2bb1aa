#!/usr/bin/env python3
"""A node under every flood that peers can make, while an honest height is played: what it costs, and when.

Node 1 has requester and miner; node 0 hears of them by P2P alone, between hostile peers that flood it with
commitments, entries, reveals that claim everything, chunks, half messages and half transfers. All numbers are
bounded, everything stays on loopback. `--scale` multiplies the floods; the table is the one in
docs/security.md.
"""

import itertools
import struct
import time

import podl_framework  # noqa: F401 - sets the import path
import psutil
from podl_framework import p2p
from podl_framework.actors import Miner, Requester, client, judge, named_bytes
from podl_framework.base import PodlTestFramework
from podl_framework.p2p import BODY, COMMITMENT, DATA, ENTRY, REVEAL, PodlPeer
from podl_framework.rounds import Round
from podl_framework.toy import CLASSES, FEATURES, PROGRAMS, SHARD_SIZE
from test_framework.util import assert_equal

from podl_tools.merkle import chunk_count
from podl_tools.program import parse_program
from podl_tools.training_run import TrainedModel

MAX_PHASE = 60
POOL = 24
LIARS = 8
PEERS = 6
KEPT = 16  # entries without predecessor
BUFFER = 8 << 20
DISK = 4 << 20
# Weights of two chunks: one of them may be given, and the other one held back.
WIDE = parse_program(f"input {FEATURES}, dense 900, dense 90, output {CLASSES}")
# Bytes of resident memory: the buffers, and what Core keeps for peers and messages.
GROWTH = BUFFER + (96 << 20)
# What a height leaves: the winner's objects, its body until Core's own files are flushed, its model in time.
ONE = {"weights": 1, "shard": 1}
WINNERS = [ONE | more for more in ({}, {"body": 1}, {"model": 1}, {"body": 1, "model": 1})]


def untrained(number: int) -> TrainedModel:
    """Weights that nobody trained: a claim of everything is false."""
    weight = number + 1
    masters = struct.pack("<i", weight << 16) * WIDE.n_params
    roots = ((named_bytes(f"M {number}"), named_bytes(f"V {number}")),) * 2
    return TrainedModel(masters, bytes([weight]) * WIDE.n_params, roots)


class Flooder(PodlPeer):
    """Serves what it is told to, of several chunks the first one alone, and withholds everything else."""

    def __init__(self, chain_id, objects):
        super().__init__(chain_id)
        self.objects = objects
        self.asked = 0

    def on_podlgetdata(self, message):
        kind, name, chunk = p2p.read_getdata(message.payload)
        self.asked += kind >= BODY
        whole = self.objects.get((kind, name))
        if whole is not None and chunk == 0:
            self.send_without_ping(p2p.data(kind, name, whole))


class PodlFloodsTest(PodlTestFramework):
    """The honest tip arrives within half of Phase 2."""

    def set_test_params(self):
        self.num_nodes = 2
        self.extra_args = [["-debug=0"], []]

    def add_options(self, parser):
        super().add_options(parser)
        parser.add_argument("--scale", type=int, default=1, help="how many times the usual flood")

    def make_requester(self):
        limits = {"list_size": POOL, "pool_size": POOL, "buffer_bytes": BUFFER, "disk_bytes": DISK}
        return Requester(
            first_height=self.podl_height, programs=(*PROGRAMS, WIDE), max_phase=MAX_PHASE, **limits
        )

    def run_test(self):
        self.node, self.honest = self.nodes
        self.chain_id = self.requester.log.chain_id
        self.rows = []
        self.peers = []
        self.mine_to_podl()
        self.process = psutil.Process(self.node.process.pid)
        self.miner = Miner(self.requester, "honest")
        self.objects = {}
        self.peers = [self.connect() for _ in range(PEERS)]
        self.note("before")
        self.play()
        self.node.disconnect_p2ps()
        self.note("after the height")
        self.check_limits()
        for row in self.rows:
            self.log.info(row)

    def connect(self):
        return self.node.add_p2p_connection(Flooder(self.chain_id, self.objects))

    def note(self, name):
        """Add a row: resident memory, processor time, bytes of podl/."""
        folder = self.node.chain_path / "podl"
        disk = sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
        times = self.process.cpu_times()
        self.memory = self.process.memory_info().rss
        self.rows.append(
            f"| {name} | {self.memory / 2**20:.0f} MiB | {disk / 2**10:.0f} KiB "
            f"| {times.user + times.system:.1f} s |"
        )
        return self.memory

    def play(self):
        """Play a height with every flood in its phase."""
        base = self.memory
        self.current = Round(self.requester, self.honest, [self.miner])
        self.liars = [Miner(self.requester, f"liar {i}", architecture=2, epochs=1) for i in range(LIARS)]
        self.false = [liar.commit(self.honest, trained=untrained(i)) for i, liar in enumerate(self.liars)]
        self.current.commit()
        self.flood_commitments()
        self.current.kept, mine = [*self.false, *self.current.kept], self.current.kept
        self.current.close()
        begin = time.monotonic()
        self.flood_reveals()
        self.flood_entries()
        self.flood_orphans()
        self.flood_chunks()
        self.half_messages()
        honest = self.miner.reveal_all(self.honest, mine[0], self.current.release)
        self.wait_until(lambda: self.measured(mine[0].hash_hex), timeout=MAX_PHASE)
        self.valid_after = time.monotonic() - begin
        self.log.info(f"The honest candidate is measured {self.valid_after:.1f} s after the release")
        judge(self.honest, self.requester)
        self.requester.publish(self.requester.final(honest), self.honest)
        self.wait_until(lambda: self.node.getbestblockhash() == mine[0].hash_hex, timeout=MAX_PHASE)
        seconds = time.monotonic() - begin
        self.log.info(f"The honest tip arrives after {seconds:.1f} s, Phase 2 has {MAX_PHASE} s")
        assert seconds < MAX_PHASE / 2, seconds
        peak = self.note("at the tip")
        assert peak - base < GROWTH, (base, peak)

    def measured(self, hash_hex):
        """Do what the node asks its evaluator to do, and look whether a candidate is found good."""
        judge(self.node, self.requester, limit=1000)
        states = {c["hash"]: c["state"] for c in self.node.listpodlcandidates()["candidates"]}
        return states.get(hash_hex) == "valid"

    def flood_commitments(self):
        """Send distinct headers with a stamp for the open height, many times the pool."""
        header = self.false[0].disclosure.header.serialize()
        at = 76  # nNonce
        headers = {}
        for nonce in itertools.count():
            if len(headers) == 1000 * self.options.scale:
                break
            changed = header[:at] + struct.pack("<I", nonce) + header[at + 4 :]
            name = p2p.block_hash(changed)
            if name[-1] < 0x7F:  # regtest's proof of work
                headers[COMMITMENT, name] = changed
        self.objects.update(headers)
        self.announce(headers)
        self.wait_until(lambda: self.node.getpodlinfo()["commitments"] == POOL)
        self.settle()
        assert_equal(self.node.getpodlinfo()["commitments"], POOL)
        self.note(f"{len(headers)} commitments announced by each of {PEERS} peers")

    def announce(self, objects):
        names = list(objects)
        for peer in self.peers:
            for start in range(0, len(names), 256):
                peer.send_without_ping(p2p.inv(*names[start : start + 256]))

    def settle(self):
        """Wait until the node has worked off what peers have sent."""
        for peer in self.peers:
            peer.sync_with_ping()

    def flood_reveals(self):
        """Listed liars claim everything, and most of it; their bytes are half there, or withheld."""
        # New peers: what one peer may have announced is used up by the commitments.
        self.peers = [self.connect() for _ in range(PEERS)]
        release = self.current.release
        reveals = {}
        for liar, kept in zip(self.liars, self.false, strict=True):
            for claim in range(SHARD_SIZE - 16, SHARD_SIZE + 1):
                reveal = liar.reveal(kept, release, claim)
                reveals[REVEAL, reveal.id] = reveal.serialize()
        self.objects.update(reveals)
        self.announce(reveals)
        known = {}
        for kept in self.false:
            known[BODY, kept.hash] = kept.block
            known[DATA, kept.trained.weights_root] = kept.trained.weights
            known[DATA, kept.trained.model_root] = kept.trained.model
        half = list(known)[: len(known) // 2]
        self.objects.update({name: known[name] for name in half if name[0] == DATA})
        self.announce(known)
        self.settle()
        self.wait_until(lambda: len(self.node.listpodlcandidates()["candidates"]) == LIARS)
        self.note(f"{len(reveals)} claims of {LIARS} listed headers, announced by each peer")

    def flood_entries(self):
        """Old valid entries again and again; then forged ones until the connection is given up."""
        entries = [entry.serialize() for entry in self.requester.log.entries]
        for _ in range(200 * self.options.scale):
            self.peers[0].send_without_ping(p2p.schedule(entries))
            self.peers[0].send_without_ping(p2p.data(ENTRY, self.current.release.id, entries[-1]))
        self.settle()
        release = self.current.release
        lost = 0
        for number in range(5 * self.options.scale):
            forger = self.connect()
            forged = {}
            for i in range(20):
                signed = self.requester.sign(release.body, at=release.time + number * 20 + i)
                forged[ENTRY, signed.id] = signed.serialize()[:-64] + bytes(64)
            self.objects.update(forged)
            forger.send_without_ping(p2p.inv(*forged))
            forger.wait_for_disconnect()
            lost += 1
        self.note(f"{400 * self.options.scale} old entries, {lost} connections of forgers")

    def flood_orphans(self):
        """Entries that the requester has signed behind entries that nobody has."""
        body = self.current.release.body
        signed = [self.requester.sign(body, prev=named_bytes(f"entry {i}")) for i in range(3 * KEPT)]
        orphans = {(ENTRY, entry.id): entry.serialize() for entry in signed}
        self.objects.update(orphans)
        self.peers[2].send_without_ping(p2p.inv(*orphans))
        self.wait_until(lambda: len(self.missing_entries()) >= KEPT)
        self.note(f"{len(orphans)} signed entries without predecessor")

    def missing_entries(self):
        """Ids of the entries that the node waits for."""
        return {w["id"] for w in self.node.getpodlinfo()["waiting"] if w["what"] == "entry"}

    def flood_chunks(self):
        """Chunks that nobody asked for, of objects that nobody names and of those that are wanted."""
        foreign = bytes(range(256)) * 1024
        wanted = self.false[-1].trained
        peer = self.peers[1]
        chunks = [p2p.data(DATA, named_bytes("nobody"), foreign, i) for i in range(chunk_count(len(foreign)))]
        chunks.append(p2p.data(DATA, wanted.model_root, wanted.model, 1))
        for _ in range(40 * self.options.scale):
            for chunk in chunks:
                peer.send_without_ping(chunk)
        self.settle()
        self.note(f"{40 * self.options.scale * len(chunks)} chunks of 64 KiB that nobody asked for")

    def half_messages(self):
        """Peers that announce a message of the largest size, send a little of it, and nothing more."""
        for peer in self.peers[2:4]:
            raw = peer.build_message(p2p.data(DATA, named_bytes("slow"), bytes(64 << 10)))
            peer.send_raw_message(raw[: 20 + 1000])
        self.note("two half messages")

    def check_limits(self):
        self.log.info("Nothing of it is kept")
        info = self.node.getpodlinfo()
        assert_equal((info["state"], info["alarms"], info["commitments"]), ("running", [], 0))
        assert_equal(len(self.missing_entries()), KEPT)
        held = {path.name for path in (self.node.chain_path / "podl" / "data").iterdir()}
        kinds = sorted(name.split("-")[0] for name in held)
        assert {kind: kinds.count(kind) for kind in kinds} in WINNERS, held
        assert_equal({tip["status"] for tip in self.node.getchaintips()}, {"active"})
        assert all(peer.asked for peer in self.peers[:1])
        assert client(self.node).info().digest == self.requester.log.last_id


if __name__ == "__main__":
    PodlFloodsTest(__file__).main()
