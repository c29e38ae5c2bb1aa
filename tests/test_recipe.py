from __future__ import annotations

from dataclasses import replace
from hashlib import sha256
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dev.vector_cases.fixture import CONV, LINEAR, LONG, MLP, PAYOUT, RECIPE, TASK
from podl_tools.errors import RejectError
from podl_tools.program import parse_program
from podl_tools.recipe import Recipe, check_recipe, payout_hash, recipe_hash, replay_macs, training_seed
from tests.strategies import check_canonical, check_exact, h32, mutations, recipes


@given(recipe=recipes, cut=st.integers(0))
def test_recipes_read_back(recipe: Recipe, cut: int) -> None:
    assert len(recipe.serialize()) == 96
    check_exact(Recipe.parse, recipe, cut)


@given(data=mutations(recipes.map(Recipe.serialize)) | st.binary(max_size=200))
def test_other_bytes_are_refused_by_name(data: bytes) -> None:
    check_canonical(Recipe.parse, data, "podl-recipe-")


@given(padding=st.binary(min_size=54, max_size=54).filter(any))
def test_padding_is_zero(padding: bytes) -> None:
    with pytest.raises(RejectError, match="padding must be zero"):
        Recipe.parse(RECIPE.serialize()[:42] + padding)


def test_layout() -> None:
    recipe = Recipe(architecture=2, b=4, epochs=7, k=5, drop=1, trial=0x0102, parent=b"\x09" * 32)
    assert recipe.serialize().hex() == "01020407050101030201" + "09" * 32 + "00" * 54
    assert recipe.has_parent
    assert not RECIPE.has_parent


def test_a_recipe_inside_its_bounds_gives_its_program() -> None:
    assert check_recipe(RECIPE, TASK) == MLP
    assert check_recipe(replace(RECIPE, architecture=1), TASK) == LINEAR


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"architecture": 3}, "architecture 3, the task has 3"),
        ({"b": 2}, "b must be 3..15"),
        ({"b": 9}, "do not fill a batch"),
        ({"epochs": 11}, "epochs must be 1..10"),
        ({"k": 9}, "k must be 3..8"),
        ({"architecture": 2, "epochs": 9}, "replay of"),
    ],
)
def test_bounds(changes: dict[str, int], message: str) -> None:
    with pytest.raises(RejectError, match=message) as caught:
        check_recipe(replace(RECIPE, **changes), TASK)  # type: ignore[arg-type]  # mypy sees int for bytes
    assert caught.value.reason == "podl-recipe-bounds"


@given(recipe=recipes)
def test_any_recipe_passes_or_is_refused_by_name(recipe: Recipe) -> None:
    try:
        program = check_recipe(recipe, TASK)
    except RejectError as error:
        refusal = error
    else:
        assert replay_macs(recipe, TASK, program) <= TASK.max_replay_macs
        return
    assert refusal.reason == "podl-recipe-bounds"


def test_a_batch_must_leave_gradients_exact() -> None:
    dense = parse_program("input 4096, output 4")
    long: Any = {"dims": LONG.dims, "programs": (LONG.serialize(), dense.serialize())}
    task = replace(TASK, training_n=1 << 20, max_replay_macs=(1 << 64) - 1, **long)
    inside = Recipe(architecture=0, b=14, epochs=1, k=5)
    check_recipe(inside, task)
    with pytest.raises(RejectError, match=r"layer 1 .*batch times positions 8388608 exceeds 4194304"):
        check_recipe(replace(inside, b=15), task)
    check_recipe(replace(inside, architecture=1, b=15), task)


def test_the_replay_cap_is_inclusive() -> None:
    work = replay_macs(RECIPE, TASK, MLP)
    check_recipe(RECIPE, replace(TASK, max_replay_macs=work))
    with pytest.raises(RejectError, match="exceeds"):
        check_recipe(RECIPE, replace(TASK, max_replay_macs=work - 1))


def test_replay_work_counts_whole_batches() -> None:
    task = replace(TASK, training_n=100)
    assert replay_macs(Recipe(architecture=2, b=5, epochs=4, k=5), task, CONV) == 3 * CONV.macs * 96 * 4


@given(ids=st.tuples(h32, h32, h32), payout=st.binary(min_size=1, max_size=128), trial=st.integers(0, 65_535))
def test_seed(ids: tuple[bytes, bytes, bytes], payout: bytes, trial: int) -> None:
    prefix = sha256(b"PoDL/seed/v1").digest()
    message = b"".join(ids) + sha256(payout).digest() + trial.to_bytes(2, "little")
    assert training_seed(*ids, payout, trial) == sha256(prefix + prefix + message).digest()


def test_hashes() -> None:
    assert payout_hash(PAYOUT) == sha256(PAYOUT).digest()
    assert recipe_hash(RECIPE.serialize()) != recipe_hash(replace(RECIPE, trial=1).serialize())
