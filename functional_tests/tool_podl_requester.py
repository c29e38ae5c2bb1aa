#!/usr/bin/env python3
"""The requester replays a training before it signs: a copied model with flipped low bits is skipped."""

from dataclasses import replace

import podl_framework  # noqa: F401 - sets the import path
from podl_framework.actors import Miner
from podl_framework.sidecars import Observer, SidecarTestFramework
from test_framework.util import assert_equal

from podl_tools.entry import SkipReason
from podl_tools.ml.model import model_bytes, parse_model, weight_bytes
from podl_tools.training_run import TrainedModel


def flip_low_bits(trained: TrainedModel, program) -> TrainedModel:
    """Copy a model with the low bit of its first weights flipped: as good, but with other roots."""
    masters = [layer.copy() for layer in parse_model(program, trained.model)]
    masters[0][0] ^= 1 << 16
    return replace(trained, model=model_bytes(masters), weights=weight_bytes(masters))


class PodlRequesterTest(SidecarTestFramework):
    """Training is enforced before the reward, although no node has to replay."""

    def set_test_params(self):
        self.num_nodes = 1

    def run_test(self):
        node = self.nodes[0]
        self.mine_to_podl()
        requester = self.start_requester(node, commitments=2)
        self.start_validator("validator", node)
        observer = Observer(node, self.training)
        owner = Miner(observer, "owner", epochs=8)
        first = owner.commit(node)
        self.log.info("A good model wins the first height and is public from then on")
        other = Miner(observer, "other", epochs=1)
        self.play(node, {owner: first, other: other.commit(node)})
        assert_equal(node.getbestblockhash(), first.hash_hex)
        self.log.info("At the next height a thief commits to a copy of it with flipped low bits")
        thief, honest = Miner(observer, "thief", epochs=8), Miner(observer, "honest", epochs=1)
        copied = flip_low_bits(first.trained, thief.program)
        kept = {thief: thief.prepare(node, trained=copied), honest: honest.prepare(node)}
        for commitment in kept.values():
            node.submitpodlcommitment(commitment.disclosure.header.serialize().hex())
        reveals = self.play(node, kept)
        assert reveals[thief].claim > reveals[honest].claim
        final = observer.log.final_for(self.podl_height + 1).body
        assert_equal(final.disclosure.header.hash, kept[honest].hash)
        release = observer.log.latest_release(self.podl_height + 1).body
        skipped = {release.listed[skip.index]: skip.reason for skip in final.skipped}
        assert_equal(skipped, {kept[thief].hash: SkipReason.REPLAY_MISMATCH})
        self.wait_log(requester, "podl-retrain-mismatch")
        self.log.info("The node follows the final and does not call it suboptimal")
        assert_equal(node.getpodlinfo()["alarms"], [])
        self.stop_sidecars()

    def play(self, node, kept):
        """Wait for the release, reveal everything, wait for the block."""
        height = node.getblockcount() + 1
        self.wait_until(
            lambda: node.getpodlinfo()["phase"] == "reveal" and node.listpodlcandidates()["shard"]
        )
        log = next(iter(kept)).requester.log
        release = log.latest_release(height).entry
        reveals = {miner: miner.reveal_all(node, c, release) for miner, c in kept.items()}
        self.wait_height(height)
        return reveals


if __name__ == "__main__":
    PodlRequesterTest(__file__).main()
