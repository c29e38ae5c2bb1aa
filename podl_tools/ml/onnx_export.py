"""
A model as an ONNX graph that computes the evaluator's very integers.

Input `samples`: float32 (n, *dims), integers -127..127. Outputs `logits`: int32 (n, classes), and `class`:
int64 (n,), the lowest index of the largest logit. Inside, integers live in float32 where every sum is proven
to stay within 2**24, else in float64; so any order of summation gives the same. Between layers values are
channels-last, as in the layer program.
"""

from __future__ import annotations

from math import prod
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from onnx import checker, helper

from podl_tools.arithmetic import ACTIVATION_MAX, ARITHMETIC_VERSION, BIAS_INPUT, STATE_MAX
from podl_tools.errors import ProgramError
from podl_tools.ml.exactness import exact_terms, fits_float32
from podl_tools.ml.onnx_graph import FLOAT32, FLOAT64, INT32, INT64, GraphBuilder
from podl_tools.program import LayerKind, format_program

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

    from podl_tools.program import LayerPlan, Program, WeightPlan

__all__ = ["export_onnx"]

_OPSET: Final = 17
_IR_VERSION: Final = 8  # what runtimes of that operator set read
_FLOATS: Final = {FLOAT32: np.float32, FLOAT64: np.float64}


def export_onnx(program: Program, matrices: Sequence[NDArray[np.int8]], weights_root: bytes) -> bytes:
    """
    Write a model as ONNX.

    Parameters
    ----------
    program
        The layer program.
    matrices
        (rows, columns) of every layer with weights.
    weights_root
        Kept in the file's metadata, beside the program as text and the version of the arithmetic.

    Returns
    -------
    bytes
        The file.

    Raises
    ------
    ProgramError
        Names a layer that cannot be exported.

    """
    builder = GraphBuilder()
    value, left = "samples", iter(matrices)
    for position, plan in enumerate(program.plans):
        matrix = next(left) if plan.weights is not None else np.zeros((1, 0), np.int8)
        try:
            value = _LAYERS[plan.layer.kind](builder, plan, matrix, value)
        except ProgramError as error:
            name = f"layer {position} ({plan.layer.describe()})"
            raise ProgramError(f"{name}: {error}", layer=position) from None
    builder.add("Cast", value, outputs=["logits"], to=INT32)
    builder.add("ArgMax", "logits", outputs=["class"], axis=1, keepdims=0)
    graph = builder.graph(
        "podl",
        [helper.make_tensor_value_info("samples", FLOAT32, ["n", *program.dims])],
        [
            helper.make_tensor_value_info("logits", INT32, ["n", program.classes]),
            helper.make_tensor_value_info("class", INT64, ["n"]),
        ],
    )
    made = helper.make_model(
        graph,
        opset_imports=[helper.make_opsetid("", _OPSET)],
        ir_version=_IR_VERSION,
        producer_name="podl",
    )
    metadata = {
        "podl.program": format_program(program),
        "podl.weights_root": weights_root.hex(),
        "podl.arithmetic": str(ARITHMETIC_VERSION),
    }
    helper.set_model_props(made, metadata)
    checker.check_model(made, full_check=True)
    return bytes(made.SerializeToString())


def _planned(plan: LayerPlan) -> tuple[WeightPlan, int]:
    """Matrix of a layer with weights, and the type that holds its sums."""
    if plan.weights is None:
        raise TypeError(f"{plan.layer.describe()} has no weights")
    return plan.weights, FLOAT32 if fits_float32(plan.weights) else FLOAT64


def _add_bias(builder: GraphBuilder, product: str, matrix: NDArray[np.int8], kind: int) -> str:
    return builder.add("Add", product, builder.constant(BIAS_INPUT * matrix[-1].astype(_FLOATS[kind])))


