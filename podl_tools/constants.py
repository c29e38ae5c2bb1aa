"""Sizes and limits of the protocol that more than one module needs (protocol sections 2 to 6)."""

from __future__ import annotations

from typing import Final

from podl_tools.arithmetic import ARITHMETIC_VERSION

__all__ = [
    "ARITHMETIC_VERSION",
    "CHUNK_SIZE",
    "FREEZE_DEPTH",
    "HASH_SIZE",
    "HEADER_SIZE",
    "MAX_ENTRY_SIZE",
    "MAX_FUTURE_SECONDS",
    "MAX_PAYOUT_SIZE",
    "MAX_REVEAL_SIZE",
    "MAX_SHARDS",
    "OPENING_SIZE",
    "RECIPE_SIZE",
    "SIGNATURE_SIZE",
    "ZERO_HASH",
]

HASH_SIZE: Final = 32
ZERO_HASH: Final = bytes(HASH_SIZE)
SIGNATURE_SIZE: Final = 64
CHUNK_SIZE: Final = 65_536

HEADER_SIZE: Final = 112
OPENING_SIZE: Final = 329
RECIPE_SIZE: Final = 96
MAX_PAYOUT_SIZE: Final = 128
MAX_ENTRY_SIZE: Final = 65_536
MAX_REVEAL_SIZE: Final = 4_096
MAX_SHARDS: Final = 65_536

# An entry may be dated this far ahead of the receiver's clock.
MAX_FUTURE_SECONDS: Final = 120
# Evidence of two entries for one slot freezes the schedule while fewer finals than this lie behind the slot.
FREEZE_DEPTH: Final = 6
