"""Cases of hashing.json."""

from __future__ import annotations

from dev.vector_cases.fixture import Json, named
from podl_tools.hashing import Tag, sha256d, tagged_hash

_DATA = (b"", b"\0", b"abc", named("data"), bytes(112), bytes(range(256)))


def build() -> Json:
    """Tagged hashes of every tag, and Bitcoin's double SHA-256."""
    tagged = [
        {"tag": tag.value, "data": data.hex(), "hash": tagged_hash(tag, data).hex()}
        for tag in Tag
        for data in (b"", named(tag.value))
    ]
    tagged += [
        {"tag": Tag.LEAF.value, "data": data.hex(), "hash": tagged_hash(Tag.LEAF, data).hex()}
        for data in _DATA
    ]
    double = [{"data": data.hex(), "hash": sha256d(data).hex()} for data in _DATA]
    return {"tagged": tagged, "sha256d": double}
