"""What an evaluator reports to its node (protocol section 1, docs/interfaces.md)."""

from __future__ import annotations

from dataclasses import dataclass
from hashlib import sha256
from typing import Any

__all__ = ["Key", "Verdict", "verdict_key"]

Key = tuple[int, bytes, bytes, bytes]


def verdict_key(arithmetic: int, program: bytes, weights_root: bytes, test_root: bytes) -> Key:
    """
    Return what a verdict is about.

    Parameters
    ----------
    arithmetic
        Version of the arithmetic.
    program
        Bytes of the layer program; the key holds their SHA-256.
    weights_root, test_root
        Roots of the weights and of the shard that were read.

    """
    return arithmetic, sha256(program).digest(), weights_root, test_root


@dataclass(frozen=True)
class Verdict:
    """
    A measurement.

    Parameters
    ----------
    key
        What `verdict_key` gives.
    count, rank_sum
        Correct samples, and the sum of ranks that breaks ties.
    device
        What computed, as the backend names it.
    evaluator
        Name of the program that measured.

    """

    key: Key
    count: int
    rank_sum: int
    device: str
    evaluator: str

    def fields(self) -> dict[str, Any]:
        """Argument of `submitpodlverdict`."""
        arithmetic, program, weights_root, test_root = self.key
        return {
            "arithmetic": arithmetic,
            "program": program.hex(),
            "weights_root": weights_root.hex(),
            "test_root": test_root.hex(),
            "count": self.count,
            "rank_sum": self.rank_sum,
            "device": self.device,
            "evaluator": self.evaluator,
        }
