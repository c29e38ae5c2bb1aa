"""A random history of heights, played on one node and written down as messages for other nodes."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from podl_framework.actors import Commitment, Miner, Requester, client, judge, named_bytes
from podl_framework.p2p import BODY, COMMITMENT, DATA, ENTRY, REVEAL
from podl_framework.rounds import Round
from podl_tools.chain.data import Kind, upload
from podl_tools.entry import Entry
from podl_tools.keys import SigningKey

if TYPE_CHECKING:
    from random import Random

    from test_framework.test_node import TestNode

    from podl_tools.chain.answers import Submission
    from podl_tools.reveal import Reveal

FOREIGN_KEY = SigningKey(named_bytes("not the requester"))


@dataclass(frozen=True)
class Told:
    """A message: P2P type and id, bytes, for objects the RPCs' kind; bad ones must not be taken."""

    kind: int
    id: bytes
    data: bytes
    object: Kind | None = None
    is_good: bool = True

    def submit(self, node: TestNode) -> Submission:
        """Hand it in by RPC."""
        rpc = client(node)
        if self.object is not None:
            return upload(rpc, self.object, self.id, self.data)
        send = {ENTRY: rpc.submit_entry, COMMITMENT: rpc.submit_commitment, REVEAL: rpc.submit_reveal}
        return send[self.kind](self.data)


def spoilt(kind: int, data: bytes) -> bytes:
    """Bytes that are not what they are offered as: another signature, no hashModel, a changed byte."""
    if kind == ENTRY:
        entry = Entry.parse(data)
        return Entry.sign(FOREIGN_KEY, entry.chain_id, entry.prev, entry.time, entry.body).serialize()
    if kind == COMMITMENT:
        return data[:80] + bytes(32)
    return data[:-1] + bytes([data[-1] ^ 1])


class Scribe:
    """Plays random heights on a node and keeps every message; the last height stays open."""

    def __init__(self, requester: Requester, node: TestNode, rng: Random) -> None:
        self.requester = requester
        self.node = node
        self.rng = rng
        self.told: list[Told] = []
        self.current: Round | None = None

    def play(self, heights: int) -> list[Told]:
        """Finish the open height, play some more and open another one; return what is new."""
        self.told = []
        for _ in range(heights):
            self.finish(self.current or self.open())
            self.current = None
        self.current = self.open()
        return self.told

    def add(self, kind: int, name: bytes, data: bytes, part: Kind | None = None) -> None:
        """Hand a good message to the node and write it down, now and then with a spoilt copy."""
        message = Told(kind, name, data, part)
        answer = message.submit(self.node)
        if answer.status not in ("accepted", "duplicate", "later"):
            raise AssertionError(f"the node refuses a good message: {answer}")
        self.told.append(message)
        if self.rng.random() < 0.3:
            self.told.append(Told(kind, name, spoilt(kind, data), part, is_good=False))

    def open(self) -> Round:
        """Commitments, one or two releases, reveals, data."""
        current = Round(self.requester, self.node, self.make_miners())
        for miner in current.miners:
            current.kept.append(self.commit(current, miner))
        if self.rng.random() < 0.4:
            self.attempt(current)
        return self.attempt(current)

    def make_miners(self) -> list[Miner]:
        """More of them than the pool takes, now and then."""
        height, rng = self.requester.log.next_height, self.rng
        return [
            Miner(self.requester, f"{height}/{i}", architecture=rng.randrange(2), epochs=rng.randint(1, 4))
            for i in range(rng.randint(2, self.requester.task.pool_size + 2))
        ]

    def commit(self, current: Round, miner: Miner) -> Commitment:
        """A miner's commitment; a copy of another one's model now and then, for a tie."""
        copied = current.kept[0].trained if current.kept and self.rng.random() < 0.25 else None
        if copied:
            miner.architecture, miner.epochs = current.miners[0].architecture, current.miners[0].epochs
        kept = miner.prepare(self.node, trained=copied)
        self.add(COMMITMENT, kept.hash, kept.disclosure.header.serialize())
        return kept

    def attempt(self, current: Round) -> Round:
        """List some commitments and open the next shard; the listed reveal. It ends an attempt before."""
        log, task = self.requester.log, self.requester.task
        listed = self.rng.sample(
            list(zip(current.miners, current.kept, strict=True)),
            min(len(current.kept), self.rng.randint(1, task.list_size)),
        )
        times = [kept.disclosure.header.time for kept in current.kept]
        moment = max(
            int(time.time()), log.entries[-1].time + (task.max_phase if log.is_revealing else 0), *times
        )
        prev = current.kept[0].disclosure.header.prev_block
        current.release = self.requester.release(prev, [kept.hash for _, kept in listed], at=moment)
        self.requester.append(current.release)
        self.add(ENTRY, current.release.id, current.release.serialize())
        shard = self.requester.shard_data(current.release)
        self.add(DATA, current.release.body.test_root, shard, Kind.SHARD)
        current.reveals = [self.reveal(miner, kept, current.release) for miner, kept in listed]
        judge(self.node, self.requester)
        return current

    def reveal(self, miner: Miner, kept: Commitment, release: Entry) -> Reveal:
        """The true claim, now and then beside a false one, and all bytes."""
        true = miner.reveal(kept, release)
        claims = [true]
        if self.rng.random() < 0.3 and true.claim < release.body.n:
            claims.append(miner.reveal(kept, release, claim=self.rng.randint(true.claim + 1, release.body.n)))
        for claim in claims:
            self.add(REVEAL, claim.id, claim.serialize())
        self.add(BODY, kept.hash, kept.block, Kind.BODY)
        self.add(DATA, kept.trained.weights_root, kept.trained.weights, Kind.WEIGHTS)
        self.add(DATA, kept.trained.model_root, kept.trained.model, Kind.MODEL)
        return true

    def finish(self, current: Round) -> None:
        """The final names the best of the listed."""
        best = current.best()
        final = self.requester.final(best)
        self.requester.append(final)
        self.add(ENTRY, final.id, final.serialize())
        self.node.syncpodl()
        if self.node.getbestblockhash() != best.disclosure.header.hash[::-1].hex():
            raise AssertionError("the node has not connected the winner")
