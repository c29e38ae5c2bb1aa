"""Void finals of schedule.json: what may follow one, and what counts no more."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Final

from dev.vector_cases.fixture import RECIPE, REQUESTER
from dev.vector_cases.scenario import FIRST_HEIGHT, Scenario, sealed_task
from podl_tools.entry import Entry, ShardsBody
from podl_tools.schedule import earliest_release
from podl_tools.sealing import SealedTask

if TYPE_CHECKING:
    from podl_tools.disclosure import Disclosure
    from podl_tools.entry import Body

_CLAIM: Final = 50


def _behind(play: Scenario, index: int, body: Body, time: int) -> Entry:
    """Return a signed entry behind the one at `index`."""
    before = play.schedule.entries[index]
    return Entry.sign(REQUESTER, play.schedule.chain_id, before.id, time, body)


def _first_final(play: Scenario) -> Disclosure:
    play.start()
    disclosure = play.disclosure("winner")
    play.release([disclosure])
    play.final(disclosure, _CLAIM, case="final with a false claim")
    return disclosure


def _next_attempt() -> Scenario:
    play = Scenario("void final, then the same header with the true claim")
    disclosure = _first_final(play)
    final = play.schedule.entries[-1]
    following = play.disclosure("next height")
    ahead = play.entry(play.release_body([following]), earliest_release(play.schedule))
    play.void("the final is proven void")
    body = play.release_body([disclosure])
    time = earliest_release(play.schedule)
    play.refuse("podl-final-void", "the release above, signed before that was known", ahead)
    task = play.entry(sealed_task("second", FIRST_HEIGHT + 3).task, time)
    play.refuse("podl-final-void", "a task", task)
    play.refuse("podl-final-void", "the same attempt", play.entry(replace(body, attempt=0), time))
    play.refuse("podl-release-time", "before min_commit", play.entry(body, time - 1))
    play.accept("the next attempt", play.entry(body, time))
    play.refuse("podl-final-void", "the release above, once more", ahead)
    play.refuse("podl-final-void", "its task, once more", task)
    play.final(disclosure, _CLAIM - 1, case="the same header and model with another claim")
    play.refuse(
        "podl-final-void", "the release above, behind the void final", _behind(play, 2, ahead.body, time)
    )
    play.play_round("height above")
    again = _behind(play, 2, body, final.time + 11)
    play.refuse("podl-entry-equivocation", "two next attempts", again)
    return play


def _unproven() -> Scenario:
    play = Scenario("next attempt behind a final that is not proven void")
    _first_final(play)
    above = play.disclosure("next height")
    ahead = play.release_body([above])
    entry = play.entry(ahead, earliest_release(play.schedule))
    attempt = replace(ahead, height=FIRST_HEIGHT, attempt=1)
    withdrawal = play.entry(attempt, entry.time)
    play.refuse("podl-void-unproven", "the next attempt", withdrawal)
    play.refuse(
        "podl-release-grammar", "an attempt too far", play.entry(replace(attempt, attempt=2), entry.time)
    )
    play.accept("the height above", entry)
    play.refuse("podl-void-unproven", "the next attempt is no evidence", withdrawal)
    play.final(above, case="final above")
    play.refuse("podl-void-unproven", "nor with a final behind", withdrawal)
    return play


def _parents() -> Scenario:
    play = Scenario("a void final's model is no parent")
    play.start()
    first = play.disclosure("first")
    play.release([first])
    play.final(first)
    play.void("the final is proven void")
    second = play.disclosure("second")
    play.release([second], "the next attempt")
    play.final(second, case="its final")
    heir = play.disclosure("heir", recipe=replace(RECIPE, parent=first.opening.model_root))
    again = play.disclosure("first")
    play.release([heir, again], "height above")
    body = play.final_body(heir, _CLAIM)
    time = play.schedule.entries[-1].time + 20
    play.refuse("podl-final-invalid", "void parent", play.entry(body, time), detail="podl-recipe-parent")
    play.final(again, case="the void final's model at the height above")
    return play


def _further_shards() -> Scenario:
    play = Scenario("shards between a void final and the next attempt")
    play.sealed = sealed_task("one shard", FIRST_HEIGHT, 1)
    play.start()
    disclosure = play.disclosure("winner")
    play.release([disclosure])
    play.final(disclosure)
    play.void("the final is proven void")
    more = sealed_task("more shards", FIRST_HEIGHT, 2)
    root = more.task.shard_list_root
    time = play.schedule.entries[-1].time
    play.accept("more shards", play.entry(ShardsBody(root, 2), time))
    play.sealed = SealedTask(play.sealed.task, play.sealed.training, {root: more.shards})
    above = replace(play.release_body([disclosure]), height=FIRST_HEIGHT + 1, attempt=0)
    play.refuse("podl-final-void", "the height above", play.entry(above, time + 60))
    play.release([disclosure], "the next attempt with the first of them")
    play.final(disclosure)
    return play


PLAYS: Final = (_next_attempt, _unproven, _parents, _further_shards)
