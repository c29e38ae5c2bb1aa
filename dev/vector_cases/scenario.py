"""A schedule that records what it is offered and how it answers, as a sequence of schedule.json."""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from dev.vector_cases.fixture import (
    CONV,
    LINEAR,
    MINER,
    MLP,
    PAYOUT,
    RECIPE,
    REGTEST_BITS,
    REQUESTER,
    START,
    Json,
    named,
)
from podl_tools.drafting import ModelRoots, commit, draft_final, draft_opening, draft_release, sign_next
from podl_tools.entry import Entry, FinalBody, ReleaseBody
from podl_tools.errors import RejectError
from podl_tools.examples import Examples
from podl_tools.header import PODL_VERSION, Header
from podl_tools.prng import uniform_integers
from podl_tools.recipe import Recipe, recipe_hash
from podl_tools.reveal import Reveal
from podl_tools.schedule import Round, Schedule, Status, Submission, earliest_final, earliest_release
from podl_tools.sealing import SealedTask, TaskOptions, seal_task

if TYPE_CHECKING:
    from collections.abc import Sequence

    from podl_tools.disclosure import Disclosure
    from podl_tools.entry import Body
    from podl_tools.keys import SigningKey

FIRST_HEIGHT: Final = 101
GENESIS: Final = named("block 100")
# What the receiver knows below the first height.
BLOCKS: Final = {GENESIS: 100, named("another block 100"): 100, named("block 99"): 99}


def make_examples(tag: str, n: int) -> Examples:
    """`n` samples of shape (4, 4, 1) with labels in 0..3, drawn from the protocol's own generator."""
    samples = uniform_integers(named("examples"), f"{tag} samples", 16 * n, 127).astype(np.int8)
    labels = uniform_integers(named("examples"), f"{tag} labels", n, 1 << 20).astype(np.int64) % 4
    return Examples(samples.reshape(n, 4, 4, 1), labels.astype(np.uint8))


@cache
def sealed_task(name: str = "first", first_height: int = FIRST_HEIGHT, n_shards: int = 9) -> SealedTask:
    """Return a small task; the same name gives the same data."""
    options = TaskOptions(
        first_height=first_height,
        min_commit=10,
        min_reveal=20,
        max_phase=60,
        epochs_max=10,
        stamp_bits=2,
        max_weights=1000,
        evaluation_rate=1_000_000,
    )
    shards = [make_examples(f"{name} shard {index}", 64 + index) for index in range(n_shards)]
    return seal_task(
        make_examples(f"{name} training", 256),
        shards,
        [MLP, LINEAR, CONV],
        options,
        requester_key=REQUESTER.public,
        secret=named(f"{name} secret"),
    )


