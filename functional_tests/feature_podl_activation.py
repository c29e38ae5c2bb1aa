#!/usr/bin/env python3
"""Refused: PoDL headers below -podlheight, ordinary ones from it on, wrong tasks, wrong data folders."""

import podl_framework  # noqa: F401 - sets the import path
from podl_framework.actors import Miner, Requester
from podl_framework.base import PodlTestFramework
from podl_framework.rounds import play_height
from test_framework.blocktools import create_block, create_coinbase
from test_framework.test_node import ErrorMatch
from test_framework.util import assert_equal, assert_raises_rpc_error


class PodlActivationTest(PodlTestFramework):
    """The rule starts at exactly the height of the task."""

    def set_test_params(self):
        self.num_nodes = 1

    def run_test(self):
        node = self.nodes[0]
        self.log.info("Below the height: ordinary blocks, and no PoDL header")
        self.check_podl_version_refused(node)
        self.mine_to_podl()
        assert_equal(node.getblockcount(), self.podl_height - 1)
        self.log.info("At the height: no ordinary block by any way")
        self.check_ordinary_refused(node)
        self.log.info("A PoDL block without final is neither stored nor invalid")
        self.check_unnamed_block(node)
        self.log.info("A named one is the tip")
        play_height(self.requester, node, [Miner(self.requester, "miner")])
        assert_equal(node.getblockcount(), self.podl_height)
        self.check_ordinary_refused(node)
        self.check_start_errors(node)
        self.check_ordinary_chain(node)

    def check_podl_version_refused(self, node):
        tip = node.getblockheader(node.getbestblockhash())
        block = create_block(
            int(tip["hash"], 16),
            create_coinbase(tip["height"] + 1),
            version=0x40000000,
            ntime=tip["time"] + 1,
        )
        block.solve()
        # A header of 80 bytes with this version is 32 bytes short for a PoDL node.
        assert_raises_rpc_error(-22, "Block decode failed", node.submitblock, block.serialize().hex()[:200])
        self.restart_node(0, [*self.podl_args(), "-blockversion=1073741824"])
        assert_raises_rpc_error(-1, "bad-podl-version", self.generate, node, 1)
        self.restart_node(0, self.podl_args())

    def check_ordinary_refused(self, node):
        before = node.getbestblockhash()
        template = node.getblocktemplate({"rules": ["segwit"]})
        assert_equal(template["version"], 0x40000000)
        assert_equal(template["podl"]["can_commit"], True)
        block = create_block(tmpl=template)
        block.nVersion = 0x20000000
        block.solve()
        assert_equal(node.submitblock(block.serialize().hex()), "bad-podl-version")
        assert_raises_rpc_error(-25, "bad-podl-version", node.submitheader, block.serialize().hex()[:160])
        assert_raises_rpc_error(-1, "cannot be generated", self.generate, node, 1)
        assert_equal(node.getbestblockhash(), before)

    def check_unnamed_block(self, node):
        kept = Miner(self.requester, "unnamed").prepare(node)
        assert node.submitblock(kept.block.hex()).startswith("podl-final-missing, ")
        assert_raises_rpc_error(-25, "podl-final-missing", node.submitheader, kept.block[:112].hex())
        assert kept.hash_hex not in [tip["hash"] for tip in node.getchaintips()]

    def check_start_errors(self, node):
        self.log.info("Wrong tasks and wrong data folders stop at start with one line")
        self.stop_node(0)
        wrong = {
            "missing.hex": None,
            "empty.hex": "",
            "nohex.hex": "zz",
            "cut.hex": self.task_file.read_text()[:100],
            "trailing.hex": self.task_file.read_text().strip() + "00",
        }
        for name, text in wrong.items():
            path = self.task_file.with_name(name)
            if text is not None:
                path.write_text(text)
            self.check_error(node, self.podl_height, path, "Error: .*podltask.*")
        self.check_error(node, self.podl_height + 1, self.task_file, "Error: .*first height.*")
        other = Requester(first_height=self.podl_height, stamp_bits=1)
        path = self.task_file.with_name("other.hex")
        path.write_text(other.task_entry.serialize().hex())
        self.check_error(node, self.podl_height, path, "Error: .*another PoDL chain.*")
        node.assert_start_raises_init_error([], "Error: .*-podlheight.*", match=ErrorMatch.PARTIAL_REGEX)
        self.start_node(0, self.podl_args())
        assert_equal(node.getblockcount(), self.podl_height)

    def check_ordinary_chain(self, node):
        self.log.info("A chain that went on without PoDL is not taken for one whose schedule is lost")
        self.stop_node(0)
        self.cleanup_folder(node.chain_path)
        self.start_node(0, [])
        self.generate(node, self.podl_height)
        self.stop_node(0)
        for args in ([], ["-podlresync"]):
            node.assert_start_raises_init_error(
                [*self.podl_args(), *args],
                "Error: .*another data directory.*",
                match=ErrorMatch.PARTIAL_REGEX,
            )

    def check_error(self, node, height, task, message):
        args = [f"-podlheight={height}", f"-podltask={task}"]
        # extra_args given here replace those of the node
        node.assert_start_raises_init_error(args, message, match=ErrorMatch.PARTIAL_REGEX)


if __name__ == "__main__":
    PodlActivationTest(__file__).main()
