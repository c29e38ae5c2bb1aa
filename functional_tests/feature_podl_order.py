#!/usr/bin/env python3
"""One history, told to several nodes in different orders with mishaps in between: all end in the same place.

Node 0 plays random heights and writes every message down. The others know it only from peers and users that
tell them everything in orders of their own, with spoilt copies in between, while they are stopped, killed and
left without an evaluator. Then all are connected. `--randomseed` repeats a run, `--histories` plays more.
"""

from contextlib import suppress
from random import Random, getrandbits

import podl_framework  # noqa: F401 - sets the import path
from podl_framework.actors import Requester, client, judge
from podl_framework.base import PodlTestFramework
from podl_framework.histories import Scribe
from podl_framework.teller import Teller
from test_framework.util import assert_equal

HEIGHTS = 2


class PodlOrderTest(PodlTestFramework):
    """Tip, winners, schedule, pool and open round do not depend on the order."""

    def set_test_params(self):
        self.num_nodes = 4
        # The last two measure by themselves; the last one wants a second evaluator as well.
        modes = [[], [], ["-podlevaluator=internal"], ["-podlevaluator=both"]]
        self.extra_args = [["-debug=podl", "-debug=net", *mode] for mode in modes]

    def add_options(self, parser):
        super().add_options(parser)
        parser.add_argument(
            "--histories", type=int, default=2, help="histories, one behind the other (default: %(default)s)"
        )

    def make_requester(self):
        shards = 2 * (HEIGHTS + 1) * self.options.histories
        return Requester(
            first_height=self.podl_height, n_shards=shards, max_phase=10, list_size=4, pool_size=4
        )

    def setup_network(self):
        self.setup_nodes()

    def run_test(self):
        seed = getrandbits(64)
        self.log.info(f"Orders follow from {seed}, and that from --randomseed")
        self.rng = Random(seed)
        self.generate(self.nodes[0], self.podl_height - 1, sync_fun=self.no_op)
        self.base = [
            self.nodes[0].getblock(self.nodes[0].getblockhash(h), 0) for h in range(1, self.podl_height)
        ]
        self.scribe = Scribe(self.requester, self.nodes[0], self.rng)
        for number in range(self.options.histories):
            told = self.scribe.play(HEIGHTS)
            self.log.info(
                f"History {number}: {len(told)} messages, {sum(not m.is_good for m in told)} of them bad"
            )
            for node in self.nodes[1:]:
                self.tell(node, told)
            self.check_meeting()

    def give_base(self, node):
        """The ordinary blocks; a node that is killed has not written them to disk."""
        for block in self.base:
            node.submitblock(block)

    def connect(self, node):
        return node.add_p2p_connection(Teller(self.requester.log.chain_id))

    def tell(self, node, told):
        """Tell a node all messages in an order of its own, until nothing is left to tell."""
        self.give_base(node)
        order = self.rng.sample(told, len(told))
        mishaps = {self.rng.randrange(len(order)): kind for kind in ("stop", "kill", "judge", "judge")}
        self.log.info(f"Node {node.index}: mishaps {mishaps}")
        self.honest, self.liar = self.connect(node), self.connect(node)
        for number, message in enumerate(order):
            if number in mishaps:
                self.mishap(node, mishaps[number])
            if self.rng.random() < 0.5:
                self.tell_by_rpc(node, message)
            else:
                self.tell_by_peer(node, message)
            assert self.honest.is_connected
        self.tell_again(node, [m for m in order if m.is_good])
        assert self.honest.is_connected
        node.disconnect_p2ps()

    def tell_by_rpc(self, node, message):
        """Hand a message in; a good one is never refused, a bad one never taken."""
        answer = message.submit(node)
        assert answer.status in (
            ("accepted", "duplicate", "later") if message.is_good else ("refused", "later", "duplicate")
        ), (message, answer)

    def tell_by_peer(self, node, message):
        """Announce a message: the good ones by a peer that must not come to harm."""
        offered = [(message.kind, message.id, message.data)]
        if message.is_good:
            self.honest.offer(offered)
            self.honest.sync_with_ping()
            return
        if not self.liar.is_connected:
            self.liar = self.connect(node)
        with suppress(OSError):  # the node has just had enough of it
            self.liar.offer(offered)

    def mishap(self, node, kind):
        """The evaluator is back for a moment, or the node goes down and its peers find it again."""
        if kind == "judge":
            self.judge(node)
            return
        known = self.honest.objects
        node.disconnect_p2ps()
        if kind == "kill":
            node.kill_process()
            self.start_node(node.index)
            self.give_base(node)
        else:
            self.restart_node(node.index)
        self.honest, self.liar = self.connect(node), self.connect(node)
        self.honest.offer([(*key, data) for key, data in known.items()])

    def judge(self, node):
        """Do a sidecar's work where the node has one."""
        if node.getpodlinfo()["evaluator"] != "internal":
            judge(node, self.requester)

    def tell_again(self, node, good):
        """Everything once more, until the node stands where the scribe's stands."""

        def same():
            self.honest.offer([(m.kind, m.id, m.data) for m in good])
            self.judge(node)
            return self.outcome(node) == self.outcome(self.nodes[0])

        self.wait_until(same, check_interval=0.5)

    def outcome(self, node):
        """Schedule, chain, pool and the open round's ranking."""
        node.syncpodl()
        info = node.getpodlinfo()
        chain = [node.getblockhash(h) for h in range(self.podl_height, node.getblockcount() + 1)]
        pool = sorted(c["hash"] for c in node.listpodlcommitments()["commitments"])
        candidates = node.listpodlcandidates()["candidates"]
        valid = [c for c in candidates if c["state"] == "valid"]
        ranked = sorted(valid, key=lambda c: (-c["count"], c["rank_sum"], c["position"]))
        claims = sorted((c["hash"], c["claims"], c.get("reason", "")) for c in candidates)
        return (
            info["digest"],
            info["state"],
            info["alarms"],
            chain,
            pool,
            claims,
            [c["hash"] for c in ranked[:1]],
        )

    def check_meeting(self):
        self.log.info("All are connected, agree, and nobody is blamed")
        pairs = [(a, b) for a in range(self.num_nodes) for b in range(a)]
        for a, b in pairs:
            self.connect_nodes(a, b)
        expected = self.outcome(self.nodes[0])
        assert_equal(expected[0], self.requester.log.last_id.hex())
        assert_equal(expected[1:3], ("running", []))
        assert_equal(len(expected[3]), self.requester.log.next_height - self.podl_height)
        for node in self.nodes:
            node.syncpodl()
            self.wait_until(lambda n=node: self.outcome(n) == expected)
            assert_equal(len(node.getpeerinfo()), self.num_nodes - 1)
            assert_equal(node.listbanned(), [])
            assert_equal(client(node).info().digest, self.requester.log.last_id)
            assert_equal([tip["status"] for tip in node.getchaintips()], ["active"])
        for a, b in pairs:
            self.disconnect_nodes(a, b)


if __name__ == "__main__":
    PodlOrderTest(__file__).main()
