"""Cases of schedule.json: links, tasks, releases, equivocation; more in final_, shard_ and void_cases."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from dev.vector_cases import final_cases, shard_cases, void_cases
from dev.vector_cases.fixture import REQUESTER, START, Json, key, named
from dev.vector_cases.scenario import FIRST_HEIGHT, GENESIS, Scenario, sealed_task
from podl_tools.constants import ZERO_HASH
from podl_tools.entry import Entry, ShardsBody
from podl_tools.keys import SigningKey
from podl_tools.schedule import earliest_final, earliest_release

if TYPE_CHECKING:
    from collections.abc import Callable

    from podl_tools.sealing import SealedTask


def build() -> Json:
    """Every rule of an entry's place and content, each in a log that obeys all others."""
    plays: list[Callable[[], Scenario]] = [
        _first_entry,
        _links,
        _orphans,
        _releases,
        _previous_block,
        _attempts,
        *shard_cases.PLAYS,
        _later_tasks,
        _equivocation,
        _equivocation_at_the_limit,
        _equivocation_deep,
        *final_cases.PLAYS,
        *void_cases.PLAYS,
    ]
    return {"sequences": [play().as_json() for play in plays]}


def _first_entry() -> Scenario:
    play = Scenario("first entry")
    task = play.sealed.task
    later = START + 120
    play.refuse("podl-entry-grammar", "no task", play.entry(ShardsBody(named("list"), 1), START))
    play.refuse("podl-entry-chain", "names a chain", play.entry(task, START, chain_id=named("chain")))
    play.refuse("podl-entry-chain", "names a predecessor", play.entry(task, START, prev=named("entry")))
    play.refuse("podl-entry-badsig", "signed by another key", play.entry(task, START, key("thief")))
    play.refuse("podl-entry-future", "121 s ahead", play.entry(task, later + 1), START)
    out_of_range = replace(task, list_size=0)
    play.refuse("podl-task-range", "list size 0", play.entry(out_of_range, START))
    slow = replace(task, evaluation_rate=1)
    play.refuse("podl-task-budget", "no time to evaluate", play.entry(slow, START))
    play.accept("120 s ahead", play.entry(task, later), START)
    return play


def _links() -> Scenario:
    play = Scenario("links between entries")
    play.start()
    first = play.schedule.entries[0]
    other_signature = SigningKey(named("key requester"), aux=named("other")).sign_entry(first.unsigned)
    play.offer("same entry", first)
    play.offer("same entry, another valid signature", replace(first, signature=other_signature))
    play.offer("same entry, no valid signature", replace(first, signature=bytes(64)))
    play.refuse(
        "podl-entry-chain", "another first task", play.entry(play.sealed.task, START + 1, chain_id=ZERO_HASH)
    )

    disclosure = play.disclosure("link")
    body = play.release_body([disclosure])
    time = earliest_release(play.schedule)
    play.refuse("podl-entry-chain", "another chain", play.entry(body, time, chain_id=named("chain")))
    play.refuse("podl-entry-badsig", "signed by another key", play.entry(body, time, key("thief")))
    unsigned = replace(play.entry(body, time), signature=bytes(64))
    play.refuse("podl-entry-badsig", "not signed", unsigned)
    play.refuse("podl-entry-prev", "unknown predecessor", play.entry(body, time, prev=named("entry")))
    play.refuse("podl-entry-prev", "no predecessor", play.entry(body, time, prev=ZERO_HASH))
    play.refuse("podl-entry-time", "dated before its predecessor", play.entry(body, START - 1))
    play.refuse("podl-entry-future", "121 s ahead", play.entry(body, time), time - 121)
    shards = ShardsBody(named("more shards"), 4)
    play.refuse("podl-shards-early", "more shards", play.entry(shards, time))
    play.refuse("podl-entry-grammar", "task behind a task", play.entry(sealed_task("second", 200).task, time))

    return play


def _orphans() -> Scenario:
    ahead = Scenario("ahead")
    ahead.start()
    disclosure = ahead.disclosure("orphan")
    ahead.release([disclosure])
    ahead.final(disclosure)
    _, release, final = ahead.schedule.entries
    play = Scenario("orphans")
    play.start()
    play.refuse("podl-entry-prev", "final before its release", final)
    play.accept("the release", release, final.time)
    play.accept("the final again", final)
    return play


