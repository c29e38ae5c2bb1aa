"""TensorFlow backend: programs as compiled graphs on a CPU or GPU."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
import tensorflow as tf

from podl_tools.errors import EvaluatorUnavailableError
from podl_tools.ml.graph import Graph
from podl_tools.ml.network import Network
from podl_tools.ml.tensorflow_ops import CPU_KERNELS, GPU_KERNELS, Kernel, TensorOps

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from numpy.typing import NDArray

    from podl_tools.ml.ops import Tensor
    from podl_tools.ml.state import State
    from podl_tools.program import Program


@dataclass(frozen=True)
class Device:
    """
    Where TensorFlow computes.

    Parameters
    ----------
    name
        For reports, such as `TensorFlow on CPU` or `TensorFlow on GPU:0 NVIDIA H200`.
    kernels
        Ways to compute products there, fastest first.

    """

    name: str
    kernels: tuple[Kernel, ...]


def open_device(threads: int) -> Device:
    """
    Set TensorFlow up and name its device. Settings are those of the process: the first call decides.

    Parameters
    ----------
    threads
        CPU threads of one operation and across operations.

    Raises
    ------
    EvaluatorUnavailableError
        TensorFlow runs already, with another number of threads, or it does not start.

    """
    gpus = tf.config.list_physical_devices("GPU")
    try:
        tf.config.threading.set_intra_op_parallelism_threads(threads)
        tf.config.threading.set_inter_op_parallelism_threads(threads)
        for gpu in gpus:
            tf.config.experimental.set_memory_growth(gpu, True)
    except RuntimeError as error:
        raise EvaluatorUnavailableError(f"TensorFlow was set up differently before: {error}") from error
    tf.config.experimental.enable_tensor_float_32_execution(False)
    if not _usable_gpus():
        return Device("TensorFlow on CPU", CPU_KERNELS)
    details = tf.config.experimental.get_device_details(gpus[0])
    return Device(f"TensorFlow on GPU:0 {details.get('device_name', 'unknown')}", GPU_KERNELS)


def _usable_gpus() -> list[Any]:
    """GPUs that TensorFlow will use: it passes over those that are too old, so this starts it."""
    try:
        found: list[Any] = tf.config.list_logical_devices("GPU")
    except (RuntimeError, tf.errors.OpError) as error:
        raise EvaluatorUnavailableError(f"TensorFlow does not start: {error}") from error
    return found


class TensorFlowNetwork(Network):
    """
    A program as TensorFlow graphs.

    Parameters
    ----------
    program
        The layer program.
    device
        Where to compute.
    kernel
        How products are computed; one of the device's.

    """

    failures: ClassVar[tuple[type[Exception], ...]] = (MemoryError, tf.errors.OpError)

    def __init__(self, program: Program, device: Device, kernel: Kernel) -> None:
        super().__init__(program, device.name, kernel.name)
        self._ops = TensorOps(kernel)
        self._small = kernel.small
        self._graph = Graph(self._ops, program)

    @cached_property
    def _logits(self) -> Callable[..., Any]:
        """Graph of the forward pass, for any number of samples."""

        def forward(weights: Sequence[Tensor], samples: Tensor) -> Tensor:
            return tf.cast(self._graph.forward(weights, self._ops.small(samples))[0], tf.int32)

        matrices = [tf.TensorSpec((plan.rows, plan.columns), self._small) for plan in self.program.weights]
        return _compiled(forward, matrices, tf.TensorSpec((None, self.program.sample_size), tf.int8))

    @cached_property
    def _step(self) -> Callable[..., Any]:
        """Graph of one training step, for any batch size."""

        def step(
            masters: Sequence[Tensor],
            velocities: Sequence[Tensor],
            samples: Tensor,
            labels: Tensor,
            shifts: Sequence[Tensor],
        ) -> tuple[Sequence[Tensor], Sequence[Tensor]]:
            return self._graph.step(masters, velocities, (self._ops.small(samples), labels), shifts)

        plans = self.program.weights
        matrices = [tf.TensorSpec((plan.rows, plan.columns), tf.float64) for plan in plans]
        samples = tf.TensorSpec((None, self.program.sample_size), tf.int8)
        labels = tf.TensorSpec((None,), tf.uint8)
        return _compiled(
            step, matrices, matrices, samples, labels, [tf.TensorSpec((), tf.float64)] * len(plans)
        )

    def load(self, matrix: NDArray[np.int8]) -> Tensor:
        return self._ops.small(matrix)

    def chunk_logits(self, weights: Sequence[Tensor], samples: NDArray[np.int8]) -> NDArray[np.int32]:
        found: NDArray[np.int32] = self._logits(list(weights), tf.constant(samples)).numpy()
        return found

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
            batch = tf.constant(samples), tf.constant(labels)
            masters, velocities = self._step(masters, velocities, *batch, operands)
        return masters, velocities

    def apply(
        self, function: Callable[..., Tensor], *arrays: NDArray[np.int64], wide: bool
    ) -> NDArray[np.int64]:
        enter = self._ops.wide if wide else self._ops.small
        tensors = [enter(array) for array in arrays]
        specs = [tf.TensorSpec.from_tensor(tensor) for tensor in tensors]
        traced = _compiled(lambda *operands: function(self._ops, *operands), *specs)
        found: NDArray[np.float64] = traced(*tensors).numpy()
        return found.astype(np.int64)


def _compiled(function: Callable[..., Any], *signature: Any) -> Callable[..., Any]:
    """Trace `function` once, for exactly these arguments."""
    traced: Callable[..., Any] = tf.function(function, autograph=False).get_concrete_function(*signature)
    return traced
