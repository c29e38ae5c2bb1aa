"""Cases of recipe.json."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from dev.vector_cases.fixture import (
    CONV,
    FIRST_TASK,
    LINEAR,
    LONG,
    MLP,
    PAYOUT,
    RECIPE,
    TASK,
    Json,
    cut_and_extended,
    decoded,
    named,
    outcome,
    patched,
    refused,
)
from podl_tools.recipe import Recipe, check_recipe, recipe_hash, replay_macs, training_seed

if TYPE_CHECKING:
    from podl_tools.task import Task


def build() -> Json:
    """Bytes, hashes and seeds of recipes; recipes that are refused; recipes against a task's bounds."""
    return {
        "valid": [_valid(recipe) for recipe in _recipes()],
        "invalid": _invalid(),
        "task": FIRST_TASK.serialize().hex(),
        "bounds": _bounds(),
        "replay_macs": _replay_macs(),
        "seeds": _seeds(),
    }


def _recipes() -> list[Recipe]:
    return [
        RECIPE,
        Recipe(architecture=1, b=3, epochs=1, k=8, drop=1, trial=65_535, parent=named("parent")),
        Recipe(architecture=255, b=255, epochs=254, k=255, drop=1, trial=258),
    ]


def _valid(recipe: Recipe) -> Json:
    data = recipe.serialize()
    return {"hex": data.hex(), "fields": decoded(recipe), "hash": recipe_hash(data).hex()}


def _invalid() -> list[Json]:
    data = RECIPE.serialize()
    rows = [
        ("version 0", 0, b"\x00"),
        ("version 2", 0, b"\x02"),
        ("epochs 0", 3, b"\x00"),
        ("epochs 255", 3, b"\xff"),
        ("lr_odd 3", 5, b"\x03"),
        ("drop 2", 6, b"\x02"),
        ("mu 4", 7, b"\x04"),
        ("first padding byte", 42, b"\x01"),
        ("last padding byte", 95, b"\x80"),
    ]
    broken = [refused(case, patched(data, offset, value), Recipe.parse) for case, offset, value in rows]
    return cut_and_extended(data, Recipe.parse) + broken + [refused("96 zero bytes", bytes(96), Recipe.parse)]


def _bounds() -> list[Json]:
    rows = [
        ("inside", RECIPE),
        ("lowest values", Recipe(architecture=1, b=3, epochs=1, k=3)),
        ("highest k", replace(RECIPE, k=8)),
        ("batch equal to the training set", replace(RECIPE, b=8)),
        ("batch larger than the training set", replace(RECIPE, b=9)),
        ("batch below b_min", replace(RECIPE, b=2)),
        ("epochs above epochs_max", replace(RECIPE, epochs=11)),
        ("rate below k_min", replace(RECIPE, k=2)),
        ("rate above k_max", replace(RECIPE, k=9)),
        ("no such architecture", replace(RECIPE, architecture=3)),
        ("replay just under the cap", Recipe(architecture=2, b=4, epochs=8, k=5)),
        ("replay above the cap", Recipe(architecture=2, b=4, epochs=9, k=5)),
    ]
    return [_bounded(case, recipe, TASK) for case, recipe in rows] + _large_batch()


def _bounded(case: str, recipe: Recipe, task: Task) -> dict[str, Any]:
    result = outcome(lambda: check_recipe(recipe, task))
    return {"case": case, "recipe": recipe.serialize().hex(), "reason": result["reason"]}


def _large_batch() -> list[Json]:
    """Build batches that fit the training set, but not always the exact gradients of a convolution."""
    changes: dict[str, Any] = {"training_n": 1 << 24, "max_replay_macs": (1 << 64) - 1}
    task = replace(TASK, **changes, dims=LONG.dims, programs=(LONG.serialize(),))
    own = {**changes, "dims": LONG.dims, "program": LONG.serialize().hex()}
    rows = [
        (f"batch 2^{b} times 256 positions of layer 1", Recipe(architecture=0, b=b, epochs=1, k=5))
        for b in (14, 15)
    ]
    return [_bounded(case, recipe, task) | own for case, recipe in rows]


def _seeds() -> list[Json]:
    rows = [(0, PAYOUT), (1, PAYOUT), (258, b"\x51"), (65_535, bytes(128))]
    ids = (named("chain"), named("task"), named("release"))
    return [
        {
            "chain_id": ids[0].hex(),
            "task_id": ids[1].hex(),
            "release_id": ids[2].hex(),
            "payout": payout.hex(),
            "trial": trial,
            "seed": training_seed(*ids, payout, trial).hex(),
        }
        for trial, payout in rows
    ]


def _replay_macs() -> list[Json]:
    rows = [
        (RECIPE, MLP),
        (Recipe(architecture=2, b=7, epochs=3, k=5), CONV),
        (Recipe(architecture=1, b=8, epochs=1, k=5), LINEAR),
    ]
    return [
        {"recipe": recipe.serialize().hex(), "macs": replay_macs(recipe, TASK, program)}
        for recipe, program in rows
    ]
