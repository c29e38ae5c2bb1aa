"""Bounds of one training that depend on its batch size and learning rate (pure Python, no arrays)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from podl_tools.errors import HyperparameterError, ProgramError
from podl_tools.program.plan import MAX_GRADIENT_TERMS

if TYPE_CHECKING:
    from podl_tools.program.program import Program

MAX_BATCH_LOG2: Final = 15
# abs(G) < 2**52 shifted left by 11 fits int64; adding 2**(R-1) fits int64 up to R = 62.
MIN_UPDATE_SHIFT: Final = -11
MAX_UPDATE_SHIFT: Final = 62
MAX_RATE_SHIFT: Final = 0xFF  # u8 in the recipe; what is usable follows from the update shifts


def check_batch(program: Program, batch_log2: int) -> None:
    """
    Prove that gradients of a batch of 2**batch_log2 samples are exact sums.

    Raises
    ------
    HyperparameterError
        The batch is no u8 that could fit any program.
    ProgramError
        Names the layer whose batch times positions exceeds 2**22.

    """
    if not 0 <= batch_log2 <= MAX_BATCH_LOG2:
        raise HyperparameterError(f"batch_log2 must be 0..{MAX_BATCH_LOG2}, received {batch_log2}")
    for position, plan in enumerate(program.plans):
        if plan.weights is not None and plan.weights.positions << batch_log2 > MAX_GRADIENT_TERMS:
            terms = plan.weights.positions << batch_log2
            raise ProgramError(
                f"layer {position} ({plan.layer.describe()}): batch times positions {terms} exceeds "
                f"{MAX_GRADIENT_TERMS}",
                layer=position,
            )


def update_shifts(program: Program, batch_log2: int, rate_shift: int) -> tuple[int, ...]:
    """
    R of every layer with weights: `R = 6 + x + b + k - f - 24` (arithmetic.md 1.7).

    Parameters
    ----------
    program
        The layer program.
    batch_log2
        b; a batch has 2**b samples.
    rate_shift
        k; the learning rate is 2**-k.

    Raises
    ------
    HyperparameterError
        Some R leaves -11..62.

    """
    if not 0 <= rate_shift <= MAX_RATE_SHIFT:
        raise HyperparameterError(f"rate_shift must be 0..{MAX_RATE_SHIFT}, received {rate_shift}")
    shifts = []
    for position, plan in enumerate(program.plans):
        if plan.weights is None:
            continue
        shift = 6 + plan.error_scale + batch_log2 + rate_shift - plan.weights.scale - 24
        if not MIN_UPDATE_SHIFT <= shift <= MAX_UPDATE_SHIFT:
            raise HyperparameterError(
                f"layer {position} ({plan.layer.describe()}): update shift {shift} (batch_log2 {batch_log2}, "
                f"rate_shift {rate_shift}) leaves {MIN_UPDATE_SHIFT}..{MAX_UPDATE_SHIFT}"
            )
        shifts.append(shift)
    return tuple(shifts)
