"""Steps that tests of whole rounds share."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from podl_tools import training_run
from podl_tools.requester.decisions import Policy
from podl_tools.trainer import service as trainer_service

if TYPE_CHECKING:
    from collections.abc import Callable

    import pytest

    from podl_tools.entry import FinalBody
    from podl_tools.trainer.service import Miner
    from podl_tools.training_run import TrainedModel
    from tests.world import World

BOTH = Policy(min_commitments=2, commit_seconds=60, reveal_seconds=60)


def last_final(world: World) -> FinalBody:
    body: FinalBody = world.fake.schedule.finals[-1].body
    return body


def open_round(world: World, *names: str, policy: Policy = BOTH) -> tuple[Any, dict[str, Miner]]:
    """Let miners train and commit, and the requester release; everybody has revealed nothing yet."""
    requester = world.requester(policy)
    miners = {name: world.miner(name, architecture=at % 2) for at, name in enumerate(names)}
    for name, miner in miners.items():
        world.train(name, miner)
    world.later(10, *(miner.step for miner in miners.values()), requester.step)
    assert world.fake.schedule.is_revealing
    return requester, miners


def reorganise_behind_list(world: World, then: Callable[[], None] = lambda: None) -> None:
    """Let the tip change right after somebody has asked for the commitments."""
    listing = world.fake.rpc_listpodlcommitments

    def reorganised() -> dict[str, Any]:
        found = listing()
        world.fake.tip = b"\7" * 32
        then()
        return found

    world.fake.rpc_listpodlcommitments = reorganised  # type: ignore[method-assign]


def tamper(monkeypatch: pytest.MonkeyPatch, change: Any) -> None:
    """Let trainings of miners give other models than the recipe does."""
    honest = training_run.run_training
    monkeypatch.setattr(trainer_service, "run_training", lambda *args: change(honest(*args)))


def flip_low_bits(trained: TrainedModel) -> TrainedModel:
    master = np.frombuffer(trained.model, "<i4").copy()
    master[:5] ^= 1
    return replace(trained, model=master.tobytes())