class Scenario:
    """
    One sequence of schedule.json.

    Parameters
    ----------
    name
        Title of the sequence.

    """

    def __init__(self, name: str) -> None:
        self.name = name
        self.schedule = Schedule()
        self.sealed = sealed_task()
        self.steps: list[Json] = []

    def as_json(self) -> Json:
        """Return the sequence with what the receiver knows."""
        blocks = {block.hex(): height for block, height in BLOCKS.items()}
        return {"name": self.name, "blocks": blocks, "steps": self.steps}

    def offer(self, case: str, entry: Entry, now: int | None = None) -> Submission:
        """Offer an entry, by default at its own time, and record the answer."""
        now = entry.time if now is None else now
        result = self.schedule.submit(entry, now, BLOCKS.get)
        self.steps.append(
            {"case": case, "entry": entry.serialize().hex(), "now": now, **_answer(result), **self._state()}
        )
        return result

    def accept(self, case: str, entry: Entry, now: int | None = None) -> Entry:
        """Offer an entry that must be accepted."""
        result = self.offer(case, entry, now)
        if result.status is not Status.ACCEPTED:
            raise ValueError(f"{self.name}: {case} is {result}")
        return entry

    def refuse(self, reason: str, case: str, entry: Entry, now: int | None = None, detail: str = "") -> None:
        """Offer an entry that must fail with `reason` and `detail`."""
        result = self.offer(case, entry, now)
        if (result.reason, result.detail) != (reason, detail):
            raise ValueError(f"{self.name}: {case} is {result}, expected {reason} {detail}")

    def void(self, case: str) -> None:
        """Tell the receiver that the last final is proven void."""
        self.schedule.void_last()
        self.steps.append(
            {"case": case, "void": True, **_answer(Submission(Status.ACCEPTED)), **self._state()}
        )

    def offer_reveal(self, reason: str, case: str, reveal: Reveal) -> None:
        """Offer a reveal that must pass (no reason) or fail with `reason`."""
        try:
            self.schedule.check_reveal(reveal)
        except RejectError as error:
            result = Submission.of_error(error)
        else:
            result = Submission(Status.ACCEPTED)
        if result.reason != reason:
            raise ValueError(f"{self.name}: {case} is {result}, expected {reason}")
        self.steps.append(
            {"case": case, "reveal": reveal.serialize().hex(), **_answer(result), **self._state()}
        )

    def _state(self) -> Json:
        schedule = self.schedule
        return {
            "entries": len(schedule.entries),
            "last_id": schedule.last_id.hex(),
            "next_height": schedule.next_height,
            "frozen": schedule.is_frozen,
            "alarms": len(schedule.alarms),
        }

    def entry(self, body: Body, time: int, key: SigningKey = REQUESTER, **changes: Any) -> Entry:
        """Return a signed entry behind the last one; `changes` are made before signing."""
        draft = replace(sign_next(self.schedule, key, time, body), **changes)
        return Entry.sign(key, draft.chain_id, draft.prev, draft.time, draft.body)

    def start(self) -> None:
        """Accept the first task."""
        self.accept("first task", self.entry(self.sealed.task, START))

    def disclosure(
        self,
        name: str,
        *,
        recipe: Recipe = RECIPE,
        opening: Json | None = None,
        header: Json | None = None,
    ) -> Disclosure:
        """Return a commitment of the miner for the open height, with changes that are committed to."""
        height = self.schedule.next_height
        roots = ModelRoots(named(f"{name} weights"), named(f"{name} model"), named(f"{name} checkpoints"))
        draft = draft_opening(
            self.schedule, height, roots, RECIPE, PAYOUT, reveal_key=MINER.public, salt=named(f"{name} salt")
        )
        draft = replace(draft, **{"recipe_hash": recipe_hash(recipe.serialize()), **(opening or {})})
        template = Header(
            version=PODL_VERSION,
            prev_block=self.schedule.commit_prev(height) or GENESIS,
            merkle_root=named(f"{name} transactions"),
            time=self.schedule.entries[-1].time,
            bits=REGTEST_BITS,
            nonce=0,
            model_hash=bytes(32),
        )
        stamp_bits = self.sealed.task.stamp_bits
        return commit(replace(template, **(header or {})), draft, recipe, PAYOUT, stamp_bits)

    def release_body(self, listed: Sequence[Disclosure]) -> ReleaseBody:
        """Return the body of the next release."""
        prev_block = self.schedule.commit_prev(self.schedule.next_height) or GENESIS
        return draft_release(self.schedule, self.sealed, prev_block, [row.header.hash for row in listed])

    def release(self, listed: Sequence[Disclosure], case: str = "release") -> None:
        """Accept the next release at its earliest time."""
        self.accept(case, self.entry(self.release_body(listed), earliest_release(self.schedule)))

    def reveal(self, disclosure: Disclosure, claim: int, key: SigningKey = MINER) -> Reveal:
        """Return a reveal for the open round."""
        return Reveal.sign(key, disclosure, self.round.release.id, claim)

    @property
    def round(self) -> Round:
        """The open round."""
        current = Round.current(self.schedule)
        if current is None:
            raise ValueError(f"{self.name}: no round is open")
        return current

    def final_body(self, disclosure: Disclosure, claim: int, key: SigningKey = MINER) -> FinalBody:
        """Return the body of a final of the open round."""
        return draft_final(
            self.reveal(disclosure, claim, key), self.round.release.body, replayed=True, skipped=()
        )

    def final(self, disclosure: Disclosure, claim: int = 50, case: str = "final") -> None:
        """Accept the final of the open round at its earliest time."""
        self.accept(case, self.entry(self.final_body(disclosure, claim), earliest_final(self.round)))

    def play_round(self, name: str) -> Disclosure:
        """Accept a whole round with one commitment and return it."""
        disclosure = self.disclosure(name)
        self.release([disclosure], f"release {name}")
        self.final(disclosure, case=f"final {name}")
        return disclosure


def _answer(result: Submission) -> Json:
    failure = "" if result.failure is None else result.failure.value
    return {"status": result.status.value, "reason": result.reason, "detail": result.detail, "class": failure}