def _releases() -> Scenario:
    play = Scenario("releases")
    play.start()
    listed = [play.disclosure(f"listed {index}") for index in range(65)]
    body = play.release_body(listed[:64])
    time = earliest_release(play.schedule)

    def refuse(reason: str, case: str, at: int = time, **changes: Any) -> None:
        play.refuse(f"podl-release-{reason}", case, play.entry(replace(body, **changes), at))

    refuse("grammar", "height below", height=FIRST_HEIGHT - 1)
    refuse("grammar", "height above", height=FIRST_HEIGHT + 1)
    refuse("grammar", "attempt 1 first", attempt=1)
    refuse("null", "no previous block", prev_block=ZERO_HASH)
    refuse("null", "no test root", test_root=ZERO_HASH)
    refuse("null", "no salt", salt=ZERO_HASH)
    refuse("time", "one second early", time - 1)
    refuse("shard-order", "second shard first", shard_index=1)
    refuse("shard-order", "no such shard", shard_index=9)
    refuse("testsize", "fewer samples than shard_min", n=63)
    refuse("testsize", "more samples than shard_max", n=73)
    refuse("shard-root", "another number of samples", n=65)
    refuse("shard-root", "another root", test_root=named("root"))
    refuse("shard-root", "another salt", salt=named("salt"))
    refuse("shard-root", "path too short", path=body.path[:-1])
    refuse("shard-root", "path too long", path=(*body.path, body.path[-1]))
    refuse("shard-root", "path in another order", path=tuple(reversed(body.path)))
    refuse("shard-root", "no path", path=())
    hashes = [row.header.hash for row in listed]
    refuse("list", "empty list", listed=())
    refuse("list", "one header too many", listed=tuple(hashes))
    refuse("list", "header listed twice", listed=(*hashes[:3], hashes[1]))
    refuse("list", "null header", listed=(hashes[0], ZERO_HASH))
    play.accept("full list, earliest time", play.entry(body, time))
    return play


def _previous_block() -> Scenario:
    play = Scenario("previous block at the first height")
    play.start()
    disclosure = play.disclosure("built on another block", header={"prev_block": named("another block 100")})
    body = play.release_body([disclosure])
    time = earliest_release(play.schedule)
    unknown = replace(body, prev_block=named("unknown block"))
    play.refuse("podl-release-prev", "unknown block", play.entry(unknown, time))
    low = replace(body, prev_block=named("block 99"))
    play.refuse("podl-release-prev", "block one height too low", play.entry(low, time))
    play.accept("either known block of the height below", play.entry(body, time))
    body = replace(play.release_body([disclosure]), prev_block=named("another block 100"))
    play.accept("another block with the next attempt", play.entry(body, earliest_release(play.schedule)))
    play.final(disclosure)

    following = play.disclosure("second height")
    body = play.release_body([following])
    time = earliest_release(play.schedule)
    other = replace(body, prev_block=GENESIS)
    play.refuse("podl-release-prev", "not the block of the last final", play.entry(other, time))
    play.accept("the block of the last final", play.entry(body, time))
    return play


def _attempts() -> Scenario:
    play = Scenario("attempts")
    play.start()
    old = play.disclosure("old")
    play.release([old], "attempt 0")
    body = play.release_body([old])
    time = earliest_release(play.schedule)
    play.refuse("podl-release-grammar", "attempt 0 again", play.entry(replace(body, attempt=0), time))
    play.refuse("podl-release-grammar", "attempt 2", play.entry(replace(body, attempt=2), time))
    play.refuse("podl-release-time", "before max_phase", play.entry(body, time - 1))
    stale = play.reveal(old, 50)
    final = play.final_body(old, 50)
    new = play.disclosure("new")
    play.release([old, new], "attempt 1 with an old and a new header")
    play.offer_reveal("podl-late-reveal", "reveal for attempt 0", stale)
    late = play.entry(final, earliest_final(play.round))
    play.refuse("podl-entry-grammar", "final of attempt 0", late)
    final = replace(play.final_body(old, 50), reveal_signature=stale.signature)
    detail = "podl-reveal-sig"
    play.refuse("podl-final-invalid", "claim of attempt 0", play.entry(final, late.time), detail=detail)
    play.final(new, case="final of attempt 1")
    play.play_round("next height")
    return play


