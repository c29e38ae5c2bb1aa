#!/usr/bin/env python3
"""A task whose shards are used up goes on with further ones that the operator seals meanwhile."""

import subprocess
import sys

import numpy as np
import podl_framework  # noqa: F401 - sets the import path
from podl_framework.sidecars import SidecarTestFramework
from podl_framework.toy import make_examples
from test_framework.util import assert_equal

from podl_tools.dataset import split


class PodlShardsTest(SidecarTestFramework):
    """One shard is sealed at first: it lasts for one height."""

    n_shards = 1

    def set_test_params(self):
        self.num_nodes = 1

    def run_test(self):
        node = self.nodes[0]
        self.mine_to_podl()
        requester = self.start_requester(node, commitments=1)
        self.start_miner("miner", node)
        self.wait_log(requester, "all 1 sealed shards have been opened", timeout=120)
        assert_equal(node.getblockcount(), self.podl_height)
        self.log.info("Samples that were used before are not sealed again")
        refused = self.add_shards("test", check=False)
        assert_equal(refused.returncode != 0, True)
        assert "podl-data-overlap" in refused.stderr
        self.log.info("Further shards are published by the running requester, and the chain goes on")
        _, fresh = split(make_examples(2048), [1024, 1024])
        np.savez(self.folder / "fresh.npz", samples=fresh.samples, labels=fresh.labels)
        root = self.add_shards("fresh").stdout.split()[-1]
        self.wait_height(self.podl_height + 2)
        entries = node.getpodlschedule(0, 100, 1)["entries"]
        (shards,) = [entry for entry in entries if entry["type"] == "shards"]
        assert_equal((shards["shard_list_root"], shards["n_shards"]), (root, 2))
        releases = [entry["shard_index"] for entry in entries if entry["type"] == "release"]
        assert_equal(releases[:3], [0, 0, 1])
        assert_equal(node.getpodlinfo()["alarms"], [])
        self.stop_sidecars()

    def add_shards(self, test: str, *, check: bool = True):
        """Run `podl-requester addshards`."""
        command = [
            sys.executable,
            "-m",
            "podl_tools.requester",
            "addshards",
            f"--datadir={self.requester_dir}",
        ]
        command += [f"--test={self.folder / test}.npz", "--shards=2" if check else "--shards=1"]
        command += [f"--shardsize={self.shard_size}"]
        return subprocess.run(command, check=check, capture_output=True, text=True)


if __name__ == "__main__":
    PodlShardsTest(__file__).main()
