#!/usr/bin/env python3
"""Bytes that are withheld do not keep other candidates from being fetched.

The task allows one download at a time. The best claim is false and nobody gets its bytes; the honest claim
below it must reach the other node all the same, and win.
"""

import podl_framework  # noqa: F401 - sets the import path
from podl_framework.actors import Miner, Requester, client, judge
from podl_framework.base import PodlTestFramework
from podl_framework.rounds import Round
from podl_framework.toy import SHARD_SIZE
from test_framework.util import assert_equal


class PodlWithheldTest(PodlTestFramework):
    """A download that makes no progress does not hold a place."""

    def set_test_params(self):
        self.num_nodes = 2
        self.extra_args = [["-debug=podl"]] * 2

    def make_requester(self):
        return Requester(first_height=self.podl_height, downloads=1)

    def run_test(self):
        node, other = self.nodes
        self.mine_to_podl()
        liar, honest = Miner(self.requester, "liar"), Miner(self.requester, "honest", architecture=1)
        current = Round(self.requester, node, [liar, honest]).commit().close()
        boast = liar.reveal(current.kept[0], current.release, claim=SHARD_SIZE)
        assert_equal(client(node).submit_reveal(boast.serialize()).status, "accepted")
        reveal = honest.reveal_all(node, current.kept[1], current.release)
        self.wait_until(lambda: len(other.listpodlcandidates()["candidates"]) == 2)
        self.log.info("The honest candidate arrives and is measured")
        hash_hex = current.kept[1].hash_hex

        def measured():
            judge(other, self.requester)
            found = {c["hash"]: c["state"] for c in other.listpodlcandidates()["candidates"]}
            return found[hash_hex] == "valid"

        self.wait_until(measured)
        self.log.info("The high claim turns out false: whoever passed it on is not to blame")
        liar.upload(node, current.kept[0])
        self.wait_until(lambda: judge(other, self.requester) == 1)
        found = {c["hash"]: c["state"] for c in other.listpodlcandidates()["candidates"]}
        assert_equal(found[current.kept[0].hash_hex], "false-claim")
        assert "Misbehaving" not in other.debug_log_path.read_text(encoding="utf8")
        self.log.info("The honest one's final connects on both nodes")
        judge(node, self.requester)
        self.requester.publish(self.requester.final(reveal), node)
        self.wait_until(lambda: [n.getbestblockhash() for n in self.nodes] == [hash_hex] * 2)


if __name__ == "__main__":
    PodlWithheldTest(__file__).main()
