"""What the requester does with models that do not replay, missing bytes, false claims and bad blocks."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import pytest

from podl_tools import training_run
from podl_tools.entry import Skipped, SkipReason
from podl_tools.errors import EvaluatorUnavailableError
from podl_tools.keys import SigningKey
from podl_tools.merkle import data_root
from podl_tools.ml.model import model_bytes, parse_model, weight_bytes
from podl_tools.requester.decisions import Policy
from podl_tools.reveal import Reveal
from podl_tools.tool_errors import DataMissingError
from podl_tools.trainer import service as trainer_service
from podl_tools.winner import Measured
from tests.rounds import BOTH, flip_low_bits, last_final, open_round, tamper
from tests.world import FIRST_HEIGHT, OPTIONS, World

if TYPE_CHECKING:
    from pathlib import Path

    from podl_tools.training_run import TrainedModel


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path)


@pytest.mark.parametrize(
    ("count", "rank_sum", "reports", "why"),
    [
        (1, 100, False, "1 (rank sum 100) by the node's evaluator"),
        (None, 100, False, "(rank sum 100) by the node's evaluator"),
        (1, 100, True, "the node has two different verdicts"),
    ],
)
def test_nothing_is_signed_when_the_nodes_evaluator_disagrees(
    world: World,
    caplog: pytest.LogCaptureFixture,
    count: int | None,
    rank_sum: int,
    *,
    reports: bool,
    why: str,
) -> None:
    requester, miner = world.requester(reports=reports), world.miner("ann")
    world.train("ann", miner)
    world.later(10, miner.step, requester.step, requester.step, miner.step)
    (revealed,) = world.fake.revealed.values()
    release = world.fake.schedule.latest_release(FIRST_HEIGHT)
    assert release is not None
    key = world.fake.verdict_key(revealed.disclosure, release.body.test_root)
    world.fake.verdicts[key] = Measured(revealed.claims[0] if count is None else count, rank_sum)
    world.later(10, requester.step)
    assert not world.fake.schedule.finals
    assert f"{why}; nothing is signed" in caplog.text
    miner.stop()


def test_a_machine_that_cannot_compute_blames_nobody(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    requester, miner = world.requester(), world.miner("ann")
    world.train("ann", miner)
    world.later(10, miner.step, requester.step, miner.step)

    def broken(*_: object) -> None:
        raise EvaluatorUnavailableError("no kernel of this machine computes exactly")

    with monkeypatch.context() as patch:
        patch.setattr(world.backend, "network", broken)
        with pytest.raises(EvaluatorUnavailableError):
            world.later(10, requester.step)
    world.later(10, world.requester().step)
    assert last_final(world).skipped == ()
    miner.stop()


@pytest.mark.parametrize("name", ["flipped low bits", "other checkpoints", "invented recipe"])
def test_models_that_do_not_replay_are_skipped(
    world: World, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, name: str
) -> None:
    changes = {
        "flipped low bits": flip_low_bits,
        "other checkpoints": lambda trained: replace(trained, checkpoints=trained.checkpoints[:-1] * 2),
    }
    requester = world.requester(BOTH)
    honest = world.miner("ann", architecture=1, epochs=1)
    world.train("ann", honest)
    train = training_run.run_training
    with monkeypatch.context() as patch:
        if name == "invented recipe":
            patch.setattr(
                trainer_service,
                "run_training",
                lambda task, recipe, *rest: train(task, replace(recipe, k=recipe.k + 1), *rest),
            )
        else:
            tamper(patch, changes[name])
        cheat = world.miner("bob", epochs=20)
        world.train("bob", cheat)
    world.later(10, honest.step, cheat.step, requester.step, honest.step, cheat.step)
    world.later(10, requester.step)
    final = last_final(world)
    listed = world.fake.schedule.latest_release(FIRST_HEIGHT).body.listed  # type: ignore[union-attr]
    assert final.disclosure.payout == b"\x51ann"
    assert final.claim < max(found.count for found in world.fake.verdicts.values())
    winner = listed.index(final.disclosure.header.hash)
    assert final.skipped == (Skipped(1 - winner, SkipReason.REPLAY_MISMATCH),)
    assert "podl-retrain-mismatch" in caplog.text


def test_weights_that_are_not_the_models_are_invalid_without_a_replay_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    world = World(tmp_path, options=replace(OPTIONS, require_replay=0))

    def other_weights(trained: TrainedModel) -> TrainedModel:
        weights = bytearray(trained.weights)
        weights[0] ^= 1
        return replace(trained, weights=bytes(weights))

    with monkeypatch.context() as patch:
        tamper(patch, other_weights)
        requester, miners = open_round(world, "bob", policy=Policy(1, 60, 60))
    requester.step()
    miners["bob"].step()
    world.later(10, requester.step)
    assert not world.fake.schedule.finals
    assert "the weights are not the model's, rounded" in caplog.text


def test_parent_whose_model_is_missing_blames_nobody(world: World) -> None:
    requester, miner = world.requester(Policy(1, 60, 60)), world.miner("ann")
    for _ in range(2):
        world.train("ann", miner)
        world.later(10, miner.step, requester.step, requester.step, miner.step)
        world.later(10, requester.step)
    world.train("ann", miner)
    world.later(10, miner.step, requester.step, requester.step, miner.step)
    (current,) = world.fake.revealed.values()
    parent = current.disclosure.recipe[10:42]
    model = world.fake.objects.pop(("model", parent))
    for kept in (world.home / "data").glob(f"*{parent.hex()}*"):
        kept.unlink()
    world.later(10, requester.step)
    assert len(world.fake.schedule.finals) == 2
    assert not requester._phase_two.failed
    world.fake.objects["model", parent] = model
    requester.step()
    assert len(world.fake.schedule.finals) == 3
    assert last_final(world).skipped == ()
    miner.stop()


def test_parent_that_was_never_final_is_refused_at_the_reveal(
    world: World, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    requester, honest = world.requester(BOTH), world.miner("ann", architecture=1, epochs=1)
    world.train("ann", honest)
    cheat = world.miner("bob", epochs=20)
    world.train("bob", cheat)
    secret = cheat._jobs[0].model  # trained longer than a recipe allows, say
    cheat.stop()
    cheat = world.miner("eve", epochs=20)
    with monkeypatch.context() as patch:
        patch.setattr(trainer_service, "latest_parent", lambda *_: data_root(secret))
        patch.setattr(cheat._material, "parent", lambda *_: secret)
        world.train("eve", cheat)
    world.later(10, honest.step, cheat.step, requester.step, requester.step, honest.step, cheat.step)
    assert "podl-recipe-parent" in caplog.text
    world.later(60, requester.step)
    assert last_final(world).disclosure.payout == b"\x51ann"
    assert last_final(world).skipped == ()


def test_copy_of_an_earlier_model_is_named(
    world: World, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    requester, miners = open_round(world, "ann", policy=Policy(1, 60, 60))
    requester.step()
    miners["ann"].step()
    stolen = miners["ann"]._jobs[0]
    master = np.frombuffer(stolen.model, "<i4").copy()
    master[:3] -= 1 << 18  # a few weights change, most stay
    program = world.fake.schedule.tasks[0].body.loaded_programs[0]
    copy = parse_model(program, master.tobytes())
    world.later(10, requester.step)
    with monkeypatch.context() as patch:
        tamper(patch, lambda trained: replace(trained, model=model_bytes(copy), weights=weight_bytes(copy)))
        thief = world.miner("bob", warm_start=False)
        world.train("bob", thief)
    world.later(10, thief.step, requester.step, requester.step, thief.step)
    world.later(10, requester.step)
    assert "podl-model-copy" in caplog.text
    assert world.fake.schedule.next_height == FIRST_HEIGHT + 1
    miners["ann"].stop()


def test_reused_model_is_refused_at_the_reveal(
    world: World, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    requester, miners = open_round(world, "ann", policy=Policy(1, 60, 60))
    requester.step()
    miners["ann"].step()
    model, weights = miners["ann"]._jobs[0].model, miners["ann"]._jobs[0].weights
    world.later(10, requester.step)
    with monkeypatch.context() as patch:
        tamper(patch, lambda trained: flip_low_bits(replace(trained, model=model, weights=weights)))
        thief = world.miner("bob", warm_start=False)
        world.train("bob", thief)
    world.later(10, thief.step, requester.step, requester.step, thief.step)
    assert "podl-model-duplicate" in caplog.text
    assert not world.fake.revealed
    miners["ann"].stop()


def test_missing_bytes_are_waited_for_and_then_skipped(world: World) -> None:
    requester, miners = open_round(world, "ann", "bob")
    for miner in miners.values():
        miner.step()
    best = world.fake.best()
    requester.step()
    best = world.fake.best()
    assert best is not None
    held = world.fake.objects.pop(("body", best))
    world.later(30, requester.step)
    assert not world.fake.schedule.finals
    world.later(40, requester.step)
    listed = world.fake.schedule.latest_release(FIRST_HEIGHT).body.listed  # type: ignore[union-attr]
    assert last_final(world).skipped == (Skipped(listed.index(best), SkipReason.NOT_SERVED),)
    assert held


def test_block_that_the_node_refuses_is_skipped(world: World) -> None:
    requester, miners = open_round(world, "ann", policy=Policy(1, 60, 60))
    world.fake.proposal_answer = "bad-cb-amount"
    miners["ann"].step()
    world.later(10, requester.step)
    assert not world.fake.schedule.finals
    world.fake.proposal_answer = None
    world.requester().step()
    assert not world.fake.schedule.finals  # remembered over the restart


def test_bytes_held_for_a_larger_model_do_not_fit_a_smaller_one(
    world: World, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    requester, large = world.requester(BOTH), world.miner("ann", epochs=1)
    world.train("ann", large)
    model = large._jobs[0].model
    with monkeypatch.context() as patch:
        tamper(patch, lambda trained: replace(trained, model=model))
        thief = world.miner("bob", architecture=1, epochs=20)
        world.train("bob", thief)
    world.later(10, large.step, thief.step, requester.step, large.step, thief.step)
    world.later(10, requester.step)
    assert last_final(world).disclosure.payout == b"\x51ann"
    assert [skipped.reason for skipped in last_final(world).skipped] == [SkipReason.INVALID]
    assert "podl-model-size" in caplog.text


def test_candidate_whose_weights_cannot_be_read_holds_nobody_up(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    requester, miners = open_round(world, "ann", "bob")
    requester.step()  # hands the node the shard
    for miner in miners.values():
        miner.step()
    jobs = world.fake.call("listpodlcandidates")["jobs"]
    unreadable, given = ("weights", bytes.fromhex(jobs[0]["weights_root"])), world.fake.rpc_getpodldata

    def read(kind: str, name: str, *where: int) -> object:
        if (kind, bytes.fromhex(name)) == unreadable:
            raise DataMissingError("getpodldata", -5, "podl-data-missing")
        return given(kind, name, *where)

    monkeypatch.setattr(world.fake, "rpc_getpodldata", read)
    world.later(10, requester.step)
    assert last_final(world).disclosure.opening.weights_root.hex() == jobs[1]["weights_root"]
    assert [skipped.reason for skipped in last_final(world).skipped] == [SkipReason.NOT_SERVED]


def test_undecided_proposal_is_asked_again(world: World) -> None:
    requester, miners = open_round(world, "ann", policy=Policy(1, 60, 60))
    world.fake.proposal_answer = "inconclusive-not-best-prevblk"
    miners["ann"].step()
    world.later(10, requester.step)
    assert not world.fake.schedule.finals
    world.fake.proposal_answer = None
    requester.step()
    assert world.fake.schedule.finals


def test_false_claim_harms_only_itself(world: World) -> None:
    requester, miners = open_round(world, "ann", "bob")
    job = miners["bob"]._jobs[0]
    release = world.fake.schedule.latest_release(FIRST_HEIGHT)
    assert release is not None
    lie = Reveal.sign(SigningKey(job.reveal_secret), job.disclosure(), release.id, 64)
    assert world.node.submit_reveal(lie.serialize()).held
    for miner in miners.values():
        miner.step()
    world.later(10, requester.step)
    assert last_final(world).claim == max(found.count for found in world.fake.verdicts.values())


def test_failed_header_is_not_listed_again(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patch:
        tamper(patch, flip_low_bits)
        requester, miners = open_round(world, "bob", policy=Policy(1, 60, 60))
    miners["bob"].step()
    world.later(10, requester.step)
    world.later(OPTIONS.max_phase, requester.step)
    assert len(world.fake.schedule.releases_for(FIRST_HEIGHT)) == 1  # nobody is left to list
    honest = world.miner("ann")
    honest.step()
    honest.stop()


def test_replays_per_attempt_are_limited(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    world = World(tmp_path, options=replace(OPTIONS, max_replays=1))
    with monkeypatch.context() as patch:
        tamper(patch, flip_low_bits)
        requester, miners = open_round(world, "ann", "bob")
    for miner in miners.values():
        miner.step()
    world.later(20, requester.step)
    assert len(requester._phase_two.failed) == 1
    world.later(OPTIONS.max_phase, requester.step)
    second = world.fake.schedule.releases_for(FIRST_HEIGHT)[1].body
    assert len(second.listed) == 1
