#!/usr/bin/env python3
"""Without -podlheight and -podltask everything is as upstream: 80-byte headers, no PoDL messages.

A version field that looks like PoDL's means nothing there, and one option without the other stops at start.
"""

import podl_framework  # noqa: F401 - sets the import path
from podl_framework.base import PodlTestFramework
from test_framework.messages import BLOCK_HEADER_SIZE
from test_framework.p2p import P2PInterface
from test_framework.test_node import ErrorMatch
from test_framework.util import assert_equal, assert_raises_rpc_error

NOT_ACTIVE = "Proof of deep learning is not active on this chain"


class PodlDisabledTest(PodlTestFramework):
    """A node without PoDL beside the options that would switch it on."""

    def set_test_params(self):
        self.num_nodes = 2

    def podl_args(self):
        return ["-blockversion=1073741824"]

    def run_test(self):
        node = self.nodes[0]
        self.log.info("Headers keep 80 bytes whatever their version says")
        tip = self.generate(node, 3)[-1]
        assert_equal(node.getblockheader(tip)["version"], 0x40000000)
        assert_equal(len(node.getblockheader(tip, False)) // 2, BLOCK_HEADER_SIZE)
        assert "modelhash" not in node.getblockheader(tip)
        assert "modelhash" not in node.getblock(tip)
        assert "podl" not in node.getblocktemplate({"rules": ["segwit"]})
        self.log.info("They survive a restart and a reindex")
        self.restart_node(0, ["-reindex"])
        self.wait_until(lambda: node.getbestblockhash() == tip)
        self.connect_nodes(0, 1)
        self.sync_blocks()
        self.log.info("PoDL commands say that it is not active")
        for call in (
            node.getpodlinfo,
            node.getpodlschedule,
            node.listpodlcommitments,
            node.listpodlcandidates,
        ):
            assert_raises_rpc_error(-1, NOT_ACTIVE, call)
        self.log.info("No peer hears of PoDL")
        peer = node.add_p2p_connection(P2PInterface())
        assert "sendpodl" not in peer.message_count
        assert not (node.chain_path / "podl").exists()
        self.log.info("One option without the other is an error")
        self.stop_node(0)
        for options in ([f"-podlheight={self.podl_height}"], [f"-podltask={self.task_file}"]):
            node.assert_start_raises_init_error(
                options, "Error: .*-podlheight.*-podltask.*", match=ErrorMatch.PARTIAL_REGEX
            )
        self.log.info("Never on another chain")
        for chain in ("main", "test", "testnet4", "signet"):
            self.check_other_chain(node, chain)

    def check_other_chain(self, node, chain):
        args = [f"-chain={chain}", f"-podlheight={self.podl_height}", f"-podltask={self.task_file}"]
        node.assert_start_raises_init_error(args, "Error: .*regtest.*", match=ErrorMatch.PARTIAL_REGEX)


if __name__ == "__main__":
    PodlDisabledTest(__file__).main()
