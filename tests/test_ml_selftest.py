"""The self-test finds inexact kernels, and the backend then takes a slower one or gives up."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from podl_tools.errors import EvaluatorUnavailableError
from podl_tools.ml import selftest
from podl_tools.ml.backend import Backend
from podl_tools.ml.graph import Graph
from podl_tools.ml.layer_check import SelfTestError
from podl_tools.ml.model import vector_hash
from podl_tools.ml.numpy_backend import NumpyNetwork, NumpyOps
from podl_tools.ml.selftest import check_kernel, check_program, check_vectors
from podl_tools.program import Program, parse_program
from tests.ml_helpers import BACKENDS, SMALL, backend

if TYPE_CHECKING:
    from collections.abc import Iterator

    from podl_tools.ml.network import Network

PROGRAM = parse_program(SMALL[1])


class Float32Products(NumpyOps):
    """Too narrow for errors and gradients."""

    def matmul(self, left: Any, right: Any, *, turn_left: bool = False, turn_right: bool = False) -> Any:
        left = left.T if turn_left else left
        right = right.T if turn_right else right
        return (left.astype(np.float32) @ right.astype(np.float32)).astype(np.int64)


class HalvesToEven(NumpyOps):
    """The rounding of most libraries."""

    def round_shift(self, values: Any, shift: Any) -> Any:
        return np.rint(values * 2.0**-shift).astype(np.int64)


class WinogradLike(NumpyOps):
    """A convolution that is off by one for large sums, as a Winograd kernel is."""

    def convolve(self, images: Any, kernel: Any) -> Any:
        found = super().convolve(images, kernel)
        return found + (np.abs(found) > 2**17)


class LastMaximum(NumpyOps):
    """The tie rule of another framework."""

    def first(self, mask: Any, axis: int) -> Any:
        return np.flip(super().first(np.flip(mask, axis), axis), axis)


class RoundedDivision(NumpyOps):
    """A float32 quotient."""

    def floor_divide(self, numerator: Any, denominator: Any) -> Any:
        return np.floor(numerator.astype(np.float32) / denominator.astype(np.float32)).astype(np.int64)


class OneShape(NumpyOps):
    """Exact but for one shape of product, as a library that picks its algorithm by shape may be."""

    def __init__(self, rows: int, columns: int) -> None:
        super().__init__()
        self._shape = rows, columns

    def matmul(self, left: Any, right: Any, *, turn_left: bool = False, turn_right: bool = False) -> Any:
        found = super().matmul(left, right, turn_left=turn_left, turn_right=turn_right)
        large = np.abs(found) > 2**17 if found.shape == self._shape else np.zeros(found.shape, dtype=bool)
        return found + large


class OffByOneStep(NumpyOps):
    """Right in every product, wrong in the loss."""

    def one_hot(self, labels: Any, classes: int) -> Any:
        return super().one_hot(labels, classes)[:, ::-1]


class LooseFusion(NumpyOps):
    """Exact but for what is compiled into one loop."""

    def fuse(self, function: Any) -> Any:
        return lambda *operands: function(*operands) + 1


def broken(ops: NumpyOps, program: Program = PROGRAM) -> Network:
    network = NumpyNetwork(program)
    network._ops, network._graph = ops, Graph(ops, program)
    return network


@pytest.mark.parametrize("ops", [Float32Products, HalvesToEven, LastMaximum, RoundedDivision, LooseFusion])
def test_inexact_kernels_are_found(ops: type[NumpyOps]) -> None:
    with pytest.raises(SelfTestError):
        check_kernel(broken(ops()))


@pytest.mark.parametrize("ops", [WinogradLike, HalvesToEven, OffByOneStep])
def test_inexact_programs_are_found(ops: type[NumpyOps]) -> None:
    with pytest.raises(SelfTestError):
        check_program(broken(ops()))


@pytest.mark.parametrize(
    ("text", "shape", "what"),
    [
        ("input 70, dense 9, output 3", (64, 9), "product of dense 9"),
        ("input 70, dense 9, output 3", (64, 70), "input error of dense 9"),
        ("input 70, dense 9, output 3", (71, 9), "gradient of dense 9"),
        ("input 70, dense 9, output 3", (64, 3), "product of output 3"),
        ("input 4x4x9, conv2d 3x3x5, flatten, output 3", (64 * 16, 5), "product of conv2d 3x3x5"),
        ("input 4x4x9, conv2d 3x3x5, flatten, output 3", (64 * 16, 9), "input error of conv2d 3x3x5"),
        ("input 4x4x9, conv2d 3x3x5, flatten, output 3", (81, 5), "gradient of conv2d 3x3x5"),
        ("input 3x20, rnn 9, output 3", (64 * 3, 9), "product of rnn 9"),
        ("input 3x20, rnn 11, output 3", (64, 11), "product of rnn 11"),
        ("input 3x20, mgru 9, output 3", (64, 9), "input error of mgru 9"),
        ("input 3x20, mgru 9, output 3", (30, 18), "gradient of mgru 9"),
        ("input 5x9, conv1d 3x7, flatten, output 3", (64 * 5, 7), "product of conv1d 3x7"),
        ("input 5x9, conv1d 3x7, flatten, output 3", (64 * 5, 9), "input error of conv1d 3x7"),
        ("input 5x9, conv1d 3x7, flatten, output 3", (27, 7), "gradient of conv1d 3x7"),
        ("input 3x21, mgru 10, mgru 9, output 3", (64 * 3, 18), "product of mgru 9"),
        ("input 3x21, mgru 10, mgru 9, output 3", (64 * 3, 10), "input error of mgru 9"),
        ("input 1050, dense 9, output 3", (64, 9), "product of dense 9"),
    ],
)
def test_every_shape_of_a_program_is_checked(text: str, shape: tuple[int, int], what: str) -> None:
    with pytest.raises(SelfTestError, match=f"^{what} is not exact"):
        check_program(broken(OneShape(*shape), parse_program(text)))


def test_programs_with_most_positions_are_checked_too() -> None:
    program = parse_program("input 256x128x1, conv2d 1x1x1, maxpool 128, flatten, output 2")
    assert Backend("numpy").network(program).kernel == "float64 BLAS"


@pytest.mark.parametrize("where", BACKENDS)
@pytest.mark.parametrize("text", SMALL)
def test_good_kernels_pass(where: str, text: str) -> None:
    network = backend(where).network(parse_program(text))
    name = {"numpy": "NumPy", "tensorflow": "TensorFlow", "jax": "JAX"}[where]
    assert network.device.startswith((f"{name} on CPU", f"{name} on GPU:0 "))
    if network.device.endswith("CPU"):
        kernels = {"numpy": "float64 BLAS", "tensorflow": "float32, patches, XLA"}
        assert network.kernel == kernels.get(where, "float32, native convolution, XLA")
    assert backend(where).network(parse_program(text)) is network


def test_backend_takes_the_next_kernel(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def candidates(_: Backend, program: Program) -> Iterator[Network]:
        yield broken(WinogradLike(), program)
        yield broken(Float32Products(), program)
        yield NumpyNetwork(program, blas=False)

    monkeypatch.setattr(Backend, "_candidates", candidates)
    assert Backend("numpy").network(PROGRAM).kernel == "int64"
    assert [record.levelname for record in caplog.records] == ["WARNING", "WARNING"]
    assert "pooled error is not exact" in caplog.records[0].getMessage()


def test_tensorflow_falls_back_kernel_by_kernel(monkeypatch: pytest.MonkeyPatch) -> None:
    import tensorflow as tf  # noqa: PLC0415  loaded only by the tests that need it

    from podl_tools.ml import sparse  # noqa: PLC0415
    from podl_tools.ml.tensorflow_ops import TensorOps  # noqa: PLC0415

    def off_by_one(found: Any) -> Any:
        return found + tf.cast(tf.abs(found) > 2**17, found.dtype)

    convolve, matmul, gradient = TensorOps.convolve, TensorOps.matmul, sparse.gradient

    def like_winograd(ops: TensorOps, images: Any, kernel: Any) -> Any:
        found = convolve(ops, images, kernel)
        return off_by_one(found) if ops._kernel.native_convolution else found

    program = parse_program("input 16x16x4, conv2d 3x3x32, maxpool 16, flatten, output 3")
    assert Backend("tensorflow").network(program).kernel == "float32, native convolution, sparse errors"
    monkeypatch.setattr(sparse, "gradient", lambda *operands: gradient(*operands) + 1)
    assert Backend("tensorflow").network(program).kernel == "float32, native convolution"
    monkeypatch.setattr(TensorOps, "convolve", like_winograd)
    assert Backend("tensorflow").network(program).kernel == "float32, patches"
    monkeypatch.setattr(TensorOps, "matmul", lambda *args, **turns: off_by_one(matmul(*args, **turns)))
    network = Backend("tensorflow").network(program)
    assert (network.device, network.kernel) == ("NumPy on CPU", "float64 BLAS")


def test_tensorflow_does_without_numba(monkeypatch: pytest.MonkeyPatch) -> None:
    program = parse_program("input 16x16x4, conv2d 3x3x32, maxpool 16, flatten, output 3")
    backend("tensorflow")
    monkeypatch.setitem(sys.modules, "podl_tools.ml.sparse", None)
    assert Backend("tensorflow").network(program).kernel == "float32, native convolution"


class OutOfMemory(NumpyOps):
    """A kernel that does not run on this machine."""

    def matmul(self, left: Any, right: Any, *, turn_left: bool = False, turn_right: bool = False) -> Any:
        del left, right, turn_left, turn_right
        raise MemoryError("cannot allocate")


def test_backend_passes_over_kernels_that_do_not_run(monkeypatch: pytest.MonkeyPatch) -> None:
    def candidates(_: Backend, program: Program) -> Iterator[Network]:
        yield broken(OutOfMemory(), program)
        yield NumpyNetwork(program, blas=False)

    monkeypatch.setattr(Backend, "_candidates", candidates)
    assert Backend("numpy").network(PROGRAM).kernel == "int64"


def test_no_memory_says_nothing_about_a_model() -> None:
    network = broken(OutOfMemory())
    samples = np.zeros((1, PROGRAM.sample_size), dtype=np.int8)
    weights = [np.zeros((plan.rows, plan.columns), dtype=np.int8) for plan in PROGRAM.weights]
    with pytest.raises(EvaluatorUnavailableError, match="cannot allocate"):
        network.logits(weights, samples)
    with pytest.raises(EvaluatorUnavailableError, match="cannot allocate"):
        selftest.trained_steps(network)


def test_failures_of_tensorflow_are_no_verdict(monkeypatch: pytest.MonkeyPatch) -> None:
    import tensorflow as tf  # noqa: PLC0415  loaded only by the tests that need it

    network = backend("tensorflow").network(PROGRAM)

    def exhausted(*_: object) -> None:
        raise tf.errors.ResourceExhaustedError(None, None, "OOM when allocating tensor")

    monkeypatch.setattr(network, "chunk_logits", exhausted)
    weights = [np.zeros((plan.rows, plan.columns), dtype=np.int8) for plan in PROGRAM.weights]
    with pytest.raises(EvaluatorUnavailableError, match="OOM"):
        network.logits(weights, np.zeros((1, PROGRAM.sample_size), dtype=np.int8))


def test_a_gpu_that_tensorflow_passes_over_is_not_named(monkeypatch: pytest.MonkeyPatch) -> None:
    import tensorflow as tf  # noqa: PLC0415  loaded only by the tests that need it

    from podl_tools.ml import tensorflow_backend  # noqa: PLC0415

    config = tf.config
    monkeypatch.setattr(config, "list_physical_devices", lambda _: ["an old GPU"])
    monkeypatch.setattr(config, "list_logical_devices", lambda _: [])
    monkeypatch.setattr(config.experimental, "set_memory_growth", lambda *_: None)
    assert tensorflow_backend.open_device(1).name == "TensorFlow on CPU"


def test_backend_gives_up_rather_than_be_inexact(monkeypatch: pytest.MonkeyPatch) -> None:
    def candidates(_: Backend, program: Program) -> Iterator[Network]:
        yield broken(HalvesToEven(), program)

    monkeypatch.setattr(Backend, "_candidates", candidates)
    with pytest.raises(EvaluatorUnavailableError, match="no kernel") as caught:
        Backend("numpy").network(PROGRAM)
    assert caught.value.reason == "podl-eval-unavailable"


def test_unknown_backend() -> None:
    with pytest.raises(EvaluatorUnavailableError, match="tensorflow"):
        Backend("torch")


@pytest.mark.parametrize("where", ["tensorflow", "jax"])
def test_a_missing_package_is_named(where: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, f"podl_tools.ml.{where}_backend", None)
    with pytest.raises(
        EvaluatorUnavailableError, match=f"backend {where} does not load.* pip install .*{where}"
    ):
        Backend(where).network(PROGRAM)


@pytest.mark.parametrize("where", ["tensorflow", "jax"])
def test_threads_are_fixed_by_the_first_call(where: str) -> None:
    backend(where).network(PROGRAM)
    with pytest.raises(EvaluatorUnavailableError, match="set up differently"):
        Backend(where, threads=2).network(PROGRAM)


def test_vectors_are_checked(monkeypatch: pytest.MonkeyPatch) -> None:
    check_vectors()
    with monkeypatch.context() as patch:
        patch.setattr(selftest, "words", lambda *_: np.zeros(4, dtype=np.uint32))
        with pytest.raises(EvaluatorUnavailableError, match="random words"):
            check_vectors()
    with monkeypatch.context() as patch:
        patch.setattr(selftest, "epoch_order", lambda *_: np.arange(10))
        with pytest.raises(EvaluatorUnavailableError, match="order"):
            check_vectors()
    text = next(iter(selftest.STEP_VECTORS))
    monkeypatch.setitem(selftest.STEP_VECTORS, text, "00" * 32)
    with pytest.raises(EvaluatorUnavailableError, match="three training steps"):
        check_vectors()


@pytest.mark.parametrize(("text", "expected"), selftest.STEP_VECTORS.items())
@pytest.mark.parametrize("where", BACKENDS)
def test_step_vectors_on_every_backend(where: str, text: str, expected: str) -> None:
    network = backend(where).network(parse_program(text))
    assert vector_hash(selftest.trained_steps(network).masters) == expected