def _product(
    builder: GraphBuilder,
    plan: LayerPlan,
    operator: str,
    value: str,
    weights: NDArray[np.int8],
    **attributes: Any,
) -> str:
    """
    Multiply a value by weights, with a matrix product or a convolution.

    A sum too long for float32 is cut in pieces along the input's channels, which are added as float64:
    runtimes have no float64 convolution.

    Parameters
    ----------
    builder, plan
        Where, and for which layer.
    operator
        `MatMul`, with weights (channels, columns); or `Conv`, with weights (columns, channels, ...).
    value
        Its last axis is the channels, of a convolution the second.
    weights
        All of them, or those of some channels alone.
    attributes
        Of the operator.

    """
    planned, kind = _planned(plan)
    if kind == FLOAT32:
        return builder.add(operator, value, builder.constant(weights.astype(np.float32)), **attributes)
    axis = 1 if operator == "Conv" else 0
    channels, taps = weights.shape[axis], prod(weights.shape[2:])
    step = exact_terms(planned) // taps
    if step == 0:
        raise ProgramError("one channel of this kernel is too long a sum for float32, it cannot be exported")
    parts = []
    for start in range(0, channels, step):
        end = min(start + step, channels)
        limits = (builder.constant(np.array([at], np.int64)) for at in (start, end, axis or -1))
        part = builder.constant(weights.take(range(start, end), axis).astype(np.float32))
        found = builder.add(operator, builder.add("Slice", value, *limits), part, **attributes)
        parts.append(builder.cast(found, FLOAT64))
    return builder.add("Sum", *parts)


def _relu(builder: GraphBuilder, plan: LayerPlan, accumulated: str) -> str:
    matrix, kind = _planned(plan)
    found = builder.round_clip(accumulated, matrix.scale, 0, ACTIVATION_MAX, kind)
    return builder.cast(found, FLOAT32) if kind == FLOAT64 else found


def _output(builder: GraphBuilder, plan: LayerPlan, matrix: NDArray[np.int8], value: str) -> str:
    _, kind = _planned(plan)
    return _add_bias(builder, _product(builder, plan, "MatMul", value, matrix[:-1]), matrix, kind)


def _dense(builder: GraphBuilder, plan: LayerPlan, matrix: NDArray[np.int8], value: str) -> str:
    return _relu(builder, plan, _output(builder, plan, matrix, value))


def _channels_first(builder: GraphBuilder, plan: LayerPlan, value: str) -> str:
    rank = len(plan.in_shape)
    return builder.add("Transpose", value, perm=[0, rank, *range(1, rank)])


def _channels_last(builder: GraphBuilder, plan: LayerPlan, value: str) -> str:
    rank = len(plan.in_shape)
    return builder.add("Transpose", value, perm=[0, *range(2, rank + 1), 1])


