"""A program whose forward pass and training step a framework compiles."""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass
from functools import cache, cached_property
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from podl_tools.ml.graph import Graph
from podl_tools.ml.network import Network

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from numpy.typing import NDArray

    from podl_tools.ml.float_ops import Kernel
    from podl_tools.ml.ops import Ops, Tensor
    from podl_tools.ml.state import State
    from podl_tools.program import Program


@dataclass(frozen=True)
class Device:
    """
    Where a framework computes.

    Parameters
    ----------
    name
        For reports, such as `TensorFlow on CPU` or `JAX on GPU:0 NVIDIA H200`.
    gpu
        Whether it is a GPU.

    """

    name: str
    gpu: bool


@dataclass(frozen=True)
class Spec:
    """Shape (None: any size) and type of an operand."""

    shape: tuple[int | None, ...]
    dtype: str


_LABELS: Final = Spec((None,), "uint8")


class FloatNetwork(Network):
    """
    A program in the compiled graphs of a framework.

    Parameters
    ----------
    program
        The layer program.
    device
        Where to compute.
    kernel
        How products are computed; one of the device's.
    ops
        The framework's operations with that kernel.

    """

    def __init__(self, program: Program, device: Device, kernel: Kernel, ops: Ops) -> None:
        super().__init__(program, device.name, kernel.name)
        self._ops = ops
        self._kernel = kernel
        self._graph = Graph(ops, program)
        self._add_gradients = cache(self._compile_add_gradients)
        self._step = cache(self._compile_step)

    @abstractmethod
    def compiled(self, function: Callable[..., Any], *signature: Spec | list[Spec]) -> Callable[..., Any]:
        """Compile `function` for these operands."""

    @abstractmethod
    def tensor(self, array: NDArray[Any]) -> Tensor:
        """Put an array on the device."""

    @cached_property
    def _logits(self) -> Callable[..., Any]:
        """Graph of the forward pass, for any number of samples."""

        def forward(weights: Sequence[Tensor], samples: Tensor) -> Tensor:
            return self._graph.forward(weights, self._ops.small(samples))[0]

        return self.compiled(forward, self._matrices(self._kernel.small), self._samples)

    def _compile_add_gradients(self, follows: bool) -> Callable[..., Any]:
        """Graph of the gradients of some rows of a batch, for any number of rows, first ones or not."""

        def add(
            masters: Sequence[Tensor], earlier: Sequence[Tensor], samples: Tensor, labels: Tensor
        ) -> Sequence[Tensor]:
            return self._graph.add_gradients(masters, earlier, (self._ops.small(samples), labels))

        matrices = self._matrices("float64")
        return self.compiled(add, matrices, matrices if follows else [], self._samples, _LABELS)

    def _compile_step(self, follows: bool) -> Callable[..., Any]:
        """Graph of one training step, for any number of rows that follow others of the batch or do not."""

        def step(
            masters: Sequence[Tensor],
            velocities: Sequence[Tensor],
            earlier: Sequence[Tensor],
            samples: Tensor,
            labels: Tensor,
            shifts: Sequence[Tensor],
        ) -> tuple[Sequence[Tensor], Sequence[Tensor]]:
            return self._graph.step(masters, velocities, earlier, (self._ops.small(samples), labels), shifts)

        matrices = self._matrices("float64")
        shifts = [Spec((), "float64")] * len(matrices)
        earlier = matrices if follows else []
        return self.compiled(step, matrices, matrices, earlier, self._samples, _LABELS, shifts)

    @property
    def _samples(self) -> Spec:
        return Spec((None, self.program.sample_size), "int8")

    def _matrices(self, dtype: str) -> list[Spec]:
        return [Spec((plan.rows, plan.columns), dtype) for plan in self.program.weights]

    def load(self, matrix: NDArray[np.int8]) -> Tensor:
        return self._ops.small(matrix)

    def chunk_logits(self, weights: Sequence[Tensor], samples: NDArray[np.int8]) -> NDArray[np.int32]:
        return np.asarray(self._logits(list(weights), self.tensor(samples))).astype(np.int32)

    def run_steps(
        self,
        state: State,
        batches: Iterable[tuple[NDArray[np.int8], NDArray[np.uint8]]],
        shifts: Sequence[int],
    ) -> tuple[Sequence[Tensor], Sequence[Tensor]]:
        masters = [self._ops.wide(master) for master in state.masters]
        velocities = [self._ops.wide(velocity) for velocity in state.velocities]
        operands = [self._ops.shift_operand(shift) for shift in shifts]
        for samples, labels in batches:
            *first, last = (map(self.tensor, block) for block in self.blocks(samples, labels))
            earlier: Sequence[Tensor] = []
            for rows in first:
                earlier = self._add_gradients(bool(earlier))(masters, earlier, *rows)
            step = self._step(bool(earlier))
            masters, velocities = step(masters, velocities, earlier, *last, operands)
        return masters, velocities

    def apply(
        self, function: Callable[..., Tensor], *arrays: NDArray[np.int64], wide: bool
    ) -> NDArray[np.int64]:
        enter = self._ops.wide if wide else self._ops.small
        specs = [Spec(array.shape, "float64" if wide else self._kernel.small) for array in arrays]
        traced = self.compiled(lambda *operands: function(self._ops, *operands), *specs)
        return np.asarray(traced(*map(enter, arrays))).astype(np.int64)
