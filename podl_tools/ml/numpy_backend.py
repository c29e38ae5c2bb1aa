"""
Reference backend: int64 arrays.

Products run in float64 BLAS where the operands at hand prove the result exact, else in int64. The proof: with
`terms * max|a| * max|b| <= 2**53` every product and every partial sum, in any order and with or without fused
multiply-add, is an integer of at most 2**53, and float64 holds each of those exactly. With `blas=False` all
products are int64: that is the referee.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from podl_tools.arithmetic import FLOAT64_EXACT
from podl_tools.ml.array_ops import ArrayOps
from podl_tools.ml.graph import Graph
from podl_tools.ml.network import Network

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from numpy.typing import NDArray

    from podl_tools.ml.ops import Step, Tensor
    from podl_tools.ml.state import State
    from podl_tools.program import Program

_INT64_LIMIT = 1 << 63


class NumpyOps(ArrayOps):
    """
    Operations on int64 arrays.

    Parameters
    ----------
    blas
        Allow float64 BLAS where it is proven exact.

    """

    def __init__(self, *, blas: bool = True) -> None:
        super().__init__(np)
        self._blas = blas

    def small(self, values: Tensor) -> Tensor:
        return np.asarray(values, dtype=np.int64)

    def wide(self, values: Tensor) -> Tensor:
        return np.asarray(values, dtype=np.int64)

    def round_shift(self, values: Tensor, shift: Tensor | int) -> Tensor:
        if shift <= 0:
            return values << -shift
        return (values + (1 << (shift - 1))) >> shift

    def floor_divide(self, numerator: Tensor, denominator: Tensor) -> Tensor:
        return numerator // denominator

    def matmul(
        self, left: Tensor, right: Tensor, *, turn_left: bool = False, turn_right: bool = False
    ) -> Tensor:
        left = left.T if turn_left else left
        right = right.T if turn_right else right
        bound = left.shape[1] * _largest(left) * _largest(right)
        if self._blas and bound <= FLOAT64_EXACT:
            return (left.astype(np.float64) @ right.astype(np.float64)).astype(np.int64)
        if bound >= _INT64_LIMIT:
            raise OverflowError(f"a sum of up to {bound} does not fit int64")
        return left @ right

    def take(self, table: Sequence[int], index: Tensor) -> Tensor:
        return np.asarray(table, dtype=np.int64)[index]

    def one_hot(self, labels: Tensor, classes: int) -> Tensor:
        return np.equal(np.asarray(labels)[:, None], np.arange(classes)).astype(np.int64)

    def scan(self, step: Step, carry: Tensor, sequence: Tensor, *, reverse: bool = False) -> Tensor:
        outputs = [None] * len(sequence)
        for index in reversed(range(len(sequence))) if reverse else range(len(sequence)):
            carry, outputs[index] = step(carry, sequence[index])
        return np.stack(outputs)  # type: ignore[arg-type]  # every place is filled by now

    def shift_operand(self, shift: int) -> Tensor:
        return shift


def _largest(values: NDArray[np.int64]) -> int:
    return int(max(values.max(initial=0), -values.min(initial=0)))


class NumpyNetwork(Network):
    """
    A program on the reference backend.

    Parameters
    ----------
    program
        The layer program.
    blas
        Allow float64 BLAS where it is proven exact.

    """

    def __init__(self, program: Program, *, blas: bool = True) -> None:
        super().__init__(program, "NumPy on CPU", "float64 BLAS" if blas else "int64")
        self._ops = NumpyOps(blas=blas)
        self._graph = Graph(self._ops, program)

    def load(self, matrix: NDArray[np.int8]) -> Tensor:
        return self._ops.small(matrix)

    def chunk_logits(self, weights: Sequence[Tensor], samples: NDArray[np.int8]) -> NDArray[np.int32]:
        found: NDArray[np.int64] = self._graph.forward(weights, self._ops.small(samples))[0]
        return found.astype(np.int32)

    def run_steps(
        self,
        state: State,
        batches: Iterable[tuple[NDArray[np.int8], NDArray[np.uint8]]],
        shifts: Sequence[int],
    ) -> tuple[Sequence[Tensor], Sequence[Tensor]]:
        masters = [self._ops.wide(master) for master in state.masters]
        velocities = [self._ops.wide(velocity) for velocity in state.velocities]
        for samples, labels in batches:
            *first, last = ((self._ops.small(part), marks) for part, marks in self.blocks(samples, labels))
            earlier: Sequence[Tensor] = ()
            for rows in first:
                earlier = self._graph.add_gradients(masters, earlier, rows)
            masters, velocities = self._graph.step(masters, velocities, earlier, last, shifts)
        return masters, velocities

    def apply(
        self, function: Callable[..., Tensor], *arrays: NDArray[np.int64], wide: bool
    ) -> NDArray[np.int64]:
        del wide
        found: NDArray[np.int64] = function(self._ops, *arrays)
        return found
