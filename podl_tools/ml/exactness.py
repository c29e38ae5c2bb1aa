"""Which sums a float32 holds exactly, for graphs that run outside this package."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from podl_tools.arithmetic import ACTIVATION_MAX, BIAS_INPUT, WEIGHT_MAX

if TYPE_CHECKING:
    from podl_tools.program import WeightPlan

_FLOAT32_EXACT: Final = 1 << 24
_PRODUCT: Final = ACTIVATION_MAX * WEIGHT_MAX


def exact_terms(matrix: WeightPlan) -> int:
    """Longest sum of products that float32 holds with bias and half unit (arithmetic.md 2)."""
    half = 1 << (matrix.scale + 1)  # of the widest rounding, a gate's by f + 2 bits
    return (_FLOAT32_EXACT - BIAS_INPUT * WEIGHT_MAX - half) // _PRODUCT


def fits_float32(matrix: WeightPlan) -> bool:
    """Whether every sum of this layer is exact in float32, in any order; else float64 is needed."""
    return matrix.fan_in <= exact_terms(matrix)
