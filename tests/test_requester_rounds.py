"""Whole rounds with a fake node: requester, miners and validator together, restarts and cheats included."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from podl_tools import training_run
from podl_tools.drafting import sign_next
from podl_tools.entry import FinalBody, ReleaseBody, Skipped, SkipReason
from podl_tools.keys import SigningKey
from podl_tools.ml.model import model_bytes, parse_model, weight_bytes
from podl_tools.requester.decisions import Policy
from podl_tools.requester.tasks import own_key
from podl_tools.reveal import Reveal
from podl_tools.tool_errors import NodeUnreachableError, RefusedError, WrongChainError
from podl_tools.trainer import service as trainer_service
from podl_tools.winner import Measured
from tests.world import FIRST_HEIGHT, OPTIONS, World

if TYPE_CHECKING:
    from pathlib import Path

    from podl_tools.chain.answers import Submission
    from podl_tools.trainer.service import Miner
    from podl_tools.training_run import TrainedModel

BOTH = Policy(min_commitments=2, commit_seconds=60, reveal_seconds=60)


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path)


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


def tamper(monkeypatch: pytest.MonkeyPatch, change: Any) -> None:
    """Let trainings of miners give other models than the recipe does."""
    honest = training_run.run_training
    monkeypatch.setattr(trainer_service, "run_training", lambda *args: change(honest(*args)))


def flip_low_bits(trained: TrainedModel) -> TrainedModel:
    master = np.frombuffer(trained.model, "<i4").copy()
    master[:5] ^= 1
    return replace(trained, model=master.tobytes())


def test_three_heights(world: World) -> None:
    requester = world.requester()
    miner = world.miner("ann")
    validator = world.validator()
    for height in range(FIRST_HEIGHT, FIRST_HEIGHT + 3):
        world.train("ann", miner)
        world.later(10, miner.step, requester.step, requester.step, miner.step, validator.step)
        assert world.fake.schedule.is_revealing
        world.later(10, requester.step)
        assert world.fake.schedule.next_height == height + 1
        assert world.fake.tip_height == height
    finals = [final.body for final in world.fake.schedule.finals]
    assert [final.replayed for final in finals] == [True] * 3
    assert [final.skipped for final in finals] == [()] * 3
    parents = [final.disclosure.recipe[10:42] for final in finals]
    assert parents[0] == parents[1] == bytes(32)  # trained before any final
    assert parents[2] == finals[0].disclosure.opening.model_root


def test_the_better_model_wins_whoever_measures(world: World) -> None:
    requester, miners = open_round(world, "ann", "bob")
    for miner in miners.values():
        miner.step()
    world.later(0, requester.step)
    measured = {key: found.count for key, found in world.fake.verdicts.items()}
    world.validator().step()
    assert {key: found.count for key, found in world.fake.verdicts.items()} == measured
    world.later(10, requester.step)
    assert last_final(world).claim == max(measured.values())
    assert world.fake.tip == last_final(world).disclosure.header.hash


def test_validator_alone_suffices_for_the_node(world: World) -> None:
    requester, miners = open_round(world, "ann", policy=Policy(1, 60, 60))
    requester.step()  # hands the node the shard
    miners["ann"].step()
    world.validator("eve").step()
    assert [(report["evaluator"], report["count"]) for report in world.fake.reported] == [
        ("eve", world.fake.revealed[world.fake.best() or b""].claims[0])
    ]


def test_requester_alone_signs_but_the_node_waits_for_its_own_evaluator(world: World) -> None:
    requester, miner = world.requester(reports=False), world.miner("ann")
    world.train("ann", miner)
    world.later(10, miner.step, requester.step, requester.step, miner.step)
    world.later(10, requester.step)
    assert len(world.fake.schedule.finals) == 1
    assert (world.fake.reported, world.fake.tip_height) == ([], FIRST_HEIGHT - 1)
    miner.stop()


def test_nothing_is_signed_when_the_nodes_evaluator_disagrees(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    requester, miner = world.requester(reports=False), world.miner("ann")
    world.train("ann", miner)
    world.later(10, miner.step, requester.step, requester.step, miner.step)
    (revealed,) = world.fake.revealed.values()
    release = world.fake.schedule.latest_release(FIRST_HEIGHT)
    assert release is not None
    key = world.fake.verdict_key(revealed.disclosure, release.body.test_root)
    world.fake.verdicts[key] = Measured(1, 1)
    world.later(10, requester.step)
    assert not world.fake.schedule.finals
    assert "1 by the node's evaluator; nothing is signed" in caplog.text
    miner.stop()


def test_restarted_requester_sends_the_same_entry_again(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    requester = world.requester()
    miner = world.miner("ann")
    world.train("ann", miner)
    world.later(10, miner.step)
    sent: list[bytes] = []

    def lost(data: bytes) -> Submission:
        sent.append(data)
        raise NodeUnreachableError("gone")

    with monkeypatch.context() as patch:
        patch.setattr(world.node, "submit_entry", lost)
        with pytest.raises(NodeUnreachableError):
            requester.step()
    other = world.miner("bob", architecture=1)
    world.train("bob", other)
    world.later(10, other.step)  # a requester that looked again would list bob too
    world.requester().step()
    release = world.fake.schedule.entries[-1]
    assert release.serialize() == sent[0]
    assert isinstance(release.body, ReleaseBody)
    assert len(release.body.listed) == 1


def test_node_that_lost_the_schedule_gets_it_back(world: World) -> None:
    requester, miners = open_round(world, "ann", policy=Policy(1, 60, 60))
    before = world.fake.schedule.last_id
    fresh = World.__new__(World)
    fresh.__dict__.update(world.__dict__)
    world.fake.schedule = type(world.fake.schedule)()
    world.fake.schedule.submit(world.fake.first_task, world.clock(), lambda _: None)
    requester.step()
    assert world.fake.schedule.last_id == before
    miners["ann"].step()
    assert world.fake.revealed


def test_restarted_miner_still_reveals(world: World) -> None:
    requester, miners = open_round(world, "ann", policy=Policy(1, 60, 60))
    miners["ann"].stop()
    requester.step()
    again = world.miner("ann")
    again.step()
    world.later(10, requester.step)
    assert last_final(world).disclosure.payout == b"\x51ann"
    again.stop()


@pytest.mark.parametrize("name", ["flipped low bits", "other checkpoints"])
def test_models_that_do_not_replay_are_skipped(
    world: World, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, name: str
) -> None:
    changes = {
        "flipped low bits": flip_low_bits,
        "other checkpoints": lambda trained: replace(trained, checkpoints_root=b"\7" * 32),
    }
    requester = world.requester(BOTH)
    honest = world.miner("ann", architecture=1, epochs=1)
    world.train("ann", honest)
    with monkeypatch.context() as patch:
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


def test_next_attempt_when_nobody_reveals(world: World) -> None:
    requester, miners = open_round(world, "ann", policy=Policy(1, 60, 60))
    world.later(OPTIONS.max_phase - 1, requester.step)
    assert len(world.fake.schedule.releases_for(FIRST_HEIGHT)) == 1
    world.later(1, requester.step)
    releases = world.fake.schedule.releases_for(FIRST_HEIGHT)
    assert [release.body.shard_index for release in releases] == [0, 1]
    assert releases[0].body.listed == releases[1].body.listed
    requester.step()
    miners["ann"].step()
    world.later(10, requester.step)
    assert last_final(world).attempt == 1


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


def test_last_shard(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    world = World(tmp_path, shards=1)
    requester, _ = open_round(world, "ann", policy=Policy(1, 60, 60))
    world.later(OPTIONS.max_phase, requester.step, requester.step)
    assert caplog.text.count("all 1 sealed shards have been opened") == 1
    assert len(world.fake.schedule.releases_for(FIRST_HEIGHT)) == 1


def test_refused_entry_stops_the_requester(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    miner = world.miner("ann")
    world.train("ann", miner)
    world.later(10, miner.step)
    answer = {"status": "refused", "reason": "podl-release-list"}
    monkeypatch.setattr(world.fake, "rpc_submitpodlentry", lambda _: answer)
    with pytest.raises(RefusedError, match="podl-release-list"):
        world.requester().step()


def test_second_copy_of_the_requester_is_noticed(world: World) -> None:
    requester = world.requester()
    requester.step()
    miner = world.miner("ann")
    world.train("ann", miner)
    world.later(10, miner.step, requester.step)
    log = world.fake.schedule
    kept = list(log.entries)
    other = sign_next(kept_log(world), own_key(world.home), world.clock(), replace_list(kept[-1].body))
    world.fake.schedule = kept_log(world)
    world.fake.schedule.append(other)
    with pytest.raises(WrongChainError, match="another copy of the requester"):
        world.requester().step()


def kept_log(world: World) -> Any:
    log = type(world.fake.schedule)()
    log.submit(world.fake.first_task, world.clock(), lambda _: None)
    return log


def replace_list(body: Any) -> ReleaseBody:
    found: ReleaseBody = replace(body, listed=(b"\5" * 32,))
    return found


def test_frozen_schedule_stops_signing(world: World) -> None:
    miner = world.miner("ann")
    world.train("ann", miner)
    world.later(10, miner.step)
    world.fake.schedule.is_frozen = True
    assert world.requester().step() is None
    assert len(world.fake.schedule.entries) == 1
