"""Shards of schedule.json: used up, and sealed twice."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import Final

from dev.vector_cases.fixture import named
from dev.vector_cases.scenario import FIRST_HEIGHT, Scenario, sealed_task
from podl_tools.constants import ZERO_HASH
from podl_tools.entry import ShardsBody
from podl_tools.schedule import earliest_release
from podl_tools.sealing import SealedShards, SealedTask


def _shards_used_up() -> Scenario:
    play = Scenario("shards used up")
    play.sealed = sealed_task("two shards", FIRST_HEIGHT, 2)
    play.start()
    disclosure = play.disclosure("last shard")
    play.release([disclosure], "first shard")
    play.release([disclosure], "second shard")
    body = replace(play.round.release.body, attempt=2)
    time = earliest_release(play.schedule)
    play.refuse("podl-release-shard-order", "second shard again", play.entry(body, time))
    third = replace(body, shard_index=2)
    play.refuse("podl-release-shard-root", "third shard of two", play.entry(third, time))
    play.final(disclosure)
    return play


def _more_shards() -> Scenario:
    play = Scenario("more shards for a task")
    first = play.sealed = sealed_task("two shards", FIRST_HEIGHT, 2)
    more, last = (sealed_task(name, FIRST_HEIGHT, 2).shards for name in ("more shards", "last shards"))
    play.start()
    time = play.schedule.entries[-1].time
    body = ShardsBody(more.root, len(more))
    play.refuse("podl-shards-early", "behind the task", play.entry(body, time))
    disclosure = play.disclosure("last shard")
    play.release([disclosure], "first shard")
    time = play.schedule.entries[-1].time
    play.refuse("podl-shards-early", "one shard left", play.entry(body, time))
    play.release([disclosure], "second shard")
    time = play.schedule.entries[-1].time
    for case, broken in (
        ("no shards", replace(body, n_shards=0)),
        ("too many shards", replace(body, n_shards=65_537)),
        ("no root", replace(body, shard_list_root=ZERO_HASH)),
    ):
        play.refuse("podl-shards-range", case, play.entry(broken, time))
    play.accept("more shards in Phase 2", play.entry(body, time))
    play.refuse("podl-shards-early", "twice", play.entry(replace(body, n_shards=3), time))
    play.final(disclosure, case="final of the last attempt")
    play.sealed = SealedTask(first.task, first.training, {more.root: more})
    following = play.disclosure("from the further list")
    opened = play.release_body([following])
    time = earliest_release(play.schedule)
    counted_on = replace(opened, shard_index=2)
    play.refuse("podl-release-shard-order", "shards counted on", play.entry(counted_on, time))
    old = first.shards[0]
    again = replace(opened, test_root=old.root, n=old.n, salt=old.salt, path=first.shards.path(0))
    play.refuse("podl-release-shard-root", "a shard of the used up list", play.entry(again, time))
    play.accept("first shard of the further list", play.entry(opened, time))
    play.final(following)
    play.play_round("second shard of the further list")
    time = play.schedule.entries[-1].time
    play.accept("more shards between two heights", play.entry(ShardsBody(last.root, len(last)), time))
    play.sealed = SealedTask(first.task, first.training, {last.root: last})
    late_task = play.entry(sealed_task("second", FIRST_HEIGHT + 9).task, time)
    play.refuse("podl-entry-grammar", "task behind shards", late_task)
    play.play_round("first shard of the last list")
    return play


def _sealed_twice(name: str, extra: int) -> Scenario:
    """Open a shard, then another one of the list with its root, another salt and `extra` more samples."""
    play = Scenario(name)
    opened, _, *others = play.sealed.shards
    again = replace(opened, n=opened.n + extra, salt=named("salt of the copy"))
    shards = SealedShards((opened, again, *others))
    task = replace(play.sealed.task, shard_list_root=shards.root)
    play.sealed = SealedTask(task, play.sealed.training, {shards.root: shards})
    play.start()
    disclosure = play.disclosure("copied shard")
    play.release([disclosure], "first shard")
    body = play.release_body([disclosure])
    time = earliest_release(play.schedule)
    play.refuse("podl-release-shard-reused", "its copy", play.entry(body, time))
    play.final(disclosure)
    return play


PLAYS: Final = (
    _shards_used_up,
    _more_shards,
    partial(_sealed_twice, "shard sealed twice", 0),
    partial(_sealed_twice, "shard sealed twice, with another length", 1),
)
