"""
Numbers of the exact arithmetic, version 1.

Every tensor holds integers; the scales are static powers of two. A float is only a container: a float32 sum
of integers is exact in any order while the sum of the absolute values of its terms is at most 2**24 (float64:
2**53). The limits are chosen so that every operation of a program that `podl_tools.program` accepts obeys
that. Source: arithmetic.md sections 1 and 2.
"""

from __future__ import annotations

from typing import Final

ARITHMETIC_VERSION: Final = 1

# Number formats (arithmetic.md 1.1).
ACTIVATION_MAX: Final = 127  # inputs, ReLU activations, forward weights
STATE_MAX: Final = 64  # recurrent state, candidate and gate; 64 means 1.0
BIAS_INPUT: Final = 64  # the constant activation 1.0 that a bias row acts on
WEIGHT_MAX: Final = 127
MASTER_SHIFT: Final = 16  # weight = round_shift(master, 16)
MASTER_MAX: Final = WEIGHT_MAX << MASTER_SHIFT
ERROR_BITS: Final = 23  # error scale x at the loss
ERROR_MAX: Final = (1 << ERROR_BITS) - 1
UPDATE_MAX: Final = 1 << 36  # clip of the scaled batch gradient
# Velocity after V := V - round_shift(V, 3) + g with abs(g) <= 2**36 from V = 0: never above 8 * 2**36 + 8.
VELOCITY_MAX: Final = 8 * UPDATE_MAX + 8
MOMENTUM_SHIFT: Final = 3
VELOCITY_SHIFT: Final = 8

# Loss (arithmetic.md 1.5).
LOGIT_MAX: Final = (1 << 15) - 1
LOGIT_MIN: Final = -(1 << 15)
TABLE_SIZE: Final = 1024

# Integers up to this are exact in a float64.
FLOAT64_EXACT: Final = 1 << 53


def round_shift(value: int, shift: int) -> int:
    """
    `Rnd(value, shift)`: value / 2**shift rounded to the nearest integer, halves up.

    Parameters
    ----------
    value
        Any integer.
    shift
        Bits to drop; negative multiplies by 2**-shift.

    """
    if shift <= 0:
        return value << -shift
    return (value + (1 << (shift - 1))) >> shift
