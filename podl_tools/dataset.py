"""
Data sets as bytes: the form that is hashed, stored and sent (protocol section 4).

n samples as i8 in C order of the task's sample shape, then n labels as u8.
"""

from __future__ import annotations

from math import prod
from typing import TYPE_CHECKING

import numpy as np

from podl_tools.errors import ExamplesError, RejectError
from podl_tools.examples import Examples
from podl_tools.hashing import Tag, tagged_hash

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

__all__ = [
    "check_disjoint",
    "data_size",
    "parse_examples",
    "sample_ids",
    "serialize_examples",
    "shard_commitment",
    "split",
]


def data_size(n: int, dims: Sequence[int]) -> int:
    """Bytes of a data set of `n` samples of shape `dims`, labels included."""
    return n * (prod(dims) + 1)


def serialize_examples(examples: Examples) -> bytes:
    """Return the bytes of a data set."""
    return examples.samples.tobytes() + examples.labels.tobytes()


def parse_examples(data: bytes, n: int, dims: Sequence[int], classes: int) -> Examples:
    """
    Read a data set.

    Parameters
    ----------
    data
        The bytes; their Merkle root is checked by the caller.
    n
        Number of samples.
    dims
        Shape of one sample.
    classes
        Number of classes.

    Returns
    -------
    podl_tools.examples.Examples
        Samples of shape (n, *dims) and labels of shape (n,), both read-only views of `data`.

    Raises
    ------
    RejectError
        `podl-shard-range`: another length, or a sample byte of -128; `podl-shard-label`: a label that is no
        class.

    """
    if len(data) != data_size(n, dims):
        raise RejectError("podl-shard-range", f"expected {data_size(n, dims)} bytes, received {len(data)}")
    samples = np.frombuffer(data, np.int8, n * prod(dims)).reshape(n, *dims)
    labels = np.frombuffer(data, np.uint8, n, offset=n * prod(dims))
    try:
        examples = Examples(samples, labels)
    except ExamplesError as error:
        raise RejectError(error.reason, str(error)) from None
    if labels.max(initial=0) >= classes:
        raise RejectError("podl-shard-label", f"labels must be below {classes}, received {labels.max()}")
    return examples


def sample_ids(examples: Examples) -> list[bytes]:
    """Identity of every sample: hash of its bytes without the label."""
    return [tagged_hash(Tag.SAMPLE, sample.tobytes()) for sample in examples.samples]


def check_disjoint(parts: Iterable[tuple[str, Examples]]) -> None:
    """
    Refuse a sample that is in two parts of a task, or twice in one shard (protocol section 5, "Data").

    Parameters
    ----------
    parts
        Name and examples, the training set first. Repetitions inside the first part are allowed.

    Raises
    ------
    RejectError
        `podl-data-overlap`: names both parts and the sample.

    """
    seen: dict[bytes, str] = {}
    for position, (name, examples) in enumerate(parts):
        ids = sample_ids(examples)
        for at, identity in enumerate(ids):
            if identity in seen and (position > 0 or seen[identity] != name):
                raise RejectError("podl-data-overlap", f"sample {at} of {name} is in {seen[identity]} too")
            seen[identity] = name


def split(examples: Examples, sizes: Sequence[int]) -> list[Examples]:
    """
    Cut consecutive parts of the given sizes; what is left over is dropped.

    Raises
    ------
    RejectError
        `podl-data-split`: the sizes need more samples than there are.

    """
    if sum(sizes) > len(examples):
        raise RejectError("podl-data-split", f"{sum(sizes)} samples wanted, there are {len(examples)}")
    ends = np.cumsum(sizes)
    return [
        Examples(examples.samples[end - size : end], examples.labels[end - size : end])
        for size, end in zip(sizes, ends, strict=True)
    ]


def shard_commitment(salt: bytes, root: bytes, n: int) -> bytes:
    """
    Leaf of a task's shard list (protocol section 5).

    Parameters
    ----------
    salt
        32 bytes, secret until the shard is released.
    root
        Merkle root of the shard's bytes.
    n
        Number of samples.

    """
    return tagged_hash(Tag.SHARD, salt, root, n.to_bytes(4, "little"))
