"""
Order independence of the schedule that requester, miners and validators keep.

Every sequence of schedule.json is a bag of messages here, good, bad, and proofs that a final is void:
any choice of them, told in any two orders, must lead to one log. `PODL_ORDER_EXAMPLES` asks for a longer run.
"""

from __future__ import annotations

import json
import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from podl_tools.entry import Entry, FinalBody, ShardsBody
from podl_tools.errors import FailureClass, RejectError
from podl_tools.reveal import Reveal
from podl_tools.schedule import Schedule, Status, Submission

SEQUENCES = json.loads((Path(__file__).parent.parent / "vectors" / "schedule.json").read_text())["sequences"]
LONG = settings(max_examples=int(os.environ.get("PODL_ORDER_EXAMPLES", "150")))


@dataclass(frozen=True)
class Proof:
    """Whatever shows a node that a final is void; what it is, is outside of the schedule."""

    final_id: bytes

    def serialize(self) -> bytes:
        """Return bytes of its own."""
        return self.final_id


Message = Entry | Reveal | Proof


@dataclass(frozen=True)
class Bag:
    """Messages, what the receiver knows of blocks, and a time when all of them can be judged."""

    task: Entry
    messages: tuple[Message, ...]
    blocks: dict[bytes, int]
    now: int


def read_messages(steps: list[dict[str, Any]]) -> list[Message]:
    """Parse the steps; a proof is about the last final before it."""
    messages: list[Message] = []
    for step in steps:
        if "entry" in step:
            messages.append(Entry.parse(bytes.fromhex(step["entry"])))
        elif "reveal" in step:
            messages.append(Reveal.parse(bytes.fromhex(step["reveal"])))
        else:
            finals = (m for m in messages[::-1] if isinstance(m, Entry) and isinstance(m.body, FinalBody))
            messages.append(Proof(next(finals).id))
    return messages


def read_bag(sequence: dict[str, Any]) -> Bag:
    steps = sequence["steps"]
    parsed = read_messages(steps)
    task = next(m for m, s in zip(parsed, steps, strict=True) if s["status"] == "accepted")
    assert isinstance(task, Entry)
    unique = {m.serialize(): m for m in parsed}
    blocks = {bytes.fromhex(block): height for block, height in sequence["blocks"].items()}
    return Bag(task, tuple(unique.values()), blocks, max(s.get("now", 0) for s in steps))


BAGS = [read_bag(s) for s in SEQUENCES]
VOID_BAGS = [bag for bag in BAGS if any(isinstance(m, Proof) for m in bag.messages)]


@dataclass
class Node:
    """A schedule and what it has answered so far."""

    bag: Bag
    schedule: Schedule = field(default_factory=Schedule)
    accepted: set[bytes] = field(default_factory=set)
    blamed: set[bytes] = field(default_factory=set)
    proven: set[bytes] = field(default_factory=set)

    def tell(self, message: Message) -> Submission:
        """Offer one message."""
        if isinstance(message, Proof):
            self.proven.add(message.final_id)
            self._find_void()
            return Submission(Status.ACCEPTED)
        if isinstance(message, Entry):
            result = self.schedule.submit(message, self.bag.now, self.bag.blocks.get)
            self._find_void()
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

    def _find_void(self) -> None:
        """Cut the log behind the lowest final that is proven void by now, as a node does."""
        final = next((f for f in self.schedule.finals if f.id in self.proven), None)
        if final is None:
            return
        size = final.index + 1
        while isinstance(next(iter(self.schedule.entries[size : size + 1]), final).body, ShardsBody):
            size += 1
        kept, self.schedule = self.schedule.entries[:size], Schedule()
        for entry in kept:
            self.schedule.append(entry)
        self.schedule.void_last()

    def tell_all(self, order: list[Message]) -> dict[bytes, Submission]:
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


def check(data: st.DataObject, bag: Bag, one: list[Message]) -> None:
    """Tell two nodes the same messages and compare them."""
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
            # What stands behind a void final without being the next attempt is no evidence.
            others = {alarm.other for alarm in node.schedule.alarms}
            entries = [m for m in one if isinstance(m, Entry) and m.id in others]
            assert not any(node.schedule.is_idle(entry) for entry in entries)
        slots = [min(alarm.slot for alarm in known) for known in alarms]
        assert slots[0] == slots[1]
        slot = slots[0]
        assert nodes[0].ids[:slot] == nodes[1].ids[:slot]
        evidence = [{i for a in known if a.slot == slot for i in (a.accepted, a.other)} for known in alarms]
        assert evidence[0] == evidence[1]
        return
    assert nodes[0].ids == nodes[1].ids
    assert answers[0] == answers[1]


@LONG
@given(data=st.data())
def test_order_does_not_matter(data: st.DataObject) -> None:
    bag = data.draw(st.sampled_from(BAGS))
    check(data, bag, data.draw(st.permutations(bag.messages))[: data.draw(st.integers(1, len(bag.messages)))])


@LONG
@given(data=st.data())
def test_order_does_not_matter_behind_a_void_final(data: st.DataObject) -> None:
    """Most messages of these sequences are told, so that the log gets as far as the next attempt."""
    bag = data.draw(st.sampled_from(VOID_BAGS))
    left_out = data.draw(st.sets(st.sampled_from(range(len(bag.messages))), max_size=2))
    told = [message for number, message in enumerate(bag.messages) if number not in left_out]
    check(data, bag, data.draw(st.permutations(told)))
