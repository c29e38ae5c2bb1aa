#!/usr/bin/env python3
"""Finals that are void for the bytes behind them: weights that are none, a malformed shard.

Each time the next attempt follows, and a node that comes later gets the refused bytes as proof and ends in
the same place.
"""

from dataclasses import replace

import podl_framework  # noqa: F401 - sets the import path
from podl_framework.actors import Miner, Requester, client
from podl_framework.base import PodlTestFramework
from podl_framework.rounds import Round
from test_framework.util import assert_equal

from podl_tools.chain.data import Kind, upload
from podl_tools.drafting import sign_next
from podl_tools.merkle import data_root
from podl_tools.schedule import Schedule
from podl_tools.sealing import SealedShard, SealedShards, SealedTask

MINUS_128 = b"\x80"
# Positions of the malformed shards among those that are opened: an attempt with a good one follows each.
BAD_SAMPLE, BAD_LABEL = 4, 6


def malformed(shard: SealedShard, index: int, classes: int) -> SealedShard:
    """Spoil a sample or a label of the shards that are to be malformed."""
    if index == BAD_SAMPLE:
        return replace(shard, data=MINUS_128 + shard.data[1:])
    if index == BAD_LABEL:
        return replace(shard, data=shard.data[:-1] + bytes([classes]))
    return shard


class CarelessRequester(Requester):
    """Seals shards that no data set can hold, which the tools would not do."""

    def __init__(self, **options) -> None:
        super().__init__(**options)
        honest = self.sealed
        shards = SealedShards(
            malformed(shard, index, honest.task.classes) for index, shard in enumerate(honest.shards)
        )
        task = replace(honest.task, shard_list_root=shards.root)
        self.sealed = SealedTask(task, honest.training, {shards.root: shards})
        self.log = Schedule()
        self.task_entry = sign_next(self.log, self.key, self.task_entry.time, task)
        self.append(self.task_entry)


class PodlVoidBytesTest(PodlTestFramework):
    """Node 0 hears of everything first, node 1 comes late."""

    def set_test_params(self):
        self.num_nodes = 2

    def make_requester(self):
        return CarelessRequester(first_height=self.podl_height)

    def podl_args(self):
        return [*super().podl_args(), "-podlevaluator=internal"]

    def setup_network(self):
        self.setup_nodes()

    def run_test(self):
        self.node, late = self.nodes
        self.mine_to_podl_apart()
        self.honest = Miner(self.requester, "honest")
        self.check_weights("podl-model-range", lambda weights: MINUS_128 + weights[1:])
        self.check_weights("podl-model-size", lambda weights: weights + b"\0")
        for index, reason in ((BAD_SAMPLE, "podl-shard-range"), (BAD_LABEL, "podl-shard-label")):
            self.check_shard(index, reason)
        self.log.info("A node that syncs later proves all four void and comes to the same tip")
        self.connect_nodes(1, 0)
        self.wait_until(lambda: late.getbestblockhash() == self.node.getbestblockhash())
        assert_equal(late.getpodlinfo()["digest"], self.requester.log.last_id.hex())
        assert_equal(self.alarms(late), self.alarms(self.node))
        assert_equal(len(self.alarms(late)), 4)

    def alarms(self, node):
        """Reasons of a node's alarms."""
        return {alarm["reason"] for alarm in node.getpodlinfo()["alarms"]}

    def check_weights(self, reason, spoil):
        """Name a header whose weights are none, then an honest one in the next attempt."""
        self.log.info(f"A final whose weights are {reason}")
        cheat = Miner(self.requester, reason)
        trained = cheat.train(cheat.recipe())
        spoilt = spoil(trained.weights)
        kept = [
            cheat.commit(self.node, trained=replace(trained, weights=spoilt)),
            self.honest.commit(self.node),
        ]
        current = Round(self.requester, self.node, [cheat, self.honest], kept).close()
        reveal = cheat.reveal(kept[0], current.release, claim=64)
        assert_equal(client(self.node).submit_reveal(reveal.serialize()).status, "accepted")
        cheat.upload(self.node, kept[0], Kind.BODY, Kind.MODEL)
        self.name(reveal)
        self.refuse(Kind.WEIGHTS, data_root(spoilt), spoilt, reason)
        self.follow(kept[1:], reason)

    def check_shard(self, index, reason):
        """Open a malformed shard and name a header, then the same one in the next attempt."""
        self.log.info(f"A final whose opened shard is {reason}")
        current = Round(self.requester, self.node, [self.honest]).commit().close()
        assert_equal(current.release.body.shard_index, index)
        shard = self.requester.shard_data(current.release)
        self.refuse(Kind.SHARD, current.release.body.test_root, shard, reason)
        self.name(self.honest.reveal_all(self.node, current.kept[0], current.release, claim=64))
        self.follow(current.kept, reason)

    def name(self, reveal):
        """Sign the final that names a reveal's header."""
        self.requester.publish(self.requester.final(reveal), self.node)

    def refuse(self, kind, root, data, reason):
        """Hand the node bytes that it refuses."""
        answer = upload(client(self.node), kind, root, data)
        assert_equal((answer.status, answer.reason), ("refused", reason))

    def follow(self, kept, reason):
        """Find the final void, also after a restart, and play the next attempt."""
        height = self.requester.log.next_height
        for _ in range(2):
            info = self.node.getpodlinfo()
            assert_equal((info["state"], info["height"], info["phase"]), ("void", height - 1, "commit"))
            assert reason in self.alarms(self.node)
            self.restart_node(0, self.podl_args())
        self.requester.log.void_last()
        again = Round(self.requester, self.node, [self.honest], kept).close().reveal()
        assert_equal(again.release.body.attempt, 1)
        self.requester.publish(self.requester.final(again.reveals[0]), self.node)
        self.wait_until(lambda: self.node.getbestblockhash() == kept[0].hash_hex)


if __name__ == "__main__":
    PodlVoidBytesTest(__file__).main()
