"""Operands of arithmetic.json: bytes, or the rule that draws them, so that large operands stay small text."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

from podl_tools.prng import uniform_integers

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from dev.vector_cases.fixture import Json

SEED: Final = b"arithmetic vectors"


def given(*values: int) -> Json:
    """int8 values, repeated as often as the operand needs."""
    return {"bytes": np.array(values, dtype=np.int8).tobytes().hex()}


def drawn(tag: str, limit: int, *, absolute: bool = False) -> Json:
    """Integers in -limit..limit, or their absolute values, from the generator."""
    return {"seed": SEED.hex(), "tag": tag, "limit": limit, "absolute": absolute}


def values_of(rule: Json, count: int) -> NDArray[np.int8]:
    """Return the operand."""
    if "bytes" in rule:
        return np.resize(np.frombuffer(bytes.fromhex(rule["bytes"]), dtype=np.int8), count)
    found = uniform_integers(bytes.fromhex(rule["seed"]), rule["tag"], count, rule["limit"])
    return (np.abs(found) if rule["absolute"] else found).astype(np.int8)
