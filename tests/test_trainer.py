"""The miner: decisions, jobs on disk, commitments and reveals."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
from click.testing import CliRunner

from podl_tools.commitment import Opening
from podl_tools.errors import RejectError
from podl_tools.requester.decisions import Policy
from podl_tools.tool_errors import InputFileError, SettingsError
from podl_tools.trainer import cli
from podl_tools.trainer.decisions import Commit, Forget, Reveal, StopTraining, Train, decide, latest_parent
from podl_tools.trainer.job import JobStore, read_checkpoints, write_checkpoints
from podl_tools.training_run import TrainedModel
from tests.world import FIRST_HEIGHT, World

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from podl_tools.trainer.job import Job

POLICY = Policy(1, 60, 60)
TRAINED = TrainedModel(b"model", b"weights", ((b"\4" * 32, b"\5" * 32), (b"\6" * 32, b"\7" * 32)))


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path)


def committed(world: World) -> tuple[Any, Any, Job]:
    """Let one miner commit; returns requester, miner, job."""
    requester, miner = world.requester(POLICY), world.miner("ann")
    world.train("ann", miner)
    world.later(10, miner.step)
    return requester, miner, miner._jobs[0]


def test_trains_at_once_for_the_first_height(world: World) -> None:
    log = world.fake.schedule
    slot = (FIRST_HEIGHT, log.chain_id)
    assert decide(log, [], None) == [Train(slot)]
    assert decide(log, [], slot) == []
    assert decide(log, [], None, frozenset({slot})) == []


def test_phases(world: World) -> None:
    requester, miner, job = committed(world)
    log = world.fake.schedule
    assert decide(log, [job], None) == [Commit(job)]
    requester.step()
    release = log.entries[-1]
    above = (FIRST_HEIGHT + 1, release.id)
    assert decide(log, [job], None) == [Reveal(job, release.id), Train(above)]
    assert decide(log, [job], above) == [Reveal(job, release.id)]
    assert decide(log, [], (FIRST_HEIGHT, log.chain_id)) == [Train(above)]
    later = replace(job, opening=replace(job.opening, height=FIRST_HEIGHT + 1, release_id=release.id))
    assert decide(log, [later], (FIRST_HEIGHT, log.chain_id)) == [StopTraining()]
    assert decide(log, [replace(job, block=None), later], None) == [Commit(replace(job, block=None))]
    requester.step()
    miner.step()
    world.later(10, requester.step)
    assert decide(log, [job, later], None) == [Forget(job), Commit(later)]
    miner.stop()


def test_jobs_of_another_release_are_forgotten_but_not_those_of_an_unknown_one(world: World) -> None:
    requester, _, job = committed(world)
    requester.step()
    log = world.fake.schedule
    other = replace(job, opening=replace(job.opening, release_id=b"\2" * 32))
    assert Forget(other) in decide(log, [other], None)
    ahead = replace(job, opening=replace(job.opening, height=FIRST_HEIGHT + 7))
    assert [action for action in decide(log, [ahead], None) if not isinstance(action, Train)] == []


def test_refused_commitments_are_not_sent_again(world: World) -> None:
    _, _, job = committed(world)
    assert decide(world.fake.schedule, [job], None, frozenset({job.slot})) == []


def test_warm_start_uses_the_latest_final_of_the_architecture(world: World) -> None:
    requester, miner, job = committed(world)
    task_id = world.fake.schedule.tasks[0].id
    assert latest_parent(world.fake.schedule, task_id, 0) is None
    requester.step()
    requester.step()
    miner.step()
    world.later(10, requester.step)
    assert latest_parent(world.fake.schedule, task_id, 0) == job.opening.model_root
    assert latest_parent(world.fake.schedule, task_id, 1) is None
    assert latest_parent(world.fake.schedule, b"\1" * 32, 0) is None
    miner.stop()


def test_no_warm_start_without_the_models_bytes(world: World) -> None:
    requester, miner, _ = committed(world)
    requester.step()
    requester.step()
    miner.step()
    world.later(10, requester.step)
    miner.stop()
    for name in [name for name in world.fake.objects if name[0] == "model"]:
        del world.fake.objects[name]
    fresh = world.miner("bob")
    world.train("bob", fresh)
    assert not fresh._jobs[-1].recipe.has_parent
    fresh.stop()


def test_recipe_out_of_bounds_is_said_at_once(world: World) -> None:
    miner = world.miner("ann", epochs=51)
    with pytest.raises(RejectError, match="epochs must be 1\\.\\.50"):
        miner.step()


def test_secrets_are_on_disk_before_the_node_hears_of_them(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    miner = world.miner("ann")
    submitted = world.node.submit_commitment
    seen: list[bytes | None] = []

    def submit(header: bytes) -> Any:
        seen.extend(job.block_hash for job in JobStore(world.directory / "ann" / "jobs").load())
        return submitted(header)

    monkeypatch.setattr(world.node, "submit_commitment", submit)
    world.train("ann", miner)
    assert len(seen) == 1
    assert seen == list(world.fake.commitments)


def test_restart_between_writing_and_committing_sends_the_same_header(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    miner = world.miner("ann")
    with monkeypatch.context() as patch:
        patch.setattr(
            world.fake, "rpc_submitpodlcommitment", lambda _: {"status": "later", "reason": "podl-x"}
        )
        world.train("ann", miner)
    assert not world.fake.commitments
    again = world.miner("ann")
    world.later(10, again.step)
    assert list(world.fake.commitments) == [miner._jobs[0].block_hash]


def test_nothing_is_committed_before_the_node_builds_on_the_final(world: World) -> None:
    miner = world.miner("ann")
    world.fake.tip_height -= 1
    world.train("ann", miner)
    world.later(10, miner.step)
    assert not world.fake.commitments
    world.fake.tip_height += 1
    miner.step()
    assert world.fake.commitments


def test_commitment_is_rebuilt_on_another_block(world: World) -> None:
    _, miner, job = committed(world)
    world.fake.tip = b"\x11" * 32
    world.fake.commitments.clear()
    miner.step()
    assert list(world.fake.commitments) != [job.block_hash]
    assert len(world.fake.commitments) == 1


def test_refused_commitment_closes_the_slot(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    miner = world.miner("ann")
    world.train("ann", miner)
    world.fake.commitments.clear()
    monkeypatch.setattr(
        world.fake, "rpc_submitpodlcommitment", lambda _: {"status": "refused", "reason": "podl-commit-stamp"}
    )
    miner.step()
    world.fake.calls.clear()
    miner.step()
    assert "submitpodlcommitment" not in world.fake.calls


def test_reveal_waits_for_the_shard(world: World) -> None:
    requester, miner, _ = committed(world)
    requester.step()
    shards = [name for name in world.fake.objects if name[0] == "shard"]
    held = {name: world.fake.objects.pop(name) for name in shards}
    miner.step()
    assert not world.fake.revealed
    world.fake.objects.update(held)
    requester.step()
    miner.step()
    assert world.fake.revealed
    world.fake.calls.clear()
    miner.step()
    assert "submitpodlreveal" not in world.fake.calls
    assert "submitpodldata" not in world.fake.calls
    miner.stop()


def test_lost_bytes_are_uploaded_again(world: World) -> None:
    requester, miner, job = committed(world)
    requester.step()
    requester.step()
    miner.step()
    del world.fake.objects["model", job.opening.model_root]
    miner.step()
    assert ("model", job.opening.model_root) in world.fake.objects
    miner.stop()


def opening(height: int) -> Opening:
    hashes = [bytes([number]) * 32 for number in range(1, 10)]
    return Opening(
        hashes[0], hashes[1], height, hashes[2], TRAINED.weights_root, TRAINED.model_root, 5, hashes[5],
        hashes[6], 3, hashes[7], hashes[8], bytes(32),
    )  # fmt: skip


def test_piece_that_is_not_taken_is_sent_again(world: World) -> None:
    requester, miner, _ = committed(world)
    requester.step()
    take = world.fake.rpc_submitpodldata

    def dropped(kind: str, *rest: Any) -> dict[str, Any]:
        later = {"status": "later", "reason": "podl-data-missing", "detail": "", "complete": False}
        return later if kind == "model" else take(kind, *rest)

    world.fake.rpc_submitpodldata = dropped  # type: ignore[method-assign,assignment]
    miner.step()
    assert {kind for kind, _ in world.fake.objects} == {"shard", "body", "weights"}
    del world.fake.rpc_submitpodldata
    miner.step()
    assert {kind for kind, _ in world.fake.objects} == {"shard", "body", "weights", "model"}
    miner.stop()


def test_jobs_survive_on_disk(world: World) -> None:
    _, miner, job = committed(world)
    (read,) = JobStore(world.directory / "ann" / "jobs").load()
    assert read.disclosure() == job.disclosure()
    assert (read.weights, read.model, read.key.public) == (job.weights, job.model, job.opening.reveal_key)
    miner.stop()


def test_half_written_jobs_are_removed_and_damaged_ones_are_named(tmp_path: Path, world: World) -> None:
    _, _, job = committed(world)
    store = JobStore(tmp_path / "jobs")
    kept = store.add(opening(9), job.recipe, b"\x51", b"\1" * 32, TRAINED)
    (tmp_path / "jobs" / "half").mkdir()
    assert [found.height for found in store.load()] == [9]
    assert not (tmp_path / "jobs" / "half").exists()
    with pytest.raises(InputFileError, match="no block"):
        kept.committed()
    record = kept.directory / "job.json"
    for damaged in ("{}", '{"opening": "zz"}', '{"opening": "00"}', "nonsense"):
        record.write_text(damaged)
        with pytest.raises(InputFileError):
            store.load()


@pytest.mark.parametrize("name", ["job.json", "model", "weights", "block"])
@pytest.mark.parametrize("change", [lambda data: bytes(len(data)), lambda data: data[:-3]])
def test_no_damaged_file_of_a_job_is_used(world: World, name: str, change: Callable[[bytes], bytes]) -> None:
    _, miner, job = committed(world)
    miner.stop()
    path = job.directory / name
    path.write_bytes(change(path.read_bytes()))
    with pytest.raises(InputFileError, match=rf"{job.directory.name} is damaged .*remove the folder"):
        JobStore(job.directory.parent).load()


def test_a_job_that_was_half_removed_is_no_damage(
    tmp_path: Path, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    _, miner, job = committed(world)
    miner.stop()
    store = JobStore(tmp_path / "jobs")
    kept = store.add(opening(9), job.recipe, b"\x51", b"\1" * 32, TRAINED)

    def killed(path: Path) -> None:
        (path / "model").unlink()
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr("podl_tools.trainer.job.shutil.rmtree", killed)
        with pytest.raises(KeyboardInterrupt):
            store.remove(kept)
    assert store.load() == []
    assert not kept.directory.exists()


@pytest.mark.parametrize(
    ("address", "script", "message"),
    [
        (None, None, "either"),
        ("good", "51", "either"),
        ("bad", None, "'bad' is not valid"),
        (None, "5", "in hex"),
        (None, "", "in hex"),
        (None, "51" * 129, "128 bytes"),
    ],
)
def test_bad_payouts(world: World, address: str | None, script: str | None, message: str) -> None:
    with pytest.raises(SettingsError, match=message):
        cli.payout_script(world.node, {"payoutaddress": address, "payoutscript": script})


def test_payouts(world: World) -> None:
    assert cli.payout_script(world.node, {"payoutaddress": "good", "payoutscript": None}) == b"\x51"
    assert cli.payout_script(world.node, {"payoutaddress": None, "payoutscript": "6a"}) == b"\x6a"


def test_command_line_needs_a_login(tmp_path: Path) -> None:
    result = CliRunner().invoke(cli.main, [f"-datadir={tmp_path}", "-backend=numpy"])
    assert result.exit_code == 2


def test_checkpoint_roots_outlive_the_job(tmp_path: Path) -> None:
    store = JobStore(tmp_path / "jobs")
    folder = tmp_path / "checkpoints"
    root = TRAINED.checkpoints_root
    assert read_checkpoints(folder, root) is None
    write_checkpoints(folder, TRAINED.checkpoints)
    assert store.load() == []
    assert read_checkpoints(folder, root) == TRAINED.checkpoints


@pytest.mark.parametrize(
    "data", [b"", b"x", bytes(64), b"\4" * 32 + b"\5" * 32, bytes(64 * 256), bytes(64 * 2 + 32)]
)
def test_checkpoint_roots_must_lead_to_the_tree(tmp_path: Path, data: bytes) -> None:
    root = TRAINED.checkpoints_root
    (tmp_path / root.hex()).write_bytes(data)
    assert read_checkpoints(tmp_path, root) is None
