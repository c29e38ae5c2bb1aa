#!/usr/bin/env python3
"""Three nodes that talk only to each other, with the real requester, miners and validators.

Programs are killed and started again on the way; a fourth node comes late and evaluates everything itself.
"""

import podl_framework  # noqa: F401 - sets the import path
from podl_framework.sidecars import SidecarTestFramework
from test_framework.util import assert_equal

LATE = 3


class PodlNetworkTest(SidecarTestFramework):
    """Blocks are won by trained models, and every node agrees."""

    n_shards = 200  # a fast machine plays many heights while programs restart

    def set_test_params(self):
        self.num_nodes = 4

    def setup_network(self):
        self.setup_nodes()
        self.connect_nodes(1, 0)
        self.connect_nodes(2, 1)
        self.stop_node(LATE)

    def run_test(self):
        early = self.nodes[:LATE]
        self.generate(early[0], self.podl_height - 1, sync_fun=lambda: self.sync_blocks(early))
        requester = self.start_requester(early[0], commitments=3)
        validators = [self.start_validator(f"validator{i}", node) for i, node in enumerate(early)]
        miners = [
            self.start_miner(f"miner{i}", node, architecture=i % 2, epochs=2 + i, trial=i)
            for i, node in enumerate(early)
        ]
        first = self.podl_height
        self.log.info("Two blocks with everything running")
        self.wait_height(first + 1, early)
        for name, process in (("requester", requester), ("validator", validators[1]), ("miner", miners[2])):
            self.log.info(f"The {name} is killed and comes back")
            self.kill_sidecar(process)
            process.start()
            self.wait_height(min(node.getblockcount() for node in early) + 1, early)
        self.log.info("A node restarts, and its programs find it again")
        self.restart_node(2, self.podl_args(2))
        self.connect_nodes(2, 1)
        self.wait_height(min(node.getblockcount() for node in early) + 1, early)
        self.stop_sidecars(requester, *miners)
        self.check_agreement(early)
        self.check_late_node(early)

    def check_agreement(self, nodes):
        self.log.info("All nodes have the same tip and the same schedule, and no alarm")
        self.wait_until(lambda: len({node.getpodlinfo()["digest"] for node in nodes}) == 1)
        self.sync_blocks(nodes)
        self.stop_sidecars()
        for node in nodes:
            info = node.getpodlinfo()
            assert_equal((info["state"], info["alarms"]), ("running", []))
            assert_equal(node.getblockcount(), self.podl_height + info["finals"] - 1)
            assert all(row["device"] for row in info["evaluators"])
            assert_equal({tip["status"] for tip in node.getchaintips()}, {"active"})

    def check_late_node(self, early):
        self.log.info("A node that starts now catches up, and its own validator judges every height")
        late = self.nodes[LATE]
        self.start_node(LATE)
        self.connect_nodes(LATE, 2)
        finals = early[0].getpodlinfo()["finals"]
        self.wait_until(lambda: late.getpodlinfo()["finals"] == finals)
        self.log.info("... without a verdict it stays below the first PoDL block, and calls nothing invalid")
        assert_equal(late.getblockcount(), self.podl_height - 1)
        assert "invalid" not in {tip["status"] for tip in late.getchaintips()}
        self.start_validator("late", late)
        self.wait_until(lambda: late.getbestblockhash() == early[0].getbestblockhash())
        info = late.getpodlinfo()
        assert_equal(info["heights"]["evaluated"], finals)
        assert_equal([row["name"] for row in info["evaluators"]], ["late"])
        self.stop_sidecars()


if __name__ == "__main__":
    PodlNetworkTest(__file__).main()
