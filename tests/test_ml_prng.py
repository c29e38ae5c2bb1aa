"""The random numbers: published words, orders and bounds."""

from __future__ import annotations

from hashlib import sha256

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from podl_tools.prng import epoch_order, permutation, uniform_integers, words


def test_published_words() -> None:
    assert words(b"s0", "init0", 4).tolist() == [0x4CEA4B72, 0x9DEE5A96, 0x96A260B5, 0x41641344]


def test_published_order() -> None:
    assert epoch_order(b"s0", 0, 10).tolist() == [1, 5, 8, 3, 9, 6, 0, 7, 2, 4]


@given(st.binary(max_size=40), st.sampled_from(["init0", "perm7"]), st.integers(0, 40))
def test_words_follow_the_definition(seed: bytes, tag: str, count: int) -> None:
    prefix = sha256(seed + b"|" + tag.encode()).digest()
    stream = b"".join(sha256(prefix + c.to_bytes(8, "big")).digest() for c in range(6))
    expected = [int.from_bytes(stream[4 * i : 4 * i + 4], "big") for i in range(count)]
    assert words(seed, tag, count).tolist() == expected


@given(st.binary(max_size=40), st.integers(0, 100))
def test_permutation_sorts_by_key(seed: bytes, size: int) -> None:
    drawn = words(seed, "perm1", 2 * size).tolist()
    keys = [(drawn[2 * i] << 32) | drawn[2 * i + 1] for i in range(size)]
    assert permutation(seed, "perm1", size).tolist() == sorted(range(size), key=keys.__getitem__)


@given(st.binary(max_size=40), st.integers(0, 127 << 16))
def test_uniform_integers_stay_in_range(seed: bytes, limit: int) -> None:
    drawn = uniform_integers(seed, "init3", 20, limit)
    expected = [(word * (2 * limit + 1) >> 32) - limit for word in words(seed, "init3", 20).tolist()]
    assert drawn.tolist() == expected
    assert np.abs(drawn).max() <= limit
