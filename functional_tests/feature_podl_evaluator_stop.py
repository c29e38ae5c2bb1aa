#!/usr/bin/env python3
"""A node in the middle of a long evaluation of its own stops at once, and begins anew at the next start."""

import time

import numpy as np
import podl_framework  # noqa: F401 - sets the import path
from podl_framework.actors import Miner, Requester
from podl_framework.base import PodlTestFramework
from podl_framework.rounds import Round
from test_framework.util import assert_equal

from podl_tools.examples import Examples
from podl_tools.program import parse_program
from podl_tools.training_run import TrainedModel

SIDE = 128
CLASSES = 4
# About 23 billion multiply-adds per sample: far more than a machine does while this test runs.
PROGRAM = parse_program(
    f"input {SIDE}x{SIDE}x1, {'conv2d 3x3x115, ' * 13}maxpool {SIDE}, flatten, output {CLASSES}"
)
STOP_SECONDS = 20


def make_images(count: int) -> Examples:
    """Draw noise: nothing here is learned."""
    random = np.random.default_rng(1)
    samples = random.integers(0, 128, (count, SIDE, SIDE, 1), dtype=np.int8)
    return Examples(samples, random.integers(0, CLASSES, count, dtype=np.uint8))


def untrained() -> TrainedModel:
    """Weights that nobody trained; a node does not replay."""
    masters = np.full(PROGRAM.n_params, 1 << 16, dtype="<i4")
    return TrainedModel(
        masters.tobytes(), bytes([1]) * PROGRAM.n_params, ((bytes([1]) * 32, bytes([2]) * 32),) * 2
    )


class PodlEvaluatorStopTest(PodlTestFramework):
    """One node, one candidate."""

    def set_test_params(self):
        self.num_nodes = 1
        self.extra_args = [["-podlevaluator=internal", "-podlevaluatorthreads=1"]]

    def make_requester(self):
        return Requester(
            first_height=self.podl_height,
            programs=(PROGRAM,),
            n_shards=1,
            examples=make_images,
            b_min=1,
            max_replay_macs=10**18,
            evaluation_rate=10**15,
            max_weights=2 << 20,
        )

    def run_test(self):
        node = self.nodes[0]
        self.mine_to_podl()
        miner = Miner(self.requester, "miner", epochs=1)
        current = Round(self.requester, node, [miner])
        current.kept = [miner.commit(node, recipe=miner.recipe(b=1), trained=untrained())]
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