def _convolution(builder: GraphBuilder, plan: LayerPlan, matrix: NDArray[np.int8], value: str) -> str:
    planned, kind = _planned(plan)
    spatial, side = len(plan.in_shape) - 1, plan.layer.size
    kernel = matrix[:-1].reshape(*[side] * spatial, plan.in_shape[-1], planned.columns)
    filters = np.moveaxis(kernel, (-1, -2), (0, 1))
    images = _channels_first(builder, plan, value)
    padding = [side // 2] * 2 * spatial
    product = _product(builder, plan, "Conv", images, filters, kernel_shape=[side] * spatial, pads=padding)
    accumulated = _add_bias(builder, _channels_last(builder, plan, product), matrix, kind)
    return _relu(builder, plan, accumulated)


def _pool(builder: GraphBuilder, plan: LayerPlan, operator: str, value: str) -> str:
    side = [plan.layer.size] * (len(plan.in_shape) - 1)
    images = _channels_first(builder, plan, value)
    return _channels_last(builder, plan, builder.add(operator, images, kernel_shape=side, strides=side))


def _maxpool(builder: GraphBuilder, plan: LayerPlan, _: NDArray[np.int8], value: str) -> str:
    return _pool(builder, plan, "MaxPool", value)


def _avgpool(builder: GraphBuilder, plan: LayerPlan, _: NDArray[np.int8], value: str) -> str:
    """Compute `clip(Rnd(sum, bits - p), 0, 127)`: the mean is the sum over a power of two, an exact float."""
    mean = _pool(builder, plan, "AveragePool", value)
    total = builder.add("Mul", mean, builder.scalar(2.0**plan.layer.window_bits, FLOAT32))
    return builder.round_clip(total, plan.layer.shift, 0, ACTIVATION_MAX, FLOAT32)


def _flatten(builder: GraphBuilder, _plan: LayerPlan, _: NDArray[np.int8], value: str) -> str:
    return builder.add("Flatten", value, axis=1)


def _recurrent(builder: GraphBuilder, plan: LayerPlan, matrix: NDArray[np.int8], value: str) -> str:
    """Run a cell over the time steps; the input part of all steps is one product."""
    _, kind = _planned(plan)
    features, units = plan.in_shape[1], plan.layer.units
    inputs = builder.add("Transpose", value, perm=[1, 0, 2])
    parts = _add_bias(builder, _product(builder, plan, "MatMul", inputs, matrix[:features]), matrix, kind)
    batch = builder.add("Shape", value, start=0, end=1)
    shape = builder.add("Concat", batch, builder.constant(np.array([units], np.int64)), axis=0)
    zero = helper.make_tensor("zero", FLOAT32, [1], [0.0])
    start = builder.add("ConstantOfShape", shape, value=zero)
    body = _cell(plan, matrix[features:-1], f"{start}_")
    last, states = f"{start}_last", f"{start}_states"
    builder.add("Scan", start, parts, outputs=[last, states], body=body, num_scan_inputs=1)
    keeps_sequence = len(plan.out_shape) > 1
    return builder.add("Transpose", states, perm=[1, 0, 2]) if keeps_sequence else last


def _cell(plan: LayerPlan, recurrent: NDArray[np.int8], prefix: str) -> Any:
    """One time step: the state before, and the step's input part, to the state behind, twice."""
    planned, kind = _planned(plan)
    builder = GraphBuilder(prefix)
    state, part = f"{prefix}state", f"{prefix}part"
    total = builder.add("Add", part, _product(builder, plan, "MatMul", state, recurrent))
    step = _rnn_step if plan.layer.kind is LayerKind.RNN else _mgru_step
    following = step(builder, plan, total, state)
    copied = builder.add("Identity", following)
    units = plan.layer.units
    return builder.graph(
        f"{prefix}step",
        [
            helper.make_tensor_value_info(state, FLOAT32, ["n", units]),
            helper.make_tensor_value_info(part, kind, ["n", planned.columns]),
        ],
        [helper.make_tensor_value_info(name, FLOAT32, ["n", units]) for name in (following, copied)],
    )


def _rnn_step(builder: GraphBuilder, plan: LayerPlan, total: str, _state: str) -> str:
    planned, kind = _planned(plan)
    found = builder.round_clip(total, planned.scale, -STATE_MAX, STATE_MAX, kind)
    return builder.cast(found, FLOAT32)


def _mgru_step(builder: GraphBuilder, plan: LayerPlan, total: str, state: str) -> str:
    planned, kind = _planned(plan)
    halves = builder.constant(np.array([plan.layer.units] * 2, np.int64))
    for_gate, for_candidate = f"{total}_gate", f"{total}_candidate"
    builder.add("Split", total, halves, outputs=[for_gate, for_candidate], axis=1)
    rounded = builder.round_shift(for_gate, planned.scale + 2, kind)
    moved = builder.add("Add", rounded, builder.scalar(STATE_MAX // 2, kind))
    gate = builder.cast(builder.clip(moved, 0, STATE_MAX, kind), FLOAT32)
    found = builder.round_clip(for_candidate, planned.scale, -STATE_MAX, STATE_MAX, kind)
    candidate = builder.cast(found, FLOAT32)
    change = builder.add("Mul", gate, builder.add("Sub", candidate, state))
    return builder.add("Add", state, builder.round_shift(change, 6, FLOAT32))


_LAYERS: Final[dict[LayerKind, Callable[[GraphBuilder, LayerPlan, NDArray[np.int8], str], str]]] = {
    LayerKind.DENSE: _dense,
    LayerKind.CONV2D: _convolution,
    LayerKind.CONV1D: _convolution,
    LayerKind.MAXPOOL: _maxpool,
    LayerKind.AVGPOOL: _avgpool,
    LayerKind.FLATTEN: _flatten,
    LayerKind.RNN: _recurrent,
    LayerKind.MGRU: _recurrent,
    LayerKind.OUTPUT: _output,
}
