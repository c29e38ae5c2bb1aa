#!/usr/bin/env python3
"""Whose verdicts a node judges by: -podlevaluator=internal, sidecar, both and auto."""

import podl_framework  # noqa: F401 - sets the import path
from podl_framework.actors import Miner, client, judge
from podl_framework.base import PodlTestFramework
from podl_framework.rounds import Round
from test_framework.test_node import ErrorMatch
from test_framework.util import assert_equal

from podl_tools.chain.verdict import Verdict, verdict_key

NAME = "scripted"


class PodlEvaluatorTest(PodlTestFramework):
    """Three nodes on one chain: one measures by itself, one is told, one wants both."""

    def set_test_params(self):
        self.num_nodes = 3
        self.extra_args = [["-podlevaluator=internal"], [], ["-podlevaluator=both"]]

    def run_test(self):
        self.own, self.told, self.both = self.nodes
        self.miners = [Miner(self.requester, "first"), Miner(self.requester, "second", architecture=1)]
        self.check_bad_options()
        self.mine_to_podl()
        self.check_true_claim()
        self.check_restart()
        self.check_auto()
        self.check_dead_sidecar()
        self.check_false_claim(*self.check_conflict())

    def check_bad_options(self):
        self.log.info("A bad option is named at the start, with what it may be")
        node = self.told
        self.stop_node(node.index)
        for option, message in (
            (
                "-podlevaluator=gpu",
                'Error: -podlevaluator must be auto, sidecar, internal or both, not "gpu".',
            ),
            ("-podlevaluatorthreads=0", "Error: -podlevaluatorthreads must be 1 to 64."),
        ):
            arguments = [*self.podl_args(), option]
            node.assert_start_raises_init_error(arguments, message, match=ErrorMatch.FULL_TEXT)
        self.start_told()

    def start_told(self, *options):
        """Start node 1, which must be down, with other options."""
        self.start_node(self.told.index, [*self.podl_args(), *options])
        self.connect_nodes(1, 0)
        self.connect_nodes(2, 1)

    def evaluators(self, node):
        """Verdicts by evaluator that the node knows of."""
        return {entry["name"]: entry["verdicts"] for entry in node.getpodlinfo()["evaluators"]}

    def jobs(self, node):
        return node.listpodlcandidates()["jobs"]

    def candidates(self, node):
        return node.listpodlcandidates()["candidates"]

    def wait_tip(self, block_hash, *nodes):
        for node in nodes:
            self.wait_until(lambda n=node: n.getbestblockhash() == block_hash)

    def reveal_on_own(self):
        """Play a height on node 0 until it has measured by itself all reveals that it has to."""
        current = Round(self.requester, self.own, self.miners).commit().close().reveal()
        self.wait_until(lambda: {c["state"] for c in self.candidates(self.own)} <= {"valid", "not-needed"})
        return current

    def finish(self, current):
        """Sign the final and wait until node 0 has its block; return the hash."""
        winner = current.finish().disclosure.header.hash[::-1].hex()
        self.wait_tip(winner, self.own)
        return winner

    def check_true_claim(self):
        self.log.info("Candidates and the final's block need no verdict from outside on a node with its own")
        before = self.own.getbestblockhash()
        current = self.reveal_on_own()
        info = self.own.getpodlinfo()
        assert_equal(info["evaluator"], "internal")
        assert_equal(set(self.evaluators(self.own)), {"internal"})
        assert info["evaluators"][0]["device"].startswith("C++ on CPU (")
        winner = self.finish(current)
        self.log.info("The others know the final; one is told nothing, one has only its own verdict")
        self.wait_until(lambda: self.told.getpodlinfo()["finals"] == self.both.getpodlinfo()["finals"] == 1)
        self.wait_until(lambda: self.jobs(self.told) and self.jobs(self.both))
        self.wait_until(lambda: self.evaluators(self.both)["internal"] >= 1)
        assert_equal(self.evaluators(self.told), {})
        for node in (self.told, self.both):
            node.syncpodl()
            assert_equal(node.getbestblockhash(), before)
            assert_equal(node.getpodlinfo()["heights"], {"evaluated": 0})
        self.log.info("One verdict over RPC and both follow")
        for node in (self.told, self.both):
            assert judge(node, self.requester, name=NAME) >= 1
        self.wait_tip(winner, self.told, self.both)
        assert_equal(set(self.evaluators(self.told)), {NAME})
        assert_equal(set(self.evaluators(self.both)), {NAME, "internal"})

    def check_restart(self):
        self.log.info("Both verdicts are kept")
        for node in (self.own, self.both):
            before = node.getpodlinfo()
            self.restart_node(node.index)
            after = node.getpodlinfo()
            for key in ("evaluators", "heights", "alarms"):
                assert_equal(after[key], before[key])
        self.connect_nodes(1, 0)
        self.connect_nodes(2, 1)

    def play_on_own(self):
        """Make a block on node 0 alone and let it go round; return its hash."""
        winner = self.finish(self.reveal_on_own())
        self.judge_until(winner)
        return winner

    def judge_until(self, block_hash):
        """Submit the verdicts that node 2 asks for until it has a block."""

        def reached():
            judge(self.both, self.requester, name=NAME)
            return self.both.getbestblockhash() == block_hash

        self.wait_until(reached)

    def check_auto(self):
        self.log.info("auto: without anybody who asks for jobs the node measures by itself")
        self.stop_node(self.told.index)
        self.start_told("-podlevaluator=auto")
        assert_equal(self.told.getpodlinfo()["evaluator"], "auto")
        before = self.evaluators(self.told)
        self.wait_tip(self.play_on_own(), self.told)
        found = self.evaluators(self.told)
        assert found["internal"] > before["internal"]
        assert_equal(found[NAME], before[NAME])

    def check_dead_sidecar(self):
        self.log.info("auto: an evaluator that asked for jobs and then fell silent holds nothing up")
        self.jobs(self.told)  # the evaluator's last sign of life
        before = self.evaluators(self.told)
        self.wait_tip(self.play_on_own(), self.told)
        found = self.evaluators(self.told)
        assert found["internal"] > before["internal"]
        assert_equal(found[NAME], before[NAME])

    def check_conflict(self):
        self.log.info("A verdict over RPC that differs from the node's own is a conflict")
        current = self.reveal_on_own()
        listed = self.own.listpodlcandidates()
        (measured, *_) = (c for c in listed["candidates"] if c["state"] == "valid")
        program = self.requester.task.loaded_programs[measured["architecture"]].serialize()
        key = verdict_key(
            1, program, bytes.fromhex(measured["weights_root"]), bytes.fromhex(listed["test_root"])
        )
        wrong = Verdict(key, measured["count"] - 1, measured["rank_sum"] + 1, "GPU", "broken")
        answer = client(self.own).submit_verdict(wrong)
        assert_equal((answer.status, answer.reason), ("refused", "podl-verdict-conflict"))
        assert_equal([a["reason"] for a in self.own.getpodlinfo()["alarms"]], ["podl-verdict-conflict"])
        assert "count" not in self.candidates(self.own)[measured["position"]]
        self.log.info("Nobody over RPC may use the name of the node's own evaluator")
        forged = Verdict(key, measured["count"], measured["rank_sum"], "GPU", "internal")
        assert_equal(client(self.own).submit_verdict(forged).reason, "podl-verdict-range")
        return current, 1 - measured["position"]

    def check_false_claim(self, current, position):
        self.log.info("A final with a false claim is void: on a node by its own verdict, on another by two")
        tip = self.both.getbestblockhash()
        liar, kept = self.miners[position], current.kept[position]
        wrong = liar.reveal(kept, current.release, claim=current.reveals[position].claim - 1)
        self.requester.publish(self.requester.final(wrong), self.own)
        final = self.requester.log.last_id.hex()
        self.wait_until(lambda: all(n.getpodlinfo()["digest"] == final for n in self.nodes))
        for node in self.nodes:
            if node is self.both:
                node.syncpodl()
                assert_equal(node.getpodlinfo()["state"], "running")
                judge(node, self.requester, name=NAME)
            self.wait_until(lambda n=node: n.getpodlinfo()["state"] == "void")
            assert "podl-claim-mismatch" in [a["reason"] for a in node.getpodlinfo()["alarms"]]
            assert_equal(node.getbestblockhash(), tip)


if __name__ == "__main__":
    PodlEvaluatorTest(__file__).main()
