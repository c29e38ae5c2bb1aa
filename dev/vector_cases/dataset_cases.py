"""Cases of dataset.json."""

from __future__ import annotations

from dev.vector_cases.fixture import Json, decoded, outcome, patched
from dev.vector_cases.scenario import make_examples, sealed_task
from podl_tools.dataset import parse_examples, sample_ids, serialize_examples, split
from podl_tools.merkle import data_root

_DIMS = (4, 4, 1)
_CLASSES = 4


def build() -> Json:
    """Build data sets as bytes, sample identities, malformed shards, and a sealed shard list."""
    return {
        "dims": list(_DIMS),
        "classes": _CLASSES,
        "valid": [_valid("one sample", 1), _valid("64 samples", 64)],
        "shards": [_shard(*row) for row in _shard_rows()],
        "sealed": _sealed(),
    }


def _valid(case: str, n: int) -> Json:
    examples = make_examples("dataset vector", 64)
    part = split(examples, [n])[0]
    data = serialize_examples(part)
    return {
        "case": case,
        "n": n,
        "hex": data.hex(),
        "samples": part.samples.reshape(n, -1).tolist(),
        "labels": part.labels.tolist(),
        "root": data_root(data).hex(),
        "sample_ids": decoded(sample_ids(part)),
    }


def _shard_rows() -> list[tuple[str, bytes]]:
    data = serialize_examples(make_examples("shard vector", 64))
    values = 64 * 16
    return [
        ("well formed", data),
        ("empty", b""),
        ("one byte short", data[:-1]),
        ("one byte too many", data + b"\0"),
        ("first sample byte -128", patched(data, 0, b"\x80")),
        ("last sample byte -128", patched(data, values - 1, b"\x80")),
        ("sample byte -127", patched(data, 0, b"\x81")),
        ("sample byte 127", patched(data, 0, b"\x7f")),
        ("first label one too high", patched(data, values, bytes([_CLASSES]))),
        ("last label 255", patched(data, len(data) - 1, b"\xff")),
        ("last sample byte -128 and first label 255", patched(data, values - 1, b"\x80\xff")),
        ("highest label", patched(data, values, bytes([_CLASSES - 1]))),
    ]


def _shard(case: str, data: bytes) -> Json:
    reason = outcome(lambda: parse_examples(data, 64, _DIMS, _CLASSES))["reason"]
    return {"case": case, "n": 64, "hex": data.hex(), "reason": reason}


def _sealed() -> Json:
    sealed = sealed_task()
    shards = [
        {
            "n": shard.n,
            "salt": shard.salt.hex(),
            "root": shard.root.hex(),
            "commitment": shard.commitment.hex(),
            "path": decoded(sealed.shards.path(index)),
        }
        for index, shard in enumerate(sealed.shards)
    ]
    return {"shard_list_root": sealed.task.shard_list_root.hex(), "shards": shards}
