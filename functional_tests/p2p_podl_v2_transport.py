#!/usr/bin/env python3
"""PoDL's messages over encrypted connections (BIP324), and over a mixture of both transports."""

import podl_framework  # noqa: F401 - sets the import path
from podl_framework.actors import Miner, judge
from podl_framework.base import PodlTestFramework
from podl_framework.p2p import NAMES
from podl_framework.rounds import Round
from test_framework.util import assert_equal

# What a node sends and gets while a height is played beside it.
USED = set(NAMES) - {"getpodlsched", "podlsched"}


class PodlV2TransportTest(PodlTestFramework):
    """Nodes 0 and 1 speak version 2, node 2 only version 1."""

    def set_test_params(self):
        self.num_nodes = 3
        self.extra_args = [["-v2transport=1"], ["-v2transport=1"], ["-v2transport=0"]]

    def setup_network(self):
        self.setup_nodes()
        self.connect_nodes(1, 0, peer_advertises_v2=True)
        self.connect_nodes(2, 1, peer_advertises_v2=False)

    def run_test(self):
        self.generate(self.nodes[0], self.podl_height - 1)
        types = [[p["transport_protocol_type"] for p in node.getpeerinfo()] for node in self.nodes]
        assert_equal([sorted(found) for found in types], [["v2"], ["v1", "v2"], ["v1"]])
        self.log.info("A height reaches every node")
        current = Round(self.requester, self.nodes[0], [Miner(self.requester, "miner")])
        current.commit().close().reveal().judge().finish()
        tip = self.nodes[0].getbestblockhash()
        for node in self.nodes[1:]:
            self.wait_until(lambda n=node: self.level(n, tip))
        self.log.info("... by PoDL's messages on both transports")
        for peer in self.nodes[1].getpeerinfo():
            assert_equal(USED - (peer["bytessent_per_msg"].keys() | peer["bytesrecv_per_msg"].keys()), set())
        assert_equal([node.getpodlinfo()["alarms"] for node in self.nodes], [[], [], []])

    def level(self, node, tip):
        judge(node, self.requester)
        return node.getbestblockhash() == tip


if __name__ == "__main__":
    PodlV2TransportTest(__file__).main()
