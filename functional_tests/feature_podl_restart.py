#!/usr/bin/env python3
"""A node may stop in every phase, lose its block index or its PoDL store, and goes on where it was."""

import shutil
import time

import podl_framework  # noqa: F401 - sets the import path
from podl_framework.actors import Miner, client
from podl_framework.base import PodlTestFramework
from podl_framework.rounds import Round, play_height
from test_framework.test_node import ErrorMatch
from test_framework.util import assert_equal


class PodlRestartTest(PodlTestFramework):
    """Whatever was accepted is on disk before it takes effect."""

    def set_test_params(self):
        self.num_nodes = 1

    def run_test(self):
        self.node = self.nodes[0]
        self.mine_to_podl()
        self.miners = [Miner(self.requester, "first"), Miner(self.requester, "second", architecture=1)]
        self.check_each_phase(kill=False)
        self.check_each_phase(kill=True)
        self.check_reindex()
        self.check_lost_store()

    def restart(self, *, kill):
        """Stop (or kill) the node and start it again; the same PoDL state must come back."""
        before = self.state()
        if kill:
            self.node.kill_process()
            self.start_node(0, self.podl_args())
        else:
            self.restart_node(0, self.podl_args())
        assert_equal(self.state(), before)

    def state(self):
        self.node.syncpodl()
        info = self.node.getpodlinfo()
        kept = {
            name: info[name]
            for name in ("digest", "phase", "height", "entries", "finals", "commitments", "state", "alarms")
        }
        candidates = self.node.listpodlcandidates()["candidates"]
        return kept, candidates, self.node.getbestblockhash()

    def check_each_phase(self, *, kill):
        self.log.info(f"{'Killed' if kill else 'Stopped'} after every step of a height")
        current = Round(self.requester, self.node, self.miners)
        current.commit()
        self.restart(kill=kill)
        prev = bytes.fromhex(self.node.getbestblockhash())[::-1]
        times = [kept.disclosure.header.time for kept in current.kept]
        current.release = self.requester.release(
            prev, [k.hash for k in current.kept], at=max(int(time.time()), *times)
        )
        self.requester.publish(current.release, self.node)
        self.restart(kill=kill)
        self.requester.open_shard(current.release, self.node)
        self.restart(kill=kill)
        for miner, kept in zip(self.miners, current.kept, strict=True):
            reveal = miner.reveal(kept, current.release)
            current.reveals.append(reveal)
            assert_equal(str(client(self.node).submit_reveal(reveal.serialize())), "accepted")
        self.restart(kill=kill)
        for miner, kept in zip(self.miners, current.kept, strict=True):
            miner.upload(self.node, kept)
        self.restart(kill=kill)
        self.log.info("A final before the verdict: the block waits, and is not invalid")
        best = current.best()
        self.requester.publish(self.requester.final(best), self.node)
        self.restart(kill=kill)
        assert_equal(self.node.getblockcount(), current.release.body.height - 1)
        waiting = self.node.getpodlinfo()["waiting"]
        assert_equal([row["what"] for row in waiting], ["evaluator"])
        current.judge()
        assert_equal(self.node.getbestblockhash(), best.disclosure.header.hash[::-1].hex())
        self.restart(kill=kill)
        assert_equal({tip["status"] for tip in self.node.getchaintips()}, {"active"})

    def check_reindex(self):
        self.log.info("-reindex and -reindex-chainstate need neither peers nor an evaluator")
        before = self.state()
        for option in ("-reindex", "-reindex-chainstate"):
            self.restart_node(0, [*self.podl_args(), option, "-connect=0"])
            self.wait_until(lambda: self.state() == before)

    def check_lost_store(self):
        self.log.info("A lost store is named; -podlresync follows the schedule again")
        tip = self.node.getbestblockhash()
        entries = [entry.serialize() for entry in self.requester.log.entries]
        self.stop_node(0)
        shutil.rmtree(self.node.chain_path / "podl")
        self.node.assert_start_raises_init_error(
            self.podl_args(), "Error: .*-podlresync.*", match=ErrorMatch.PARTIAL_REGEX
        )
        self.start_node(0, [*self.podl_args(), "-podlresync"])
        for data in entries:
            assert client(self.node).submit_entry(data).status in ("accepted", "duplicate")
        self.node.syncpodl()
        assert_equal(self.node.getbestblockhash(), tip)
        assert_equal(client(self.node).info().digest, self.requester.log.last_id)
        self.log.info("... and the chain goes on")
        play_height(self.requester, self.node, self.miners)
        assert_equal({tip["status"] for tip in self.node.getchaintips()}, {"active"})


if __name__ == "__main__":
    PodlRestartTest(__file__).main()
