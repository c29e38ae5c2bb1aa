from __future__ import annotations

from dataclasses import replace

import pytest

from dev.vector_cases.fixture import MINER, PAYOUT, RECIPE, named
from dev.vector_cases.scenario import FIRST_HEIGHT, Scenario, sealed_task
from podl_tools.drafting import ModelRoots, draft_opening, draft_release, seed_at
from podl_tools.errors import FailureClass, RejectError
from podl_tools.recipe import training_seed
from podl_tools.schedule import earliest_final, earliest_release

ROOTS = ModelRoots(named("w"), named("m"), named("c"))


@pytest.fixture
def play() -> Scenario:
    scenario = Scenario("test")
    scenario.start()
    return scenario


def test_a_drafted_round_is_accepted(play: Scenario) -> None:
    task = play.sealed.task
    for height in range(FIRST_HEIGHT, FIRST_HEIGHT + 3):
        disclosure = play.play_round(f"height {height}")
        final = play.schedule.final_for(height)
        assert final is not None
        assert final.body.disclosure == disclosure
        assert disclosure.header.meets_stamp(task.stamp_bits)
    assert play.schedule.next_height == FIRST_HEIGHT + 3
    shards = [row.body.shard_index for at in range(101, 104) for row in play.schedule.releases_for(at)]
    assert shards == [0, 1, 2]


def test_seed_is_known_once_the_release_below_is(play: Scenario) -> None:
    chain_id = play.schedule.chain_id
    assert seed_at(play.schedule, FIRST_HEIGHT, PAYOUT, 3) == training_seed(
        chain_id, chain_id, chain_id, PAYOUT, 3
    )
    with pytest.raises(RejectError) as caught:
        seed_at(play.schedule, FIRST_HEIGHT + 1, PAYOUT, 0)
    assert (caught.value.reason, caught.value.failure) == ("podl-reveal-release", FailureClass.LATER)

    disclosure = play.disclosure("first")
    play.release([disclosure])
    release_id = play.round.release.id
    expected = training_seed(chain_id, chain_id, release_id, PAYOUT, 0)
    assert seed_at(play.schedule, FIRST_HEIGHT + 1, PAYOUT, 0) == expected
    play.release([disclosure], "second attempt")
    assert seed_at(play.schedule, FIRST_HEIGHT + 1, PAYOUT, 0) == expected


def test_an_opening_keeps_to_the_tasks_recipes(play: Scenario) -> None:
    with pytest.raises(RejectError) as caught:
        draft_opening(
            play.schedule,
            FIRST_HEIGHT,
            ROOTS,
            replace(RECIPE, epochs=200),
            PAYOUT,
            reveal_key=MINER.public,
            salt=named("salt"),
        )
    assert caught.value.reason == "podl-recipe-bounds"


def test_no_shard_is_left() -> None:
    play = Scenario("short")
    play.sealed = sealed_task("two shards", FIRST_HEIGHT, 2)
    play.start()
    disclosure = play.disclosure("only")
    play.release([disclosure])
    play.release([disclosure], "again")
    with pytest.raises(RejectError) as caught:
        draft_release(play.schedule, play.sealed, named("block 100"), [])
    assert caught.value.reason == "podl-data-shards"


def test_earliest_times_are_the_phases_sums(play: Scenario) -> None:
    start = play.schedule.entries[0].time
    assert earliest_release(play.schedule) == start + 10
    play.release([play.disclosure("first")])
    assert earliest_final(play.round) == start + 30
    assert earliest_release(play.schedule) == start + 70
