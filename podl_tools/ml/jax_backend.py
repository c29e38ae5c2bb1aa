"""JAX backend: programs compiled with XLA on a CPU or GPU, also where TensorFlow does not run."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any, ClassVar, Final

import jax

from podl_tools.errors import EvaluatorUnavailableError
from podl_tools.ml.float_network import Device, FloatNetwork, Spec
from podl_tools.ml.float_ops import XLA, XLA_FLOAT64, XLA_NATIVE, Kernel
from podl_tools.ml.jax_ops import JaxOps

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from podl_tools.ml.ops import Tensor
    from podl_tools.program import Program

_THREADS: Final = "PJRT_NPROC"  # read once, when JAX starts its CPU device
_OPENED: Final[set[int]] = set()  # threads of this process's JAX, once it runs


def open_device(threads: int) -> Device:
    """
    Set JAX up and name its device. Settings are those of the process: the first call decides.

    Parameters
    ----------
    threads
        CPU threads.

    Raises
    ------
    EvaluatorUnavailableError
        JAX runs already, with another number of threads, or it does not start.

    """
    if _OPENED - {threads}:
        raise EvaluatorUnavailableError(
            f"JAX was set up differently before: with {next(iter(_OPENED))} threads"
        )
    _OPENED.add(threads)
    os.environ[_THREADS] = str(threads)
    os.environ.setdefault("XLA_PYTHON_CLIENT_PREALLOCATE", "false")  # leave GPU memory to others
    jax.config.update("jax_enable_x64", True)  # type: ignore[no-untyped-call]
    try:
        device = jax.devices()[0]
    except RuntimeError as error:
        raise EvaluatorUnavailableError(f"JAX does not start: {error}") from error
    if device.platform == "cpu":
        return Device("JAX on CPU", gpu=False)
    return Device(f"JAX on {device.platform.upper()}:{device.id} {device.device_kind}", gpu=True)


class JaxNetwork(FloatNetwork):
    """
    A program as JAX functions.

    Parameters
    ----------
    program
        The layer program.
    device
        Where to compute.
    kernel
        How products are computed; one of the device's.

    """

    failures: ClassVar[tuple[type[Exception], ...]] = (MemoryError, jax.errors.JaxRuntimeError)

    def __init__(self, program: Program, device: Device, kernel: Kernel) -> None:
        super().__init__(program, device, kernel, JaxOps(kernel))

    @staticmethod
    def kernels(device: Device, program: Program) -> tuple[Kernel, ...]:
        """Ways to compute products there, fastest first."""
        del program
        return (XLA, XLA_FLOAT64) if device.gpu else (XLA_NATIVE, XLA, XLA_FLOAT64)

    def compiled(self, function: Callable[..., Any], *signature: Spec | list[Spec]) -> Callable[..., Any]:
        del signature  # JAX compiles for whatever comes
        found: Callable[..., Any] = jax.jit(function)
        return found

    def tensor(self, array: NDArray[Any]) -> Tensor:
        return jax.numpy.asarray(array)


NETWORK: Final = JaxNetwork
