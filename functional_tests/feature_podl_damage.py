#!/usr/bin/env python3
"""Every file of a node's PoDL store flipped, cut, zeroed, removed: it is named and fetched again.

Objects are fetched again from peers without further ado. A damaged database is refused at the start, with
its name and the option that rebuilds it. Nothing is called invalid. `--all` does every change to every file
of it.
"""

import re
import shutil

import podl_framework  # noqa: F401 - sets the import path
from podl_framework.actors import Miner, judge
from podl_framework.base import PodlTestFramework
from podl_framework.rounds import Round, play_height
from test_framework.authproxy import JSONRPCException
from test_framework.test_node import ErrorMatch, FailedToStartError
from test_framework.util import assert_equal


def flip(data):
    """Change one bit in the middle."""
    return data[: len(data) // 2] + bytes([data[len(data) // 2] ^ 1]) + data[len(data) // 2 + 1 :]


CHANGES = {
    "flipped": flip,
    "cut": lambda data: data[:-1],
    "zeroed": lambda data: bytes(len(data)),
    "removed": None,
}


class PodlDamageTest(PodlTestFramework):
    """Node 1 has the damage, node 0 has everything."""

    def set_test_params(self):
        self.num_nodes = 2

    def add_options(self, parser):
        super().add_options(parser)
        parser.add_argument("--all", action="store_true", help="every change to every file")

    def run_test(self):
        self.damaged = 0
        self.victim = self.nodes[1]
        self.folder = self.victim.chain_path / "podl"
        self.mine_to_podl()
        self.miners = [Miner(self.requester, "first"), Miner(self.requester, "second", architecture=1)]
        play_height(self.requester, self.nodes[0], self.miners)
        self.agree()
        self.check_objects_of_finals()
        self.check_objects_of_a_round()
        self.check_database()
        self.check_parameters()
        self.log.info("The chain goes on")
        play_height(self.requester, self.nodes[0], self.miners)
        self.agree()
        self.log.info(f"{self.damaged} files damaged")

    def held(self, node):
        """Names of the objects that a node holds: those of connected blocks without their bodies."""
        folder = node.chain_path / "podl" / "data"
        return {path.name for path in folder.iterdir() if not path.name.startswith("body-")}

    def agree(self):
        """Wait until node 1 has all that node 0 has, and find nothing wrong with it."""
        first, second = self.nodes
        self.wait_until(lambda: first.getpodlinfo()["digest"] == second.getpodlinfo()["digest"])
        self.wait_until(lambda: self.held(first) == self.held(second))
        for node in self.nodes:
            judge(node, self.requester)
        self.wait_until(lambda: first.getbestblockhash() == second.getbestblockhash())
        info = second.getpodlinfo()
        assert_equal((info["state"], info["alarms"]), ("running", []))
        assert_equal({tip["status"] for tip in second.getchaintips()}, {"active"})
        states = {c["state"] for c in second.listpodlcandidates().get("candidates", [])}
        assert not states & {"invalid", "false-claim"}, states

    def damage(self, path, change):
        """Change a file of the stopped node."""
        self.damaged += 1
        if change is None:
            path.unlink()
        else:
            path.write_bytes(change(path.read_bytes()))

    def start(self):
        self.start_node(1)
        self.connect_nodes(1, 0)

    def check_objects_of_finals(self):
        self.log.info("Objects of a final: named when they are read, and fetched again")
        for change in CHANGES.values():
            self.stop_node(1)
            paths = sorted(self.folder / "data" / name for name in self.held(self.victim))
            before = {path: path.read_bytes() for path in paths}
            for path in paths:
                self.damage(path, change)
            with self.victim.assert_debug_log([] if change is None else [f"the file {p} is" for p in paths]):
                self.start()
                for path in paths:
                    self.wait_until(lambda name=path.name: self.readable(*name.split("-")))
            self.agree()
            assert_equal({path: path.read_bytes() for path in paths}, before)

    def readable(self, kind, name):
        """Whether the node gives an object out."""
        try:
            self.victim.getpodldata(kind, bytes.fromhex(name)[::-1].hex() if kind == "body" else name)
        except JSONRPCException:
            return False
        return True

    def check_objects_of_a_round(self):
        self.log.info("Objects of an open round, its bodies too: no candidate is invalid")
        current = Round(self.requester, self.nodes[0], self.miners).commit().close().reveal()
        for change in CHANGES.values():
            self.wait_until(lambda: self.candidates(0) == self.candidates(1))
            self.stop_node(1)
            for path in (self.folder / "data").iterdir():
                self.damage(path, change)
            self.start()
            self.wait_until(lambda: self.candidates(0) == self.candidates(1))
            assert {state for _, state, *_ in self.candidates(1)} <= {
                "waiting-verdict",
                "valid",
                "not-needed",
            }
        current.judge().finish()
        self.agree()

    def candidates(self, index):
        names = ("hash", "state", "body", "weights")  # a model is needed once its candidate is found good
        if index == 1:  # every object is looked at once after a start
            for path in (self.folder / "data").glob("*-*[!p]"):  # not what is being written
                self.readable(*path.name.split("-"))
        found = self.nodes[index].listpodlcandidates()["candidates"]
        return sorted([c[name] for name in names] for c in found)

    def check_database(self):
        self.log.info("The database: named at the start, rebuilt with -podlresync")
        self.stop_node(1)
        database = self.folder / "db"
        kept = self.folder.with_name("kept")
        shutil.copytree(self.folder, kept)
        names = sorted(path.name for path in database.iterdir() if path.stat().st_size)
        for number, name in enumerate(names):
            for place, (how, change) in enumerate(CHANGES.items()):
                if not self.options.all and place != number % len(CHANGES):
                    continue
                self.damage(database / name, change)
                outcome = self.start_damaged(database)
                self.log.info(f"{name} {how}: {outcome}")
                self.agree()
                self.stop_node(1)
                shutil.rmtree(self.folder)
                shutil.copytree(kept, self.folder)
        self.start()
        self.agree()

    def start_damaged(self, database):
        """Start the node as an operator would: with -podlresync where the first start asks for it."""
        # LevelDB takes a lost end of its log for a crash: then the heights that are missing are named.
        expected = f"Error: .*({re.escape(str(database))}|If podl/ was lost).*-podlresync.*"
        try:
            self.start()
        except FailedToStartError:
            self.victim.running, self.victim.process = False, None
        else:
            return "the loss is made good by peers"
        self.victim.assert_start_raises_init_error(self.podl_args(), expected, match=ErrorMatch.PARTIAL_REGEX)
        self.start_node(1, [*self.podl_args(), "-podlresync"])
        self.connect_nodes(1, 0)
        return "refused, then rebuilt with -podlresync"

    def check_parameters(self):
        self.log.info("The parameters: named at the start, written anew once the file is gone")
        path = self.folder / "params"
        for change in CHANGES.values():
            self.stop_node(1)
            self.damage(path, change)
            if change is not None:
                expected = f"Error: .*says {re.escape(str(path))}. If that file is damaged, delete it.*"
                self.victim.assert_start_raises_init_error(
                    self.podl_args(), expected, match=ErrorMatch.PARTIAL_REGEX
                )
                path.unlink()
            self.start()
            self.agree()


if __name__ == "__main__":
    PodlDamageTest(__file__).main()
