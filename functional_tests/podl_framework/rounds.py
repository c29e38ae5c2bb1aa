"""One height played step by step: each step returns what the next one needs."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from podl_framework.actors import evaluate, judge

if TYPE_CHECKING:
    from test_framework.test_node import TestNode

    from podl_framework.actors import Commitment, Miner, Requester
    from podl_tools.entry import Entry
    from podl_tools.reveal import Reveal


@dataclass
class Round:
    """A height in progress: who takes part, what they committed, the release, the reveals."""

    requester: Requester
    node: TestNode
    miners: list[Miner]
    kept: list[Commitment] = field(default_factory=list)
    release: Entry | None = None
    reveals: list[Reveal] = field(default_factory=list)

    def commit(self) -> Round:
        """Every miner trains and commits on the node."""
        self.kept = [miner.commit(self.node) for miner in self.miners]
        return self

    def close(self) -> Round:
        """The requester lists all commitments and opens the next shard."""
        prev = bytes.fromhex(self.node.getbestblockhash())[::-1]
        # Blocks mined within a second are dated ahead of the clock, and so are headers on them.
        times = [kept.disclosure.header.time for kept in self.kept]
        moment = max([int(time.time()), self.requester.log.entries[-1].time, *times])
        self.release = self.requester.release(prev, [kept.hash for kept in self.kept], at=moment)
        self.requester.publish(self.release, self.node)
        self.requester.open_shard(self.release, self.node)
        return self

    def reveal(self) -> Round:
        """Every miner reveals its true count and uploads its bytes."""
        self.reveals = [
            miner.reveal_all(self.node, kept, self.release)
            for miner, kept in zip(self.miners, self.kept, strict=True)
        ]
        return self

    def judge(self) -> Round:
        """Evaluate everything that the node wants evaluated."""
        judge(self.node, self.requester)
        return self

    def best(self) -> Reveal:
        """The first in rank: highest claim, then lowest rank sum, then position in the list."""
        top = max(reveal.claim for reveal in self.reveals)
        equal = [reveal for reveal in self.reveals if reveal.claim == top]
        return equal[0] if len(equal) == 1 else min(equal, key=self._rank_sum)

    def _rank_sum(self, reveal: Reveal) -> int:
        """Rank sum of a reveal's model on the opened shard."""
        kept = next(kept for kept in self.kept if kept.disclosure == reveal.disclosure)
        program = self.requester.task.loaded_programs[reveal.disclosure.recipe[1]]
        return evaluate(self.requester, kept.trained.weights, program, self.release).rank_sum

    def finish(self) -> Reveal:
        """The requester names the best reveal; wait until the node has connected it."""
        best = self.best()
        self.requester.publish(self.requester.final(best), self.node)
        self.node.syncpodl()
        return best


def play_height(requester: Requester, node: TestNode, miners: list[Miner]) -> Reveal:
    """Play a whole height on one node and return the winner's reveal."""
    return Round(requester, node, miners).commit().close().reveal().judge().finish()
