#!/usr/bin/env python3
"""What a node gives to peers, and how it fetches from peers that are silent, lie, or know nothing.

Node 0 plays two heights by RPC. Node 1 sees the world only through scripted peers.
"""

import podl_framework  # noqa: F401 - sets the import path
from podl_framework import p2p
from podl_framework.actors import Miner, Requester, judge, named_bytes
from podl_framework.base import PodlTestFramework
from podl_framework.p2p import BODY, COMMITMENT, DATA, ENTRY, REVEAL, PodlPeer
from podl_framework.rounds import Round
from podl_framework.toy import CLASSES, FEATURES
from test_framework.util import assert_equal
from test_framework.wallet import MiniWallet

from podl_tools.merkle import chunk_count, data_proof, verify_chunk
from podl_tools.program import parse_program

UNKNOWN = named_bytes("nobody has this")
# Wide enough for weights of two chunks and a model of six.
WIDE = parse_program(f"input {FEATURES}, dense 900, dense 90, output {CLASSES}")


class PodlFetchTest(PodlTestFramework):
    """Objects move chunk by chunk, from whoever has them."""

    podl_height = 105

    def set_test_params(self):
        self.num_nodes = 2
        self.extra_args = [["-debug=podl", "-datacarriersize=100000"], ["-debug=podl"]]

    def make_requester(self):
        return Requester(first_height=self.podl_height, programs=(WIDE,))

    def setup_network(self):
        self.setup_nodes()

    def run_test(self):
        self.chain_id = self.requester.log.chain_id
        node, other = self.nodes
        wallet = MiniWallet(node)
        self.generate(wallet, self.podl_height - 1, sync_fun=self.no_op)
        wallet.send_self_transfer(from_node=node, target_vsize=80_000)
        miner = Miner(self.requester, "only", epochs=1)
        self.round = Round(self.requester, node, [miner]).commit()
        self.check_early_commitment(node, other)
        self.check_nothing_early(node)
        self.round.close()
        self.reveal = self.round.reveal().judge().best()
        self.check_serving(node)
        self.round.finish()
        self.objects = self.held_objects()
        self.check_fetching(other)
        self.check_proven_offences(other)
        self.check_later_is_no_offence(other)

    def connect(self, node):
        return node.add_p2p_connection(PodlPeer(self.chain_id))

    def held_objects(self):
        """Everything that the first height's final names, as (type, id) -> bytes."""
        kept, release = self.round.kept[0], self.round.release
        trained = kept.trained
        return {
            (BODY, kept.hash): kept.block,
            (DATA, trained.weights_root): trained.weights,
            (DATA, trained.model_root): trained.model,
            (DATA, release.body.test_root): self.requester.shard_data(release),
        }

    def check_early_commitment(self, node, other):
        self.log.info("A first commitment is fetched again when its parent is the tip")
        kept = self.round.kept[0]
        peer = self.connect(other)
        peer.send_without_ping(p2p.inv((COMMITMENT, kept.hash)))
        peer.wait_for_request(COMMITMENT, kept.hash)
        with other.assert_debug_log(["podl-commit-prev"]):
            peer.forget()
            peer.send_and_ping(p2p.data(COMMITMENT, kept.hash, kept.disclosure.header.serialize()))
        for height in range(1, self.podl_height):
            other.submitblock(node.getblock(node.getblockhash(height), 0))
        assert_equal(other.getbestblockhash(), node.getbestblockhash())
        peer.wait_for_request(COMMITMENT, kept.hash)
        peer.send_and_ping(p2p.data(COMMITMENT, kept.hash, kept.disclosure.header.serialize()))
        assert_equal([c["hash"] for c in other.listpodlcommitments()["commitments"]], [kept.hash_hex])
        other.disconnect_p2ps()

    def check_nothing_early(self, node):
        self.log.info("Before the release only the commitment is given away")
        kept = self.round.kept[0]
        peer = self.connect(node)
        peer.wait_for("podlinv", lambda p: (COMMITMENT, kept.hash) in p2p.read_inv(p))
        assert_equal(peer.fetch(COMMITMENT, kept.hash), kept.disclosure.header.serialize())
        trained = kept.trained
        for root in (trained.weights_root, trained.model_root):
            assert_equal(peer.fetch(DATA, root), None)
        assert_equal(peer.fetch(BODY, kept.hash), None)
        for shard in self.requester.sealed.shards:
            assert_equal(peer.fetch(DATA, shard.root), None)
        node.disconnect_p2ps()

    def check_serving(self, node):
        self.log.info("Everything of an open round is announced and served, with proofs, a few times")
        peer = self.connect(node)
        objects = self.held_objects()
        announced = {(REVEAL, self.reveal.id), *objects}
        peer.wait_until(
            lambda: announced <= {o for n, p in peer.received if n == "podlinv" for o in p2p.read_inv(p)}
        )
        assert_equal(peer.fetch(ENTRY, self.round.release.id), self.round.release.serialize())
        assert_equal(peer.fetch(REVEAL, self.reveal.id), self.reveal.serialize())
        for (kind, object_id), whole in objects.items():
            assert_equal(peer.fetch(kind, object_id), whole)
            if kind == DATA:
                for i in range(chunk_count(len(whole))):
                    answer = peer.ask(kind, object_id, i)
                    assert verify_chunk(answer.bytes, i, answer.size, answer.path, object_id)
        assert_equal(chunk_count(len(self.round.kept[0].block)), 2)
        root = self.round.kept[0].trained.weights_root
        assert_equal(peer.ask(DATA, root, 1).size is None, False)
        assert_equal(peer.ask(DATA, root, 1).size, None)  # served three times
        assert_equal(peer.ask(DATA, root, 2).size, None)  # behind the end
        for kind in (ENTRY, COMMITMENT, REVEAL, BODY, DATA):
            assert_equal(peer.fetch(kind, UNKNOWN), None)
        everything = [e.serialize() for e in self.requester.log.entries]
        assert_equal(peer.ask_schedule(bytes(32)), (False, everything))
        assert_equal(peer.ask_schedule(UNKNOWN), (False, everything))
        assert_equal(peer.ask_schedule(self.chain_id), (False, everything[1:]))
        assert_equal(peer.ask_schedule(self.requester.log.last_id), (False, []))
        node.disconnect_p2ps()

    def check_fetching(self, node):
        self.log.info("The schedule comes in pages; what it names is wanted")
        peer = self.connect(node)
        peer.wait_for("getpodlsched", lambda p: p == self.chain_id)
        peer.wait_until(lambda: peer.message_count["getheaders"] == 1)
        peer.send_without_ping(p2p.no_headers())
        release, final = self.requester.log.entries[1:]
        peer.send_without_ping(p2p.schedule([release.serialize()], more=True))
        peer.wait_for("getpodlsched", lambda p: p == release.id)
        peer.send_without_ping(p2p.schedule([final.serialize()]))
        weights_root = self.round.kept[0].trained.weights_root
        peer.wait_for_request(DATA, weights_root)
        peer.wait_until(lambda: peer.message_count["getheaders"] == 2)  # a final admits more headers

        self.log.info("A chunk with a bad proof; the other peer is asked")
        peer.forget()
        second = self.connect(node)
        second.wait_for("getpodlsched")
        weights = self.objects[DATA, weights_root]
        path = list(data_proof(weights, 0))
        wrong = bytes([weights[0] ^ 1]) + weights[1:]  # never the true one, whatever was trained
        peer.send_without_ping(p2p.data(DATA, weights_root, wrong, path=path))
        second.wait_for_request(DATA, weights_root)
        assert peer.is_connected

        self.log.info("The second peer sends one chunk and falls silent; the third one sends the rest")
        second.send_without_ping(p2p.data(DATA, weights_root, weights))
        second.wait_for_request(DATA, weights_root, 1)
        third = self.connect(node)
        third.wait_for_request(DATA, weights_root, 1)
        third.send_without_ping(p2p.data(DATA, weights_root, weights, 1))
        self.wait_until(lambda: "weights" not in self.waiting(node))
        assert second.is_connected

        self.log.info("A body in two chunks from one peer")
        self.serve_all(node, third)
        self.wait_until(lambda: "body" not in self.waiting(node) and "shard" not in self.waiting(node))
        judge(node, self.requester)
        self.wait_until(lambda: node.getbestblockhash() == self.nodes[0].getbestblockhash())
        assert_equal(node.getpodlinfo()["alarms"], [])
        node.disconnect_p2ps()

    def waiting(self, node):
        return [w["what"] for w in node.getpodlinfo()["waiting"]]

    def serve_all(self, node, peer):
        """Answer every request of the node until it wants nothing more that is known here."""
        answered = 0

        def serve():
            nonlocal answered
            requests = peer.of("podlgetdata")
            for payload in requests[answered:]:
                kind, object_id, chunk = p2p.read_getdata(payload)
                whole = self.objects.get((kind, object_id))
                known = whole is not None and chunk < chunk_count(len(whole))
                peer.send_without_ping(
                    p2p.data(kind, object_id, whole, chunk) if known else p2p.notfound(kind, object_id, chunk)
                )
            answered = len(requests)
            return not {"body", "weights", "shard"} & set(self.waiting(node))

        for object_ref in self.objects:
            peer.send_without_ping(p2p.inv(object_ref))
        self.wait_until(serve)

    def check_proven_offences(self, node):
        self.log.info("Two proven offences make a peer misbehaving")
        garbage = [bytes(112), b"\x01" * 300]
        liar = self.connect(node)
        with node.assert_debug_log(["podl-data-root"]):
            for number, whole in enumerate(garbage):
                kind = COMMITMENT if len(whole) == 112 else REVEAL
                wrong_id = named_bytes(f"wrong {number}")
                assert liar.is_connected
                liar.send_without_ping(p2p.inv((kind, wrong_id)))
                liar.wait_for_request(kind, wrong_id)
                liar.send_without_ping(p2p.data(kind, wrong_id, whole))
            liar.wait_for_disconnect()
        signed = self.requester.sign(self.requester.log.entries[1].body)
        bad = signed.serialize()[:-64] + bytes(64)
        with node.assert_debug_log(["podl-entry-badsig"]):
            forger = self.connect(node)
            for _ in range(2):
                forger.forget()
                forger.send_without_ping(p2p.inv((ENTRY, signed.id)))
                forger.wait_for_request(ENTRY, signed.id)
                forger.send_without_ping(p2p.data(ENTRY, signed.id, bad))
            forger.wait_for_disconnect()

    def check_later_is_no_offence(self, node):
        self.log.info("What must wait blames nobody")
        peer = self.connect(node)
        header = self.round.kept[0].disclosure.header
        orphan = self.requester.sign(self.requester.log.entries[1].body, prev=UNKNOWN)
        late = [
            (COMMITMENT, header.serialize(), header.hash),
            (REVEAL, self.reveal.serialize(), self.reveal.id),
        ]
        late.append((ENTRY, orphan.serialize(), orphan.id))
        peer.wait_for("getpodlsched")
        peer.send_without_ping(p2p.schedule([]))
        peer.forget()
        for kind, whole, object_id in late:
            peer.send_without_ping(p2p.inv((kind, object_id)))
            peer.wait_for_request(kind, object_id)
            peer.send_without_ping(p2p.data(kind, object_id, whole))
        peer.wait_for("getpodlsched")  # for the orphan
        peer.sync_with_ping()
        assert peer.is_connected


if __name__ == "__main__":
    PodlFetchTest(__file__).main()
