"""TensorFlow backend: programs as compiled graphs on a CPU or GPU."""

from __future__ import annotations

import logging
from importlib import import_module
from typing import TYPE_CHECKING, Any, ClassVar, Final

import tensorflow as tf

from podl_tools.errors import EvaluatorUnavailableError
from podl_tools.ml.float_network import Device, FloatNetwork, Spec
from podl_tools.ml.float_ops import FLOAT64, NATIVE, PATCHES, SPARSE, XLA, Kernel
from podl_tools.ml.tensorflow_ops import TensorOps
from podl_tools.program.layer import CONVOLUTIONS

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from podl_tools.ml.ops import Tensor
    from podl_tools.program import Program

# Multiply-adds per sample of one layer up to which XLA's convolution is fast enough on a CPU.
_XLA_WORK: Final = 1 << 18

_log = logging.getLogger(__name__)


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
        return Device("TensorFlow on CPU", gpu=False)
    details = tf.config.experimental.get_device_details(gpus[0])
    return Device(f"TensorFlow on GPU:0 {details.get('device_name', 'unknown')}", gpu=True)


def _usable_gpus() -> list[Any]:
    """GPUs that TensorFlow will use: it passes over those that are too old, so this starts it."""
    try:
        found: list[Any] = tf.config.list_logical_devices("GPU")
    except (RuntimeError, tf.errors.OpError) as error:
        raise EvaluatorUnavailableError(f"TensorFlow does not start: {error}") from error
    return found


def _has_compiler() -> bool:
    """Whether Numba is there, fits this NumPy, and finds a folder for what it compiles."""
    try:
        import_module("podl_tools.ml.sparse")
    except (ImportError, RuntimeError) as error:
        _log.info("no sparse errors: %s", error)
        return False
    return True


class TensorFlowNetwork(FloatNetwork):
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
        super().__init__(program, device, kernel, TensorOps(kernel))

    @staticmethod
    def kernels(device: Device, program: Program) -> tuple[Kernel, ...]:
        """
        Ways to compute the program's products there, fastest first.

        XLA makes small graphs faster; on a CPU it has no fast convolution, which large ones need.
        """
        convolutions = (plan.weights for plan in program.plans if plan.layer.kind in CONVOLUTIONS)
        work = max((matrix.macs for matrix in convolutions if matrix is not None), default=0)
        if device.gpu or work <= _XLA_WORK:
            return (XLA, PATCHES, FLOAT64)
        return (*((SPARSE,) if _has_compiler() else ()), NATIVE, PATCHES, FLOAT64)

    def compiled(self, function: Callable[..., Any], *signature: Spec | list[Spec]) -> Callable[..., Any]:
        specs = tf.nest.map_structure(lambda spec: tf.TensorSpec(spec.shape, spec.dtype), signature)
        graph = tf.function(function, autograph=False, jit_compile=self._kernel.xla)
        traced: Callable[..., Any] = graph.get_concrete_function(*specs)
        return traced

    def tensor(self, array: NDArray[Any]) -> Tensor:
        return tf.constant(array)


NETWORK: Final = TensorFlowNetwork
