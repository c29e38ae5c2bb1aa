from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dev.vector_cases.scenario import make_examples
from podl_tools.dataset import (
    check_disjoint,
    data_size,
    parse_examples,
    sample_ids,
    serialize_examples,
    shard_commitment,
    split,
)
from podl_tools.errors import PodlError, RejectError
from podl_tools.examples import Examples
from podl_tools.hashing import Tag, tagged_hash
from tests.strategies import h32, mutations

DIMS = (4, 4, 1)
DATA = serialize_examples(make_examples("test", 8))


@given(n=st.integers(1, 6), seed=st.integers(0, 1000))
def test_data_sets_read_back(n: int, seed: int) -> None:
    examples = make_examples(f"seed {seed}", n)
    data = serialize_examples(examples)
    assert len(data) == data_size(n, DIMS) == n * 17
    again = parse_examples(data, n, DIMS, 4)
    np.testing.assert_array_equal(again.samples, examples.samples)
    np.testing.assert_array_equal(again.labels, examples.labels)
    assert serialize_examples(again) == data


def test_samples_come_first_in_c_order() -> None:
    samples = np.arange(-6, 6, dtype=np.int8).reshape(2, 3, 2)
    data = serialize_examples(Examples(samples, np.array([1, 0], np.uint8)))
    assert data == bytes(value & 0xFF for value in range(-6, 6)) + b"\x01\x00"


def test_bytes_follow_the_values_not_the_memory_layout() -> None:
    samples = np.asfortranarray(np.arange(12, dtype=np.int8).reshape(3, 4))
    assert serialize_examples(Examples(samples, np.zeros(3, np.uint8)))[:12] == bytes(range(12))


@given(data=mutations(st.just(DATA)) | st.binary(max_size=300))
def test_other_bytes_are_refused_by_name(data: bytes) -> None:
    try:
        examples = parse_examples(data, 8, DIMS, 4)
    except PodlError as error:
        refusal = error
    else:
        assert serialize_examples(examples) == data
        return
    assert refusal.reason in {"podl-shard-range", "podl-shard-label"}


@pytest.mark.parametrize(
    ("offset", "value", "reason"),
    [
        (0, 0x80, "podl-shard-range"),
        (127, 0x80, "podl-shard-range"),
        (128, 4, "podl-shard-label"),
        (135, 255, "podl-shard-label"),
    ],
)
def test_ranges(offset: int, value: int, reason: str) -> None:
    data = bytearray(DATA)
    data[offset] = value
    with pytest.raises(RejectError) as caught:
        parse_examples(bytes(data), 8, DIMS, 4)
    assert caught.value.reason == reason


def test_a_samples_identity_leaves_its_label_out() -> None:
    examples = make_examples("test", 3)
    other = Examples(examples.samples, (examples.labels + 1).astype(np.uint8) % np.uint8(4))
    assert sample_ids(examples) == sample_ids(other)
    assert sample_ids(examples)[1] == tagged_hash(Tag.SAMPLE, examples.samples[1].tobytes())
    assert len(set(sample_ids(examples))) == 3


def test_parts_share_no_sample() -> None:
    whole = make_examples("whole", 20)
    first, second, third = split(whole, [10, 5, 5])
    check_disjoint([("training set", first), ("shard 0", second), ("shard 1", third)])
    with pytest.raises(RejectError, match="sample 0 of shard 1 is in shard 0") as caught:
        check_disjoint([("training set", first), ("shard 0", second), ("shard 1", second)])
    assert caught.value.reason == "podl-data-overlap"
    with pytest.raises(RejectError, match="is in training set"):
        check_disjoint([("training set", first), ("shard 0", split(whole, [3])[0])])


def test_only_the_training_set_may_repeat_a_sample() -> None:
    one = make_examples("one", 1)
    twice = Examples(np.concatenate([one.samples] * 2), np.concatenate([one.labels] * 2))
    check_disjoint([("training set", twice), ("shard 0", make_examples("other", 2))])
    with pytest.raises(RejectError, match="sample 1 of shard 0 is in shard 0"):
        check_disjoint([("training set", make_examples("other", 2)), ("shard 0", twice)])


@given(sizes=st.lists(st.integers(0, 8), max_size=4))
def test_splitting_keeps_the_order(sizes: list[int]) -> None:
    whole = make_examples("whole", 20)
    if sum(sizes) > 20:
        with pytest.raises(RejectError) as caught:
            split(whole, sizes)
        assert caught.value.reason == "podl-data-split"
        return
    parts = split(whole, sizes)
    assert [len(part) for part in parts] == sizes
    joined = b"".join(part.samples.tobytes() for part in parts)
    assert joined == whole.samples[: sum(sizes)].tobytes()


@given(salt=h32, root=h32, n=st.integers(0, (1 << 32) - 1))
def test_shard_commitment(salt: bytes, root: bytes, n: int) -> None:
    assert shard_commitment(salt, root, n) == tagged_hash(Tag.SHARD, salt + root + n.to_bytes(4, "little"))
    assert shard_commitment(salt, root, n) != shard_commitment(root, salt, n ^ 1)
