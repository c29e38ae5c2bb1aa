#!/usr/bin/env python3
"""A validator that is killed in the middle of an evaluation costs time, and nothing else."""

import podl_framework  # noqa: F401 - sets the import path
from podl_framework.actors import Miner
from podl_framework.sidecars import Observer, SidecarTestFramework
from test_framework.util import assert_equal

from podl_tools.program import parse_program

# Large enough that one evaluation takes seconds: about a million multiply-adds for each of 10,000 samples.
WIDE = parse_program("input 8, dense 1000, dense 1000, output 4")


class PodlValidatorTest(SidecarTestFramework):
    """Unknown is never invalid."""

    task_options = (
        "--mincommit=0",
        "--minreveal=0",
        "--maxphase=60",
        "--listsize=4",
        f"--evaluationrate={10**12}",
    )
    shard_size = 10_000

    def set_test_params(self):
        self.num_nodes = 2

    def programs(self):
        return (WIDE,)

    def run_test(self):
        first, node = self.nodes
        self.mine_to_podl()
        self.start_requester(first, commitments=1)
        self.start_validator("steady", first)
        miner = Miner(Observer(first, self.training), "miner", epochs=1)
        kept = miner.commit(first)
        self.wait_until(lambda: node.listpodlcandidates().get("shard", False))
        log = miner.requester.log
        reveal = miner.reveal(kept, log.latest_release(log.next_height).entry)
        validator = self.start_validator("validator", node)
        self.wait_log(validator, "self-test passed")
        first.submitpodlreveal(reveal.serialize().hex())
        miner.upload(first, kept)
        self.log.info("Killed while it measures")
        self.wait_log(validator, "measuring weights")
        self.kill_sidecar(validator)
        assert_equal(node.getpodlinfo()["evaluators"], [])
        self.log.info("The first node has the block; the other one waits, and calls nothing invalid")
        self.wait_until(lambda: first.getbestblockhash() == kept.hash_hex, timeout=120)
        self.wait_until(lambda: node.getpodlinfo()["finals"] == 1)
        self.wait_until(lambda: [row["what"] for row in node.getpodlinfo()["waiting"]] == ["evaluator"])
        assert_equal(node.getblockcount(), self.podl_height - 1)
        assert "invalid" not in {tip["status"] for tip in node.getchaintips()}
        self.log.info("Started again, the validator finds the job, and the block connects")
        validator.start()
        self.wait_until(lambda: node.getbestblockhash() == kept.hash_hex, timeout=120)
        assert_equal(node.getpodlinfo()["alarms"], [])
        self.stop_sidecars()


if __name__ == "__main__":
    PodlValidatorTest(__file__).main()
