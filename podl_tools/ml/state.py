"""The state of a training: master weights and velocities of every layer."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from podl_tools.prng import uniform_integers

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from podl_tools.program import Program


@dataclass(frozen=True, eq=False)
class State:
    """
    State before an epoch, or after the last one.

    Parameters
    ----------
    masters
        M per layer with weights: (rows, columns) int32, the bias row last.
    velocities
        V in the same shapes, int64.

    """

    masters: tuple[NDArray[np.int32], ...]
    velocities: tuple[NDArray[np.int64], ...]

    def same(self, other: State) -> bool:
        """Whether every integer is equal."""
        mine, others = self.masters + self.velocities, other.masters + other.velocities
        return len(mine) == len(others) and all(map(np.array_equal, mine, others))


def initial_masters(program: Program, seed: bytes) -> tuple[NDArray[np.int32], ...]:
    """
    First weights of a training without parent: uniform in -Lm..Lm per layer, bias row 0.

    Source: arithmetic.md 1.2.
    """
    masters = []
    for plan in program.weights:
        drawn = uniform_integers(seed, f"init{plan.index}", plan.fan_in * plan.columns, plan.init_limit)
        bias = np.zeros((1, plan.columns), dtype=np.int32)
        masters.append(np.concatenate([drawn.reshape(plan.fan_in, plan.columns), bias]))
    return tuple(masters)


def at_rest(masters: tuple[NDArray[np.int32], ...]) -> State:
    """State with these master weights and velocity zero: the start of every training."""
    return State(masters, tuple(np.zeros(master.shape, dtype=np.int64) for master in masters))
