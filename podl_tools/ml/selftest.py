"""
Start-up self-test of the arithmetic.

Vectors first, then every kind of product that a program needs, with operands at their bounds, then three
training steps; all against int64 arithmetic. There is no tolerance: on a failure the caller takes a slower
kernel. Source: arithmetic.md section 4.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

from podl_tools.arithmetic import ACTIVATION_MAX, BIAS_INPUT, ERROR_MAX, round_shift
from podl_tools.errors import EvaluatorUnavailableError
from podl_tools.ml.layer_check import LayerCheck, SelfTestError, gradient, input_error
from podl_tools.ml.model import vector_hash
from podl_tools.ml.network import CALL_POSITIONS
from podl_tools.ml.numpy_backend import NumpyNetwork
from podl_tools.ml.state import at_rest, initial_masters
from podl_tools.prng import epoch_order, uniform_integers, words
from podl_tools.program import parse_program, update_shifts
from podl_tools.program.bounds import MAX_UPDATE_SHIFT, MIN_UPDATE_SHIFT
from podl_tools.program.plan import MAX_FAN_IN, MAX_GRADIENT_TERMS, MAX_SMALL_TERMS

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from podl_tools.ml.layer_check import Expression
    from podl_tools.ml.network import Network
    from podl_tools.ml.ops import Ops, Tensor
    from podl_tools.ml.state import State

_SEED: Final = b"self-test"
_STEPS: Final = 3
_RATE_SHIFT: Final = 5

# Programs that cover every layer kind, and the vector hash of their models after three steps.
STEP_VECTORS: Final = {
    (
        "input 4x4x2, conv2d 3x3x3, maxpool 2, conv2d 1x1x4, avgpool 2 gain 1, flatten, dense 5, output 3"
    ): "5c572f258f9269c377859438f54df125762f3269eca41cac1d139e2adb59409a",
    "input 3x2, rnn 4, output 3": "a75dc0d0d76adec10a8e442d6e3b3c5f42024c893251a94297f2d18a2ee76434",
    (
        "input 6x3, conv1d 3x4, conv1d 1x3, rnn 4, mgru 3, output 3"
    ): "1c3089b1dc06e60fb2e492ec8225dd22ecb2432063676bb2089ef1154543273d",
    "input 1041, dense 3, output 3": "97599126892880ea1db26acaeb79342016e11209ad3468bb3a380d9e3088697b",
    "input 3x2, mgru 4, output 3": "0fee45ba4043c0b4d4b0afd5478f506b84e731e91ef67ed85cd2bcb9416396a6",
}


def check_vectors() -> None:
    """
    Check the random numbers and the int64 referee against published values.

    Raises
    ------
    EvaluatorUnavailableError
        A value differs: nothing on this machine can be trusted.

    """
    drawn = words(b"s0", "init0", 4).tolist()
    if drawn != [0x4CEA4B72, 0x9DEE5A96, 0x96A260B5, 0x41641344]:
        raise EvaluatorUnavailableError("random words differ from the published ones")
    if epoch_order(b"s0", 0, 10).tolist() != [1, 5, 8, 3, 9, 6, 0, 7, 2, 4]:
        raise EvaluatorUnavailableError("the order of samples differs from the published one")
    for text, expected in STEP_VECTORS.items():
        state = trained_steps(NumpyNetwork(parse_program(text), blas=False))
        if vector_hash(state.masters) != expected:
            raise EvaluatorUnavailableError(f"three training steps differ from the published model: {text}")


def check_kernel(network: Network) -> None:
    """
    Compare the operations that no program changes with int64 arithmetic.

    Raises
    ------
    SelfTestError
        Names the first operation that is not exact.

    """
    referee = NumpyNetwork(network.program, blas=False)
    _check_products(network, referee)
    _check_rounding(network)
    ties = np.array([[3, 7, 7, 0, 7], [2, 2, 2, 2, 2]])
    _compare("first maximum", network, referee, _first_maximum, ties, wide=False)
    _check_pooled(network, referee)
    divisors = np.array([2 * 65536, 2 * 65537, 2 * 256 * 65536])
    below = np.array([1, 2, (1 << 23) - 1])[:, None] * divisors - 1
    every = np.broadcast_to(divisors, below.shape)
    _compare("division", network, referee, _quotient, below, every, wide=True)


def check_program(network: Network) -> None:
    """
    Compare the program's own products and three training steps with int64 arithmetic.

    Raises
    ------
    SelfTestError
        Names the first operation that is not exact.

    """
    referee = NumpyNetwork(network.program, blas=False)
    for draw in (np.full, lambda shape, size: _signs("program", shape, size)):
        for plan in network.program.plans:
            if plan.weights is not None:
                LayerCheck(network, referee, plan, plan.weights, draw).run()
    if not trained_steps(network).same(trained_steps(referee)):
        raise SelfTestError("three training steps differ")


def trained_steps(network: Network) -> State:
    """State after three steps with batches of two (one, if two have too many positions) drawn samples."""
    program = network.program
    batch_log2 = int(all(2 * plan.positions <= MAX_GRADIENT_TERMS for plan in program.weights))
    size = 1 << batch_log2
    batches = []
    for step in range(_STEPS):
        samples = uniform_integers(_SEED, f"samples{step}", size * program.sample_size, ACTIVATION_MAX)
        labels = words(_SEED, f"labels{step}", size) % program.classes
        batches.append((samples.astype(np.int8).reshape(size, -1), labels.astype(np.uint8)))
    start = at_rest(initial_masters(program, _SEED))
    return network.train_epoch(start, batches, update_shifts(program, batch_log2, _RATE_SHIFT))


def _signs(tag: str, shape: tuple[int, ...], size: int) -> NDArray[np.int64]:
    """Operands of absolute value `size` with drawn signs."""
    drawn = words(_SEED, tag, int(np.prod(shape))).astype(np.int64)
    return ((drawn >> 31) * 2 - 1).reshape(shape) * size


def _compare(
    what: str,
    network: Network,
    referee: Network,
    function: Expression,
    *operands: NDArray[np.int64],
    wide: bool,
) -> None:
    found = network.apply(function, *operands, wide=wide)
    if not np.array_equal(found, referee.apply(function, *operands, wide=wide)):
        raise SelfTestError(f"{what} is not exact")


def _check_products(network: Network, referee: Network) -> None:
    """Forward, backward and gradient products at their largest, with equal and with drawn signs."""
    terms = CALL_POSITIONS
    shapes: tuple[tuple[str, Expression, tuple[int, int], tuple[int, int], int], ...] = (
        ("forward product", _product, (16, MAX_SMALL_TERMS), (MAX_SMALL_TERMS, 16), ACTIVATION_MAX),
        ("input error", input_error, (4, terms), (4, terms), ERROR_MAX),
        ("gradient", gradient, (terms, 4), (terms, 4), ERROR_MAX),
    )
    for what, function, left, right, largest in shapes:
        wide = largest == ERROR_MAX
        top = np.full(left, largest), np.full(right, ACTIVATION_MAX)
        _compare(what, network, referee, function, *top, wide=wide)
        drawn = _signs("left", left, largest), _signs("right", right, ACTIVATION_MAX)
        _compare(what, network, referee, function, *drawn, wide=wide)


def _check_pooled(network: Network, referee: Network) -> None:
    """Errors behind a max pool: windows with ties, and one of three errors 0."""
    drawn = [words(_SEED, tag, 4 * 6 * 8 * 5).astype(np.int64) for tag in ("images", "sums", "errors")]
    images = drawn[0].reshape(4, 6, 8, 5) % (ACTIVATION_MAX + 1)
    sums = drawn[1].reshape(4, 6, 8, 5) % 4
    errors = (drawn[2][: sums.size // 4].reshape(4, 3, 4, 5) % 3 - 1) * ERROR_MAX
    kernel = _signs("kernel", (3, 3, 5, 5), ACTIVATION_MAX)
    _compare("pooled error", network, referee, _pooled, images, sums, errors, kernel, wide=True)


def _pooled(ops: Ops, images: Tensor, sums: Tensor, errors: Tensor, kernel: Tensor) -> Tensor:
    sums = ops.small(sums)
    pooled = ops.pooled_errors(sums, ops.max_pool(sums, 2), errors, 2)
    gradient = ops.convolution_gradient(ops.small(images), pooled, (3, 3))
    found = gradient, ops.convolution_error(pooled, kernel)
    return ops.concat([ops.reshape(part, (-1,)) for part in found], 0)


def _product(ops: Ops, left: Tensor, right: Tensor) -> Tensor:
    return ops.matmul(left, right)


def _first_maximum(ops: Ops, values: Tensor) -> Tensor:
    return ops.where(ops.first(values == ops.max(values, 1), 1), values, -1)


def _quotient(ops: Ops, numerators: Tensor, denominators: Tensor) -> Tensor:
    return ops.floor_divide(numerators, denominators)


def _check_rounding(network: Network) -> None:
    """Round at the bounds and at halves, for forward sums in one piece and in several, and for gradients."""
    top = MAX_SMALL_TERMS * ACTIVATION_MAX**2 + BIAS_INPUT * ACTIVATION_MAX
    _check_shifts(network, range(15), top, wide=False)
    top = MAX_FAN_IN * ACTIVATION_MAX**2 + BIAS_INPUT * ACTIVATION_MAX
    _check_shifts(network, range(16), top, wide=True)
    top = MAX_GRADIENT_TERMS * ACTIVATION_MAX * ERROR_MAX
    _check_shifts(network, range(MIN_UPDATE_SHIFT, MAX_UPDATE_SHIFT + 1), top, wide=True, operand=True)


def _check_shifts(network: Network, shifts: range, top: int, *, wide: bool, operand: bool = False) -> None:
    halves = [
        factor << shift >> 1 for shift in shifts if 0 < shift < top.bit_length() - 1 for factor in (1, 3)
    ]
    values = [0, top, *(half + offset for half in halves for offset in (-1, 0, 1) if half + offset <= top)]
    values += [-value for value in values]

    def rounded(ops: Ops, operands: Tensor) -> Tensor:
        rows = [ops.round_shift(operands, ops.shift_operand(shift) if operand else shift) for shift in shifts]
        return ops.concat(rows, 0)

    def fused(ops: Ops, operands: Tensor) -> Tensor:
        return ops.fuse(lambda values: rounded(ops, values))(operands)

    found = network.apply(fused, np.array(values, dtype=np.int64), wide=wide)
    if found.tolist() != [round_shift(value, shift) for shift in shifts for value in values]:
        raise SelfTestError("rounding is not exact")
