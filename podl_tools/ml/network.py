"""A program on one backend, ready to run: what training and evaluation call."""

from __future__ import annotations

from abc import ABC, abstractmethod
from contextlib import contextmanager
from math import prod
from typing import TYPE_CHECKING, ClassVar, Final

import numpy as np

from podl_tools.errors import EvaluatorUnavailableError
from podl_tools.ml.state import State

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from numpy.typing import NDArray

    from podl_tools.ml.ops import Tensor
    from podl_tools.program import Program

# Values of the largest intermediate tensor of one evaluation call; bounds memory (32 MiB of float64).
_CHUNK_VALUES: Final = 1 << 22
# The same of one training call (256 MiB), which has no more positions than this unless a single sample has.
_BLOCK_VALUES: Final = 1 << 25
CALL_POSITIONS: Final = 1 << 15


class Network(ABC):
    """
    A program on one backend.

    Parameters
    ----------
    program
        The layer program.
    device
        What computes, for reports: `NumPy on CPU`, `TensorFlow on GPU:0 NVIDIA H200`.
    kernel
        How products are computed, for reports.

    """

    # How the backend says that it cannot compute, for lack of memory or a kernel; operands are not to blame.
    failures: ClassVar[tuple[type[Exception], ...]] = (MemoryError,)

    def __init__(self, program: Program, device: str, kernel: str) -> None:
        self.program = program
        self.device = device
        self.kernel = kernel

    def logits(self, weights: Sequence[NDArray[np.int8]], samples: NDArray[np.int8]) -> NDArray[np.int32]:
        """
        Raw accumulators of the output layer.

        Parameters
        ----------
        weights
            One (rows, columns) array per layer with weights.
        samples
            (n, ...), each sample with the program's number of values.

        Returns
        -------
        NDArray[np.int32]
            (n, classes).

        Raises
        ------
        EvaluatorUnavailableError
            Out of memory, or the device failed.

        """
        flat = samples.reshape(len(samples), self.program.sample_size)
        chunk = max(1, _CHUNK_VALUES // self._largest())
        with self._computing():
            prepared = [self.load(matrix) for matrix in weights]
            starts = range(0, len(flat), chunk)
            parts = [self.chunk_logits(prepared, flat[start : start + chunk]) for start in starts]
        return np.concatenate(parts) if parts else np.zeros((0, self.program.classes), dtype=np.int32)

    def train_epoch(
        self,
        state: State,
        batches: Iterable[tuple[NDArray[np.int8], NDArray[np.uint8]]],
        shifts: Sequence[int],
    ) -> State:
        """
        Train on the batches in order.

        Parameters
        ----------
        state
            M and V before the epoch.
        batches
            Samples (B, values) and labels (B,) of each step.
        shifts
            R per layer with weights (`podl_tools.program.update_shifts`).

        Raises
        ------
        EvaluatorUnavailableError
            Out of memory, or the device failed.

        """
        with self._computing():
            masters, velocities = self.run_steps(state, batches, shifts)
            return State(
                tuple(np.asarray(master).astype(np.int32) for master in masters),
                tuple(np.asarray(velocity).astype(np.int64) for velocity in velocities),
            )

    @contextmanager
    def _computing(self) -> Iterator[None]:
        try:
            yield
        except self.failures as error:
            raise EvaluatorUnavailableError(f"{self.device}, {self.kernel}: {error}") from error

    def blocks(
        self, samples: NDArray[np.int8], labels: NDArray[np.uint8]
    ) -> list[tuple[NDArray[np.int8], NDArray[np.uint8]]]:
        """
        Cut a batch into rows for one call each; gradients are sums over rows, so the cuts change no bit.

        All blocks of a batch of 2**b samples have one size: a power of two.
        """
        positions = max(plan.positions for plan in self.program.weights)
        most = max(1, min(CALL_POSITIONS // positions, _BLOCK_VALUES // self._largest()))
        size = 1 << (most.bit_length() - 1)
        starts = range(0, len(samples), size)
        return [(samples[start : start + size], labels[start : start + size]) for start in starts]

    def _largest(self) -> int:
        """Values of one sample's largest tensor: patches of a convolution, accumulators or activations."""
        largest = max(prod(plan.in_shape) for plan in self.program.plans)
        for plan in self.program.weights:
            largest = max(largest, plan.positions * max(plan.fan_in, plan.columns))
        return largest

    @abstractmethod
    def load(self, matrix: NDArray[np.int8]) -> Tensor:
        """Put weights where `chunk_logits` needs them."""

    @abstractmethod
    def chunk_logits(self, weights: Sequence[Tensor], samples: NDArray[np.int8]) -> NDArray[np.int32]:
        """Logits of a few samples (n, values)."""

    @abstractmethod
    def run_steps(
        self,
        state: State,
        batches: Iterable[tuple[NDArray[np.int8], NDArray[np.uint8]]],
        shifts: Sequence[int],
    ) -> tuple[Sequence[Tensor], Sequence[Tensor]]:
        """M and V after the batches."""

    @abstractmethod
    def apply(
        self, function: Callable[..., Tensor], *arrays: NDArray[np.int64], wide: bool
    ) -> NDArray[np.int64]:
        """
        Run an expression in this network's operations, for the self-test.

        Parameters
        ----------
        function
            Takes the `Ops` and one tensor per array.
        arrays
            Integer operands.
        wide
            Container of the operands.

        """
