#!/usr/bin/env python3
"""A node in the middle of a long evaluation of its own stops at once, and begins anew at the next start."""

import time

import podl_framework  # noqa: F401 - sets the import path
from podl_framework import endless
from podl_framework.actors import Miner
from podl_framework.base import PodlTestFramework
from podl_framework.rounds import Round
from test_framework.util import assert_equal

STOP_SECONDS = 20


class PodlEvaluatorStopTest(PodlTestFramework):
    """One node, one candidate."""

    def set_test_params(self):
        self.num_nodes = 1
        self.extra_args = [["-podlevaluator=internal", "-podlevaluatorthreads=1"]]

    def make_requester(self):
        return endless.make_requester(self.podl_height)

    def run_test(self):
        node = self.nodes[0]
        self.mine_to_podl()
        miner = Miner(self.requester, "miner", epochs=1)
        current = Round(self.requester, node, [miner])
        current.kept = [
            miner.commit(node, recipe=miner.recipe(b=1), trained=endless.untrained(endless.ENDLESS))
        ]
        current.close()
        with node.busy_wait_for_debug_log([b"own evaluation for height 5 begins"]):
            miner.reveal_all(node, current.kept[0], current.release, claim=16)
        self.log.info("Stop")
        begin = time.monotonic()
        self.stop_node(0)
        seconds = time.monotonic() - begin
        self.log.info(f"The node stopped within {seconds:.1f} s")
        assert seconds < STOP_SECONDS
        self.log.info("It has no verdict, and begins anew")
        assert b"own evaluation for height 5 ends" not in node.debug_log_path.read_bytes()
        with node.busy_wait_for_debug_log([b"own evaluation for height 5 begins"]):
            self.start_node(0)
        (candidate,) = node.listpodlcandidates()["candidates"]
        assert_equal(candidate["state"], "waiting-verdict")


if __name__ == "__main__":
    PodlEvaluatorStopTest(__file__).main()
