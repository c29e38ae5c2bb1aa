from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from dev.vector_cases.fixture import MLP, REQUESTER
from dev.vector_cases.scenario import make_examples, sealed_task
from podl_tools.dataset import parse_examples, shard_commitment
from podl_tools.errors import RejectError
from podl_tools.examples import Examples
from podl_tools.merkle import data_root, verify_leaf
from podl_tools.sealing import SealedTask, TaskOptions, seal_more, seal_task

OPTIONS = TaskOptions(first_height=1, min_commit=1, min_reveal=1, max_phase=60)
TRAINING = make_examples("training", 64)
SHARDS = [make_examples("first", 64), make_examples("second", 70), make_examples("third", 66)]


def seal(
    shards: list[Examples], options: TaskOptions = OPTIONS, secret: bytes = b"0123456789abcdef"
) -> SealedTask:
    return seal_task(TRAINING, shards, [MLP], options, requester_key=REQUESTER.public, secret=secret)


def test_the_task_says_what_the_arrays_are() -> None:
    sealed = seal(SHARDS)
    task = sealed.task
    assert (task.training_n, task.dims, task.classes, task.n_shards) == (64, (4, 4, 1), 4, 3)
    assert (task.shard_min, task.shard_max) == (64, 70)
    assert task.training_root == data_root(sealed.training)
    np.testing.assert_array_equal(parse_examples(sealed.training, 64, task.dims, 4).samples, TRAINING.samples)


def test_every_shard_opens_to_the_list() -> None:
    sealed = seal(SHARDS)
    for index, shard in enumerate(sealed.shards):
        assert shard.root == data_root(shard.data)
        assert shard.commitment == shard_commitment(shard.salt, shard.root, shard.n)
        path = sealed.shards.path(index)
        assert verify_leaf(shard.commitment, index, 3, path, sealed.task.shard_list_root)
        np.testing.assert_array_equal(
            parse_examples(shard.data, shard.n, sealed.task.dims, 4).labels, SHARDS[index].labels
        )


def test_salts_differ_and_follow_from_the_secret() -> None:
    first, again, other = seal(SHARDS), seal(SHARDS), seal(SHARDS, secret=b"another secret..")
    salts = [shard.salt for shard in first.shards]
    assert len(set(salts)) == 3
    assert first == again
    assert not set(salts) & {shard.salt for shard in other.shards}
    assert first.task.shard_list_root != other.task.shard_list_root


def test_a_short_secret_is_refused() -> None:
    with pytest.raises(RejectError) as caught:
        seal(SHARDS, secret=b"guess")
    assert caught.value.reason == "podl-key"


def test_overlap_with_the_training_set_is_refused() -> None:
    leaked = Examples(
        np.concatenate([SHARDS[0].samples, TRAINING.samples[5:6]]),
        np.concatenate([SHARDS[0].labels, TRAINING.labels[5:6]]),
    )
    with pytest.raises(RejectError, match="sample 64 of shard 0 is in training set") as caught:
        seal([leaked])
    assert caught.value.reason == "podl-data-overlap"


def test_overlap_between_shards_is_refused() -> None:
    leaked = Examples(
        np.concatenate([SHARDS[1].samples, SHARDS[0].samples[7:8]]),
        np.concatenate([SHARDS[1].labels, SHARDS[0].labels[7:8]]),
    )
    task = seal(SHARDS).task
    for attempt in (
        lambda: seal([SHARDS[0], leaked]),
        lambda: seal_more([SHARDS[0], leaked], replace(task, shard_max=71), secret=b"0123456789abcdef"),
    ):
        with pytest.raises(RejectError, match="sample 70 of shard 1 is in shard 0") as caught:
            attempt()
        assert caught.value.reason == "podl-data-overlap"


def test_shapes_must_agree() -> None:
    flat = Examples(SHARDS[0].samples.reshape(64, 16), SHARDS[0].labels)
    for shards in ([flat], []):
        with pytest.raises(RejectError) as caught:
            seal(shards)
        assert caught.value.reason == "podl-data-shape"


def test_labels_must_be_classes() -> None:
    labels = SHARDS[0].labels.copy()
    labels[3] = 4
    with pytest.raises(RejectError) as caught:
        seal([Examples(SHARDS[0].samples, labels)])
    assert caught.value.reason == "podl-shard-label"


@pytest.mark.parametrize(
    ("changes", "reason"),
    [({"list_size": 65}, "podl-task-range"), ({"evaluation_rate": 1}, "podl-task-budget")],
)
def test_a_task_that_no_node_would_take_is_refused(changes: dict[str, int], reason: str) -> None:
    with pytest.raises(RejectError) as caught:
        seal(SHARDS, replace(OPTIONS, **changes))
    assert caught.value.reason == reason


def test_shards_that_are_too_small_are_refused() -> None:
    with pytest.raises(RejectError, match="shard_min"):
        seal([make_examples("small", 63)])


def test_the_shared_task_of_the_vectors_is_sealed_the_same_way() -> None:
    assert sealed_task().task.n_shards == 9
