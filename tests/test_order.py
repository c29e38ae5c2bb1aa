"""
Order independence of the schedule that requester, miners and validators keep.

Every sequence of schedule.json without a proof is a bag of messages here, good ones and bad ones: any choice
of them, told in any two orders, must lead to one log. `PODL_ORDER_EXAMPLES` asks for a longer run.
"""

from __future__ import annotations

import json
import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from podl_tools.entry import Entry
from podl_tools.errors import FailureClass, RejectError
from podl_tools.reveal import Reveal
from podl_tools.schedule import Schedule, Status, Submission

SEQUENCES = json.loads((Path(__file__).parent.parent / "vectors" / "schedule.json").read_text())["sequences"]
LONG = settings(max_examples=int(os.environ.get("PODL_ORDER_EXAMPLES", "150")))


@dataclass(frozen=True)
class Bag:
    """Messages, what the receiver knows of blocks, and a time when all of them can be judged."""

    task: Entry
    messages: tuple[Entry | Reveal, ...]
    blocks: dict[bytes, int]
    now: int


def read_bag(sequence: dict[str, Any]) -> Bag:
    steps = sequence["steps"]
    parsed = [
        Entry.parse(bytes.fromhex(s["entry"])) if "entry" in s else Reveal.parse(bytes.fromhex(s["reveal"]))
        for s in steps
    ]
    task = next(m for m, s in zip(parsed, steps, strict=True) if s["status"] == "accepted")
    assert isinstance(task, Entry)
    unique = {m.serialize(): m for m in parsed}
    blocks = {bytes.fromhex(block): height for block, height in sequence["blocks"].items()}
    return Bag(task, tuple(unique.values()), blocks, max(s.get("now", 0) for s in steps))


# What proves a final void is outside of the schedule; the node's podl_order_tests have it.
BAGS = [read_bag(s) for s in SEQUENCES if not any("void" in step for step in s["steps"])]


@dataclass
class Node:
    """A schedule and what it has answered so far."""

    bag: Bag
    schedule: Schedule = field(default_factory=Schedule)
    accepted: set[bytes] = field(default_factory=set)
    blamed: set[bytes] = field(default_factory=set)

    def tell(self, message: Entry | Reveal) -> Submission:
        """Offer one message."""
        if isinstance(message, Entry):
            result = self.schedule.submit(message, self.bag.now, self.bag.blocks.get)
        else:
            result = self._tell_reveal(message)
        if result.status is Status.ACCEPTED:
            self.accepted.add(message.serialize())
        if result.failure is FailureClass.DATA:
            self.blamed.add(message.serialize())
        return result

    def _tell_reveal(self, reveal: Reveal) -> Submission:
        try:
            self.schedule.check_reveal(reveal)
        except RejectError as error:
            return Submission.of_error(error)
        return Submission(Status.ACCEPTED)

    def tell_all(self, order: list[Entry | Reveal]) -> dict[bytes, Submission]:
        """Offer everything again and again until the answers stay the same; return them."""
        answers: dict[bytes, Submission] = {}
        for _ in range(len(order) + 2):
            before, answers = answers, {m.serialize(): self.tell(m) for m in order}
            if answers == before:
                return answers
        raise AssertionError("comes to no end")

    @property
    def ids(self) -> list[bytes]:
        """Log."""
        return [entry.id for entry in self.schedule.entries]


@LONG
@given(data=st.data())
def test_order_does_not_matter(data: st.DataObject) -> None:
    bag = data.draw(st.sampled_from(BAGS))
    one = data.draw(st.permutations(bag.messages))[: data.draw(st.integers(1, len(bag.messages)))]
    other = data.draw(st.permutations(one))
    nodes = Node(bag), Node(bag)
    for node in nodes:
        node.tell(bag.task)
    answers = [node.tell_all(order) for node, order in zip(nodes, (one, other), strict=True)]
    told = nodes[0].accepted | nodes[1].accepted
    assert not told & (nodes[0].blamed | nodes[1].blamed), "blame for what is good elsewhere"
    alarms = [node.schedule.alarms for node in nodes]
    assert bool(alarms[0]) == bool(alarms[1])
    if alarms[0]:
        for node in nodes:
            assert node.schedule.is_frozen == any(not alarm.is_deep for alarm in node.schedule.alarms)
        slot = min(alarm.slot for alarm in alarms[0] + alarms[1])
        assert nodes[0].ids[:slot] == nodes[1].ids[:slot]
        return
    assert nodes[0].ids == nodes[1].ids
    assert answers[0] == answers[1]
