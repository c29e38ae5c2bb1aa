#!/usr/bin/env python3
"""A node without PoDL as a peer gets every block that it can read and none that it cannot, without harm."""

import podl_framework  # noqa: F401 - sets the import path
from podl_framework.actors import Miner
from podl_framework.base import PodlTestFramework
from podl_framework.rounds import play_height
from test_framework.util import assert_equal


class PodlPlainPeerTest(PodlTestFramework):
    """Node 1 runs without PoDL between two nodes that have it."""

    def set_test_params(self):
        self.num_nodes = 3
        self.extra_args = [["-debug=net", "-debug=podl"]] * 3

    def setup_nodes(self):
        podl = self.podl_args()
        self.add_nodes(3, [podl + self.extra_args[0], self.extra_args[1], podl + self.extra_args[2]])
        self.start_nodes()

    def setup_network(self):
        self.setup_nodes()
        self.connect_nodes(0, 1)
        self.connect_nodes(1, 2)

    def run_test(self):
        node, plain, behind = self.nodes
        self.log.info("Below the first PoDL height all three are alike")
        self.mine_to_podl()
        self.sync_blocks()
        last = node.getbestblockhash()

        self.log.info("From there on the plain node is left alone, and keeps its connections")
        play_height(self.requester, node, [Miner(self.requester, "only")])
        assert_equal(node.getblockcount(), self.podl_height)
        for other in (plain, behind):
            other.syncwithvalidationinterfacequeue()
            assert_equal(other.getbestblockhash(), last)
        assert_equal(len(plain.getpeerinfo()), 2)

        self.log.info("A new connection makes no difference")
        self.disconnect_nodes(0, 1)
        self.connect_nodes(1, 0)
        self.wait_until(lambda: "headers" in self.link(plain)["bytesrecv_per_msg"])
        self.wait_until(lambda: self.link(plain)["synced_headers"] == self.podl_height - 1)
        assert_equal([t["height"] for t in plain.getchaintips()], [self.podl_height - 1])
        assert_equal((plain.getbestblockhash(), len(node.getpeerinfo())), (last, 1))

        self.log.info("The node behind it gets everything as soon as it has a PoDL peer")
        self.connect_nodes(2, 0)
        self.wait_until(lambda: behind.getpodlinfo()["digest"] == node.getpodlinfo()["digest"])
        self.wait_until(lambda: behind.getblockchaininfo()["headers"] == self.podl_height)
        for each in self.nodes:
            assert "Misbehaving" not in each.debug_log_path.read_text(encoding="utf8")

    @staticmethod
    def link(plain):
        """The plain node's latest connection."""
        return max(plain.getpeerinfo(), key=lambda peer: peer["id"])


if __name__ == "__main__":
    PodlPlainPeerTest(__file__).main()
