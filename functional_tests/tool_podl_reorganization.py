#!/usr/bin/env python3
"""A reorganisation below the first height while a reveal phase is open: the requester opens the height anew.

Until the first final stands, nothing ties the chain below the first height, and listed headers may build on a
block that is gone.
"""

import podl_framework  # noqa: F401 - sets the import path
from podl_framework.actors import Miner, client
from podl_framework.sidecars import Observer, SidecarTestFramework
from test_framework.address import ADDRESS_BCRT1_UNSPENDABLE
from test_framework.util import assert_equal


class PodlReorganizationTest(SidecarTestFramework):
    """The node has two blocks below the first height, and `preciousblock` moves it from one to the other."""

    task_options = ("--mincommit=0", "--minreveal=0", "--maxphase=6")
    n_shards = 8

    def set_test_params(self):
        self.num_nodes = 1

    def run_test(self):
        self.node = self.nodes[0]
        self.make_two_blocks()
        requester = self.start_requester(self.node, commitments=1)
        self.start_validator("validator", self.node)
        self.observer = Observer(self.node, self.training)
        self.miners = [Miner(self.observer, name) for name in ("old", "new")]
        self.log.info("The listed header loses its block; the next attempt lists those on the new one")
        old = self.miners[0].commit(self.node)
        assert_equal(self.listed(0, 0), [old.hash])
        self.move(1)
        new = self.miners[1].commit(self.node)
        assert_equal(self.listed(1, 1), [new.hash])
        self.log.info("A requester that was away when the chain went back finds it so")
        self.kill_sidecar(requester)
        self.sidecars.remove(requester)
        self.move(0)
        client(self.node).submit_commitment(old.disclosure.header.serialize())
        self.start_requester(self.node, commitments=1)
        assert_equal(self.listed(2, 0), [old.hash])
        self.finish(0, old)
        self.log.info("The height above is played as any other")
        self.finish(1, self.miners[1].commit(self.node))
        assert_equal(self.node.getpodlinfo()["alarms"], [])
        self.stop_sidecars()

    def make_two_blocks(self):
        """Mine two blocks of the last height below the first PoDL block; the node is on the first."""
        self.mine_to_podl()
        first = self.node.getbestblockhash()
        self.node.invalidateblock(first)
        (second,) = self.generatetoaddress(self.node, 1, ADDRESS_BCRT1_UNSPENDABLE)
        self.node.reconsiderblock(first)
        self.blocks = [first, second]
        self.move(0)

    def move(self, index: int):
        """Reorganise the node to one of the two blocks."""
        self.node.preciousblock(self.blocks[index])
        self.node.syncpodl()
        assert_equal(self.node.getbestblockhash(), self.blocks[index])

    def listed(self, attempt: int, index: int) -> list[bytes]:
        """Wait for an attempt at the first height and return its list; it must stand on the given block."""
        self.wait_until(lambda: len(self.observer.log.releases_for(self.podl_height)) > attempt)
        release = self.observer.log.latest_release(self.podl_height).body
        assert_equal(release.prev_block[::-1].hex(), self.blocks[index])
        return list(release.listed)

    def finish(self, number: int, commitment):
        """Reveal in the open round and wait until the block is the tip."""
        height = self.node.getblockcount() + 1
        self.wait_until(lambda: self.observer.log.latest_release(height) is not None)
        self.wait_until(lambda: self.node.listpodlcandidates()["shard"])
        release = self.observer.log.latest_release(height).entry
        self.miners[number].reveal_all(self.node, commitment, release)
        self.wait_height(height)
        assert_equal(self.node.getbestblockhash(), commitment.hash_hex)


if __name__ == "__main__":
    PodlReorganizationTest(__file__).main()