def _later_tasks() -> Scenario:
    play = Scenario("later tasks")
    play.start()
    second = sealed_task("second", FIRST_HEIGHT + 3)
    third = sealed_task("third", FIRST_HEIGHT + 10).task
    disclosure = play.disclosure("height 101")
    play.release([disclosure], "release 101")
    time = play.schedule.entries[-1].time
    play.refuse("podl-entry-grammar", "task inside a height", play.entry(second.task, time))
    play.final(disclosure, case="final 101")
    time = play.schedule.entries[-1].time

    def refuse(reason: str, case: str, **changes: Any) -> None:
        play.refuse(reason, case, play.entry(replace(second.task, **changes), time))

    refuse("podl-task-conflict", "first height already open", first_height=FIRST_HEIGHT + 1)
    refuse("podl-task-conflict", "first height of the first task", first_height=FIRST_HEIGHT)
    refuse("podl-task-range", "no program", programs=(b"",))
    refuse("podl-task-budget", "too slow", evaluation_rate=1)
    refuse("podl-task-conflict", "another key", requester_key=key("other").public)
    refuse("podl-task-conflict", "shorter reveal", min_reveal=19)
    play.accept("second task for 104", play.entry(second.task, time))
    play.refuse("podl-entry-grammar", "third task behind the second", play.entry(third, time))
    play.play_round("height 102, still the first task")
    early = play.entry(third, play.schedule.entries[-1].time)
    play.refuse("podl-task-conflict", "third task while the second is pending", early)
    play.play_round("height 103, still the first task")
    play.accept("third task for 111", play.entry(third, play.schedule.entries[-1].time))
    _first_round_of(play, second)
    fourth = play.entry(replace(third, first_height=FIRST_HEIGHT + 11), play.schedule.entries[-1].time)
    play.refuse("podl-task-conflict", "fourth task while the third is pending", fourth)
    return play


def _first_round_of(play: Scenario, second: SealedTask) -> None:
    """Play the first height of a later task, whose shards are counted from 0."""
    disclosure = play.disclosure("height 104, the second task")
    old = play.sealed.shards
    play.sealed = second
    body = play.release_body([disclosure])
    time = earliest_release(play.schedule)
    counted_on = replace(body, shard_index=3)
    play.refuse("podl-release-shard-order", "shards counted on", play.entry(counted_on, time))
    unopened = old[3]
    foreign = replace(
        body, test_root=unopened.root, n=unopened.n, salt=unopened.salt, path=old.path(3), shard_index=0
    )
    play.refuse("podl-release-shard-root", "a shard of the first task", play.entry(foreign, time))
    play.release([disclosure], "first shard of the second task")
    play.final(disclosure, case="final 104")


def _contradiction(play: Scenario, index: int) -> Entry:
    """Return another entry behind the one before `index`."""
    slot = play.schedule.entries[index]
    return Entry.sign(REQUESTER, slot.chain_id, slot.prev, slot.time + 1, slot.body)


def _equivocation() -> Scenario:
    play = Scenario("equivocation")
    play.start()
    disclosure = play.disclosure("before the freeze")
    play.release([disclosure])
    contradiction = _contradiction(play, 1)
    forged = replace(contradiction, signature=key("thief").sign_entry(contradiction.unsigned))
    play.refuse("podl-entry-badsig", "forged contradiction is no evidence", forged)
    following = play.entry(play.final_body(disclosure, 50), earliest_final(play.round))
    play.refuse("podl-entry-equivocation", "another release in its slot", contradiction)
    play.refuse("podl-entry-equivocation", "the same evidence again", contradiction)
    play.refuse("podl-schedule-frozen", "the next entry", following)
    orphan = Entry.sign(REQUESTER, following.chain_id, contradiction.id, following.time, following.body)
    play.refuse("podl-schedule-frozen", "an entry behind the contradiction", orphan)
    play.offer("an accepted entry stays", play.schedule.entries[1])
    return play


def _equivocation_at_the_limit() -> Scenario:
    play = Scenario("equivocation with five finals behind the slot")
    play.start()
    for height in range(6):
        play.play_round(f"round {height}")
    # Entries: task, then release and final of six heights; index 2 is the first final.
    play.refuse("podl-entry-equivocation", "another first final", _contradiction(play, 2))
    frozen = play.entry(play.release_body([play.disclosure("seventh")]), earliest_release(play.schedule))
    play.refuse("podl-schedule-frozen", "the next entry", frozen)
    return play


def _equivocation_deep() -> Scenario:
    play = Scenario("equivocation with six finals behind the slot")
    play.start()
    for height in range(6):
        play.play_round(f"round {height}")
    play.refuse(
        "podl-entry-equivocation", "another first release: an alarm, no freeze", _contradiction(play, 1)
    )
    play.play_round("round 6")
    play.refuse("podl-entry-equivocation", "another first final: a second alarm", _contradiction(play, 2))
    play.play_round("round 7")
    play.refuse("podl-entry-equivocation", "another last final: a freeze", _contradiction(play, 16))
    return play
