#!/usr/bin/env python3
"""Nodes that talk only to each other follow the same chain, a late one and a restarted one included.

The requester and the miners use node 0 alone; nodes 1 and 2 hang behind it in a line, and each evaluates for
itself. Node 3 joins when everything is over.
"""

import podl_framework  # noqa: F401 - sets the import path
from podl_framework.actors import Miner, Requester, client, judge
from podl_framework.base import PodlTestFramework
from podl_framework.rounds import Round
from podl_framework.toy import CLASSES, FEATURES
from test_framework.util import assert_equal
from test_framework.wallet import MiniWallet

from podl_tools.program import parse_program

# Models of several chunks, and small ones.
PROGRAMS = (
    parse_program(f"input {FEATURES}, dense 900, dense 90, output {CLASSES}"),
    parse_program(f"input {FEATURES}, output {CLASSES}"),
)


class PodlSyncTest(PodlTestFramework):
    """Everything reaches every node."""

    podl_height = 105

    def set_test_params(self):
        self.num_nodes = 4
        self.extra_args = [["-debug=podl", "-debug=net"]] * 4

    def make_requester(self):
        return Requester(first_height=self.podl_height, programs=PROGRAMS)

    def setup_network(self):
        self.setup_nodes()
        self.connect_nodes(1, 0)
        self.connect_nodes(2, 1)

    def run_test(self):
        self.line = self.nodes[:3]
        self.late = self.nodes[3]
        self.wallet = MiniWallet(self.nodes[0])
        self.generate(self.wallet, self.podl_height - 1, sync_fun=lambda: self.sync_blocks(self.line))
        self.miners = [Miner(self.requester, "wide"), Miner(self.requester, "narrow", architecture=1)]
        self.log.info("Two heights reach the line message by message")
        self.play_along()
        self.play_along()
        self.check_cut_off()
        self.check_restart()
        self.check_reindex()
        self.check_late_node()
        self.check_peace()

    def round(self):
        return Round(self.requester, self.nodes[0], self.miners)

    def synced(self, read, nodes=None):
        """Wait until all nodes show the same."""
        self.wait_until(lambda: len({repr(read(n)) for n in nodes or self.line}) == 1)

    def play_along(self):
        """Play a height and watch every step arrive."""
        sent = self.wallet.send_self_transfer(from_node=self.nodes[0])
        current = self.round().commit()
        self.synced(lambda n: sorted(c["hash"] for c in n.listpodlcommitments()["commitments"]))
        current.close()
        self.synced(lambda n: n.getpodlinfo()["digest"])
        current.reveal()
        for node in self.line:
            self.wait_until(lambda n=node: self.has_everything(n))
            judge(node, self.requester)
        self.synced(
            lambda n: [(c["hash"], c["state"], c.get("count")) for c in n.listpodlcandidates()["candidates"]]
        )
        current.finish()
        self.synced(lambda n: (n.getpodlinfo()["digest"], n.getbestblockhash()))
        assert sent["txid"] in self.line[2].getblock(self.line[2].getbestblockhash())["tx"]
        assert_equal([n.getpodlinfo()["alarms"] for n in self.line], [[], [], []])
        assert all(len(n.getpeerinfo()) > 0 for n in self.line)

    def has_everything(self, node):
        found = node.listpodlcandidates()["candidates"]
        held = [(c["body"], c["weights"], c["model"]) for c in found]
        return node.listpodlcandidates()["shard"] and len(held) == 2 and all(b and w for b, w, _ in held)

    def catch_up(self, node):
        """Evaluate what the node finds out, until it stands where node 0 stands."""

        def level():
            judge(node, self.requester)
            return node.getbestblockhash() == self.nodes[0].getbestblockhash()

        self.wait_until(level)
        assert_equal(client(node).info().digest, self.requester.log.last_id)
        assert_equal(node.getpodlinfo()["alarms"], [])

    def check_cut_off(self):
        self.log.info("A node that was cut off for a height catches up when it is back")
        self.disconnect_nodes(2, 1)
        self.round().commit().close().reveal().judge().finish()
        self.catch_up(self.nodes[1])
        assert_equal(self.nodes[2].getblockcount(), self.nodes[0].getblockcount() - 1)
        self.connect_nodes(2, 1)
        self.catch_up(self.nodes[2])

    def check_restart(self):
        self.log.info("A restart in the middle of a round")
        current = self.round().commit().close()
        self.synced(lambda n: n.getpodlinfo()["digest"])
        self.restart_node(1)
        current.reveal()
        self.connect_nodes(1, 0)
        self.connect_nodes(2, 1)
        for node in self.line:
            self.wait_until(lambda n=node: self.has_everything(n))
            judge(node, self.requester)
        current.finish()
        self.synced(lambda n: (n.getpodlinfo()["digest"], n.getbestblockhash()))

    def check_reindex(self):
        self.log.info("A node that builds its index anew needs nothing but its own files")
        node = self.nodes[2]
        self.restart_node(2, extra_args=[*node.extra_args, "-reindex"])
        self.catch_up(node)
        self.connect_nodes(2, 1)
        self.synced(lambda n: (n.getpodlinfo()["digest"], n.getbestblockhash()))

    def check_peace(self):
        self.log.info("Nobody blamed anybody")
        for node in self.nodes:
            log = node.debug_log_path.read_text(encoding="utf8")
            assert "Misbehaving" not in log
            assert_equal(
                [line for line in log.splitlines() if "Not taken" in line and "-prev" not in line], []
            )

    def check_late_node(self):
        self.log.info("A node that was never there gets schedule, blocks and models from the end of the line")
        assert_equal(self.late.getblockcount(), 0)
        self.connect_nodes(3, 2)
        self.catch_up(self.late)
        self.synced(lambda n: n.getpodlschedule(0, 1000, 0), self.nodes)
        assert_equal(len({n.getblockcount() for n in self.nodes}), 1)
        self.log.info("It follows live from then on")
        current = self.round().commit().close().reveal().judge()
        self.wait_until(lambda: self.has_everything(self.late))
        current.finish()
        for node in self.nodes[1:]:
            self.catch_up(node)


if __name__ == "__main__":
    PodlSyncTest(__file__).main()
