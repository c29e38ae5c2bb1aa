"""Choice of a backend by name; every program passes a self-test on it before its results count."""

from __future__ import annotations

import logging
from importlib import import_module
from typing import TYPE_CHECKING, Any, Final

from threadpoolctl import threadpool_limits

from podl_tools.errors import EvaluatorUnavailableError
from podl_tools.ml.layer_check import SelfTestError
from podl_tools.ml.numpy_backend import NumpyNetwork
from podl_tools.ml.selftest import check_kernel, check_program, check_vectors

if TYPE_CHECKING:
    from collections.abc import Iterator

    from podl_tools.ml.network import Network
    from podl_tools.program import Program

BACKENDS: Final = ("tensorflow", "numpy", "jax")
# Loaded only when asked for: the module, and what to install where it is missing.
_FRAMEWORKS: Final = {
    "tensorflow": ("podl_tools.ml.tensorflow_backend", "pip install tensorflow"),
    "jax": ("podl_tools.ml.jax_backend", "pip install 'podl[jax]'"),
}

_log = logging.getLogger(__name__)


class Backend:
    """
    Where to compute.

    Parameters
    ----------
    name
        `tensorflow`, `jax` (either on a GPU where it sees one) or `numpy`.
    threads
        CPU threads that the framework or NumPy's matrix products may use, in the whole process.

    Raises
    ------
    EvaluatorUnavailableError
        `podl-eval-unavailable`: unknown name, or this machine fails the vectors of the arithmetic.

    """

    def __init__(self, name: str, *, threads: int = 1) -> None:
        if name not in BACKENDS:
            raise EvaluatorUnavailableError(f"backend must be one of {BACKENDS}, received {name!r}")
        self.name = name
        self._threads = threads
        self._networks: dict[Program, Network] = {}
        self._exact_kernels: set[str] = set()
        threadpool_limits(threads, user_api="blas")
        check_vectors()

    def network(self, program: Program) -> Network:
        """
        Fastest network of `program` that passes its self-test.

        Raises
        ------
        EvaluatorUnavailableError
            None does: this machine must neither mine nor vote.

        """
        if program not in self._networks:
            self._networks[program] = self._select(program)
        return self._networks[program]

    def _select(self, program: Program) -> Network:
        for network in self._candidates(program):
            if self._passes(network):
                return network
        raise EvaluatorUnavailableError("no kernel of this machine computes exactly")

    def _passes(self, network: Network) -> bool:
        failures: tuple[type[Exception], ...] = (SelfTestError, EvaluatorUnavailableError, *network.failures)
        try:
            if network.kernel not in self._exact_kernels:
                check_kernel(network)
                self._exact_kernels.add(network.kernel)
            check_program(network)
        except failures as error:
            _log.warning("%s, %s: %s; trying a slower kernel", network.device, network.kernel, error)
            return False
        return True

    def _candidates(self, program: Program) -> Iterator[Network]:
        if self.name in _FRAMEWORKS:
            framework = self._framework()
            device = framework.open_device(self._threads)
            for kernel in framework.NETWORK.kernels(device, program):
                yield framework.NETWORK(program, device, kernel)
        yield NumpyNetwork(program)
        yield NumpyNetwork(program, blas=False)

    def _framework(self) -> Any:
        module, remedy = _FRAMEWORKS[self.name]
        try:
            return import_module(module)
        except ImportError as error:
            raise EvaluatorUnavailableError(
                f"backend {self.name} does not load ({error}); try: {remedy}"
            ) from error
