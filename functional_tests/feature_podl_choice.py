#!/usr/bin/env python3
"""Two entries for one slot freeze all nodes that see both, in either order; `choosepodlentry` is the way out.

All operators choose the same entry: nodes that had accepted the other one go back to it, and everybody, a
node that comes later too, goes on with one chain.
"""

import podl_framework  # noqa: F401 - sets the import path
from podl_framework.actors import Miner, client
from podl_framework.base import PodlTestFramework
from podl_framework.rounds import Round, play_height
from test_framework.util import assert_equal, assert_raises_rpc_error


class PodlChoiceTest(PodlTestFramework):
    """Nodes 0 and 1 see the entries in different order; node 2 comes late."""

    def set_test_params(self):
        self.num_nodes = 3

    def podl_args(self):
        return [*super().podl_args(), "-podlevaluator=internal"]

    def setup_network(self):
        self.setup_nodes()

    def run_test(self):
        self.mine_to_podl_apart()
        self.miners = [Miner(self.requester, "first"), Miner(self.requester, "second", architecture=1)]
        for case in (self.bad_arguments, self.two_releases, self.two_finals, self.late_node):
            self.log.info(case.__doc__)
            case()

    def check_frozen(self, ids, following):
        """Find both nodes frozen with the same evidence and the same refusals, also after a restart."""
        for node in self.nodes[:2]:
            for _ in range(2):
                info = node.getpodlinfo()
                assert_equal(info["state"], "frozen")
                alarm = next(a for a in info["alarms"] if set(a["ids"]) == ids)
                assert_equal(alarm["reason"], "podl-entry-equivocation")
                answer = client(node).submit_entry(following.serialize())
                assert_equal((answer.status, answer.reason), ("later", "podl-schedule-frozen"))
                self.restart_node(node.index, self.podl_args())

    def contradict(self, one, two):
        """Give both entries to both nodes, in different order; each takes the first it sees."""
        for node, order in zip(self.nodes, ((one, two), (two, one)), strict=False):
            assert_equal(client(node).submit_entry(order[0].serialize()).status, "accepted")
            for _ in range(2):
                answer = client(node).submit_entry(order[1].serialize())
                assert_equal((answer.status, answer.reason), ("refused", "podl-entry-equivocation"))

    def choose(self, chosen, other):
        """Let both operators choose; the other entry is refused from then on, also after a restart."""
        for node in self.nodes[:2]:
            assert_equal(node.choosepodlentry(chosen.id.hex()), {"status": "accepted"})
            for _ in range(2):
                info = node.getpodlinfo()
                assert_equal((info["state"], info["digest"]), ("running", chosen.id.hex()))
                answer = client(node).submit_entry(other.serialize())
                assert_equal((answer.status, answer.reason), ("refused", "podl-entry-not-chosen"))
                self.restart_node(node.index, self.podl_args())
            assert_equal(node.choosepodlentry(chosen.id.hex())["reason"], "podl-choice-none")

    def bad_arguments(self):
        """Arguments that are no id, and a schedule that is not frozen."""
        node = self.nodes[0]
        assert_raises_rpc_error(-1, "choosepodlentry", node.choosepodlentry)
        assert_raises_rpc_error(-3, "JSON value of type number", node.choosepodlentry, 1)
        assert_raises_rpc_error(-8, "id must be the hex of 32 bytes", node.choosepodlentry, "00" * 31)
        assert_raises_rpc_error(-22, "id is not hex", node.choosepodlentry, "zz" * 32)
        answer = node.choosepodlentry(self.requester.log.last_id.hex())
        assert_equal((answer["status"], answer["reason"]), ("refused", "podl-choice-none"))

    def two_releases(self):
        """Two releases: nothing was accepted behind the slot, so that the tips are equal throughout."""
        first, second = self.nodes[:2]
        current = Round(self.requester, first, self.miners).commit()
        prev = bytes.fromhex(first.getbestblockhash())[::-1]
        names = [kept.hash for kept in current.kept]
        moment = max(kept.disclosure.header.time for kept in current.kept)
        moment = max(moment, self.requester.log.entries[-1].time)
        current.release = self.requester.release(prev, names, at=moment)
        other = self.requester.release(prev, names[:1], at=moment)
        self.contradict(current.release, other)
        self.requester.append(current.release)
        following = self.requester.release(prev, names, at=moment + 60)
        self.check_frozen({current.release.id.hex(), other.id.hex()}, following)
        assert_equal(first.getbestblockhash(), second.getbestblockhash())
        unknown = first.choosepodlentry("00" * 32)
        assert_equal((unknown["status"], unknown["reason"]), ("refused", "podl-choice-unknown"))
        self.choose(current.release, other)
        self.requester.open_shard(current.release, first)
        current.reveal().finish()
        self.wait_until(lambda: first.getblockcount() == self.podl_height)
        self.connect_nodes(0, 1)
        self.sync_blocks([first, second])

    def two_finals(self):
        """Two finals, each with its block on one node: the chosen one's block stands on both."""
        first, second = self.nodes[:2]
        current = Round(self.requester, first, self.miners).commit().close().reveal()
        self.wait_until(lambda: len(second.listpodlcandidates()["candidates"]) == 2)
        held = ("body", "weights", "model")
        self.wait_until(
            lambda: all(row[k] for row in second.listpodlcandidates()["candidates"] for k in held)
        )
        self.disconnect_nodes(0, 1)
        finals = [self.requester.final(reveal) for reveal in current.reveals]
        tips = [kept.hash_hex for kept in current.kept]
        for node, final, tip in zip(self.nodes, finals, tips, strict=False):
            assert_equal(client(node).submit_entry(final.serialize()).status, "accepted")
            self.wait_until(lambda node=node, tip=tip: node.getbestblockhash() == tip)
        for node, final in zip(self.nodes, finals[::-1], strict=False):
            answer = client(node).submit_entry(final.serialize())
            assert_equal((answer.status, answer.reason), ("refused", "podl-entry-equivocation"))
        self.requester.append(finals[0])
        following = self.requester.release(current.kept[0].hash, [current.kept[0].hash])
        self.check_frozen({final.id.hex() for final in finals}, following)
        assert_equal([node.getbestblockhash() for node in self.nodes[:2]], tips)
        self.choose(*finals)
        below = first.getblockheader(tips[0])["previousblockhash"]
        self.wait_until(lambda: second.getbestblockhash() == below)
        self.log.info("Its bytes went with the final that named another; they come from whoever has them")
        self.connect_nodes(0, 1)
        self.wait_until(lambda: second.getbestblockhash() == tips[0])
        assert_equal(first.getbestblockhash(), tips[0])
        given_up = next(tip for tip in second.getchaintips() if tip["hash"] == tips[1])
        assert given_up["status"] != "invalid"
        play_height(self.requester, first, self.miners)
        self.wait_until(lambda: first.getblockcount() == self.podl_height + 2)
        self.sync_blocks([first, second])

    def late_node(self):
        """A node that comes later meets one schedule, and no evidence."""
        late = self.nodes[2]
        self.connect_nodes(2, 1)
        self.wait_until(lambda: late.getbestblockhash() == self.nodes[0].getbestblockhash())
        info = late.getpodlinfo()
        assert_equal(info["digest"], self.nodes[0].getpodlinfo()["digest"])
        assert_equal((info["state"], info["alarms"]), ("running", []))


if __name__ == "__main__":
    PodlChoiceTest(__file__).main()
