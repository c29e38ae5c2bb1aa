"""PodlTestFramework: Core's functional-test class with Proof-of-Deep-Learning switched on."""

from __future__ import annotations

import os
from pathlib import Path

from test_framework.test_framework import BitcoinTestFramework

from podl_framework import SOURCE_DIR
from podl_framework.actors import Requester

BUILD_DIR = Path(os.environ.get("PODL_BUILD_DIR", SOURCE_DIR.parent / "bitcoin-build"))


class PodlTestFramework(BitcoinTestFramework):
    """Base of tests on a PoDL chain.

    A subclass sets ``self.num_nodes`` in ``set_test_params``. ``self.requester`` is a scripted requester with
    a small task whose first height is ``self.podl_height``; every node starts with that task. Options of
    single nodes go to ``self.extra_args`` as usual.
    """

    podl_height = 5

    def set_test_params(self):
        raise NotImplementedError

    def run_test(self):
        raise NotImplementedError

    def add_options(self, parser):
        # Core's defaults lie beside the test, in this project's folders.
        parser.set_defaults(
            configfile=str(BUILD_DIR / "test" / "config.ini"), cachedir=str(BUILD_DIR / "test" / "cache")
        )

    def make_requester(self) -> Requester:
        """Build the requester; tests with an unusual task override this."""
        return Requester(first_height=self.podl_height)

    def setup_chain(self):
        """Clean data folders and the task file."""
        self.setup_clean_chain = True
        super().setup_chain()
        self.requester = self.make_requester()
        self.task_file = Path(self.options.tmpdir) / "task.hex"
        self.task_file.write_text(self.requester.task_entry.serialize().hex() + "\n", encoding="ascii")

    def podl_args(self) -> list[str]:
        """Options that make a node follow the requester's chain, and judge by what the test submits alone."""
        return [
            f"-podlheight={self.podl_height}",
            f"-podltask={self.task_file}",
            "-podlevaluator=sidecar",
        ]

    def setup_nodes(self):
        extra = self.extra_args or [[] for _ in range(self.num_nodes)]
        self.add_nodes(self.num_nodes, [self.podl_args() + own for own in extra])
        self.start_nodes()

    def mine_to_podl(self, node=None):
        """Mine ordinary blocks up to the last height below the first PoDL block."""
        node = node or self.nodes[0]
        missing = self.podl_height - 1 - node.getblockcount()
        return self.generate(node, missing) if missing > 0 else []

    def mine_to_podl_apart(self):
        """Let nodes 0 and 1, which are not connected, have the same blocks below the first PoDL block."""
        first, second = self.nodes[:2]
        for block in self.generate(first, self.podl_height - 1, sync_fun=self.no_op):
            second.submitblock(first.getblock(block, 0))
