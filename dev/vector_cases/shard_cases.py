"""Shards of schedule.json: used up, and sealed twice."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import Final

from dev.vector_cases.fixture import named
from dev.vector_cases.scenario import FIRST_HEIGHT, Scenario, sealed_task
from podl_tools.entry import ShardsBody
from podl_tools.merkle import tree_root
from podl_tools.schedule import earliest_release


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
    more = ShardsBody(named("more shards"), 4)
    play.refuse("podl-shards-unsupported", "more shards", play.entry(more, time))
    play.final(disclosure)
    return play


def _sealed_twice(name: str, extra: int) -> Scenario:
    """Open a shard, then another one of the list with its root, another salt and `extra` more samples."""
    play = Scenario(name)
    opened, _, *others = play.sealed.shards
    again = replace(opened, n=opened.n + extra, salt=named("salt of the copy"))
    shards = (opened, again, *others)
    root = tree_root([shard.commitment for shard in shards])
    play.sealed = replace(play.sealed, task=replace(play.sealed.task, shard_list_root=root), shards=shards)
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
    partial(_sealed_twice, "shard sealed twice", 0),
    partial(_sealed_twice, "shard sealed twice, with another length", 1),
)
