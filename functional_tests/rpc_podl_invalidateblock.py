#!/usr/bin/env python3
"""invalidateblock and reconsiderblock on a PoDL chain.

The operator may put any block aside. That proves nothing about it: no alarm, the schedule stays, and the
finals' blocks are connected again as soon as the operator takes it back, without new verdicts. Bitcoin Core's
own check of its block index runs after every change (-checkblockindex=1).
"""

import podl_framework  # noqa: F401 - sets the import path
from podl_framework.actors import Miner
from podl_framework.base import PodlTestFramework
from podl_framework.rounds import Round, play_height
from test_framework.address import ADDRESS_BCRT1_UNSPENDABLE
from test_framework.util import assert_equal


class PodlInvalidateBlockTest(PodlTestFramework):
    """Blocks of finals are disconnected and connected again."""

    def set_test_params(self):
        self.num_nodes = 1
        self.extra_args = [["-checkblockindex=1"]]

    def run_test(self):
        self.node = self.nodes[0]
        self.mine_to_podl()
        self.miners = [Miner(self.requester, "first"), Miner(self.requester, "second", architecture=1)]
        for _ in range(3):
            play_height(self.requester, self.node, self.miners)
        self.check_depth(1)
        self.check_depth(3)
        self.check_restart()
        self.check_ordinary_fork()
        self.check_meanwhile()
        self.check_held()
        self.log.info("The chain goes on")
        play_height(self.requester, self.node, self.miners)
        assert_equal(self.node.getblockcount(), self.podl_height + 5)
        assert_equal(self.node.verifychain(4, 0), True)

    def block_below(self, depth):
        """Hash of the block with so many blocks on it, itself included."""
        return self.node.getblockhash(self.node.getblockcount() + 1 - depth)

    def tips(self):
        return {tip["hash"]: tip["status"] for tip in self.node.getchaintips()}

    def check_unmoved(self, info):
        """Compare what must not depend on what the operator does."""
        self.node.syncpodl()
        now = self.node.getpodlinfo()
        for key in (
            "digest",
            "finals",
            "height",
            "phase",
            "state",
            "alarms",
            "accuracywork",
            "heights",
            "waiting",
        ):
            assert_equal(now[key], info[key])
        assert_equal(self.node.listpodlcandidates()["jobs"], [])

    def check_depth(self, depth):
        self.log.info(f"{depth} PoDL blocks put aside and taken back")
        info, tip, block = self.node.getpodlinfo(), self.node.getbestblockhash(), self.block_below(depth)
        prev = self.node.getblockheader(block)["previousblockhash"]
        self.node.invalidateblock(block)
        assert_equal(self.node.getbestblockhash(), prev)
        assert_equal(self.tips(), {prev: "active", tip: "invalid"})
        self.check_unmoved(info)
        template = self.node.getblocktemplate({"rules": ["segwit"]})
        assert_equal((template["previousblockhash"], template["podl"]["can_commit"]), (prev, False))
        self.node.reconsiderblock(block)
        assert_equal(self.node.getbestblockhash(), tip)
        assert_equal(self.tips(), {tip: "active"})
        self.check_unmoved(info)

    def check_restart(self):
        self.log.info("A block stays aside over a restart, and no peer or final brings it back")
        info, tip = self.node.getpodlinfo(), self.node.getbestblockhash()
        data = self.node.getblock(tip, 0)
        self.node.invalidateblock(tip)
        self.restart_node(0)
        self.check_unmoved(info)
        assert_equal(self.tips()[tip], "invalid")
        assert_equal(self.node.submitblock(data), "duplicate-invalid")
        self.node.reconsiderblock(tip)
        assert_equal(self.node.getbestblockhash(), tip)
        self.check_unmoved(info)

    def check_ordinary_fork(self):
        self.log.info(
            "A fork below the PoDL height: as long as an ordinary block is aside, its rival is the tip"
        )
        info, tip = self.node.getpodlinfo(), self.node.getbestblockhash()
        last = self.node.getblockhash(self.podl_height - 1)
        self.node.invalidateblock(last)
        assert_equal(self.node.getblockcount(), self.podl_height - 2)
        # Another address: within a second, the same block would be made again.
        (rival,) = self.generatetoaddress(self.node, 1, ADDRESS_BCRT1_UNSPENDABLE)
        self.check_unmoved(info)
        self.node.reconsiderblock(last)
        assert_equal(self.node.getbestblockhash(), tip)
        assert_equal(self.tips(), {tip: "active", rival: "valid-fork"})
        self.check_unmoved(info)

    def check_meanwhile(self):
        self.log.info("A final that comes meanwhile waits for its parent, and is no alarm")
        tip = self.node.getbestblockhash()
        current = Round(self.requester, self.node, self.miners).commit().close().reveal().judge()
        self.node.invalidateblock(tip)
        best = current.finish().disclosure.header.hash[::-1].hex()
        assert_equal(self.node.getblockcount(), self.podl_height + 1)
        assert_equal(self.node.getpodlinfo()["alarms"], [])
        self.node.reconsiderblock(tip)
        self.wait_until(lambda: self.node.getbestblockhash() == best)
        assert_equal(self.node.getpodlinfo()["alarms"], [])
        assert_equal(self.tips()[best], "active")

    def check_held(self):
        self.log.info(
            "A block that waits for its verdict is put aside: the verdict alone does not connect it"
        )
        current = Round(self.requester, self.node, self.miners).commit().close().reveal()
        block = current.finish().disclosure.header.hash[::-1].hex()
        assert_equal(self.tips()[block], "valid-headers")
        self.node.invalidateblock(block)
        current.judge()
        self.node.syncpodl()
        assert_equal(self.tips()[block], "invalid")
        assert_equal(self.node.getpodlinfo()["alarms"], [])
        self.node.reconsiderblock(block)
        self.wait_until(lambda: self.node.getbestblockhash() == block)
        assert_equal(self.node.getpodlinfo()["alarms"], [])


if __name__ == "__main__":
    PodlInvalidateBlockTest(__file__).main()
