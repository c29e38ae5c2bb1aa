"""
A model as a Keras model that computes the evaluator's very integers.

Input: float32 (n, *dims), integers -127..127. Output: the logits, int32 (n, classes); the class is the lowest
index of the largest. Everything but recurrent cells is made of Keras' own layers and operations. Layers
compute in float32 where every sum is proven to stay within 2**24, else in float64.
"""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING, Any, Final

import keras
import numpy as np

from podl_tools.arithmetic import ACTIVATION_MAX, BIAS_INPUT
from podl_tools.ml.exactness import fits_float32
from podl_tools.ml.keras_cells import ExactCell, ops, round_shift
from podl_tools.program import LayerKind

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from podl_tools.program import LayerPlan, Program, WeightPlan

    Layers = Callable[[LayerPlan, NDArray[np.int8], Any], Any]


__all__ = ["build_keras", "save_keras"]


def save_keras(program: Program, matrices: Sequence[NDArray[np.int8]], path: Path) -> None:
    """
    Write a model as a `.keras` file, whole or not at all.

    Parameters
    ----------
    program, matrices
        As for `build_keras`.
    path
        Ends in `.keras`, which Keras insists on.

    Raises
    ------
    OSError
        It cannot be written.

    """
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(4)}.keras")
    try:
        build_keras(program, matrices).save(temporary)
        temporary.replace(path)
    except OSError as error:
        error.filename = str(path)  # the one that was asked for
        raise
    finally:
        temporary.unlink(missing_ok=True)


def build_keras(program: Program, matrices: Sequence[NDArray[np.int8]]) -> Any:
    """
    Build a functional `keras.Model`.

    Parameters
    ----------
    program
        The layer program.
    matrices
        (rows, columns) of every layer with weights.

    """
    samples = keras.Input(program.dims, dtype="float32", name="samples")
    value, left = samples, iter(matrices)
    for plan in program.plans:
        matrix = next(left) if plan.weights is not None else np.zeros((1, 0), np.int8)
        value = _LAYERS[plan.layer.kind](plan, matrix, value)
    return keras.Model(samples, ops.cast(value, "int32"), name="podl")


def _planned(plan: LayerPlan) -> tuple[WeightPlan, str]:
    """Matrix of a layer with weights, and the type that holds its sums."""
    if plan.weights is None:
        raise TypeError(f"{plan.layer.describe()} has no weights")
    return plan.weights, "float32" if fits_float32(plan.weights) else "float64"


def _call(layer: Any, value: Any, *weights: NDArray[Any]) -> Any:
    """Apply a new layer and give it its weights."""
    found = layer(value)
    layer.set_weights(list(weights))
    layer.trainable = False
    return found


def _bias(matrix: NDArray[np.int8]) -> NDArray[Any]:
    bias: NDArray[Any] = BIAS_INPUT * matrix[-1].astype(np.int64)
    return bias


def _relu(plan: LayerPlan, accumulated: Any) -> Any:
    matrix, _ = _planned(plan)
    return ops.clip(round_shift(accumulated, matrix.scale), 0, ACTIVATION_MAX)


def _output(plan: LayerPlan, matrix: NDArray[np.int8], value: Any) -> Any:
    planned, kind = _planned(plan)
    return _call(keras.layers.Dense(planned.columns, dtype=kind), value, matrix[:-1], _bias(matrix))


def _dense(plan: LayerPlan, matrix: NDArray[np.int8], value: Any) -> Any:
    return _relu(plan, _output(plan, matrix, value))


def _convolution(plan: LayerPlan, matrix: NDArray[np.int8], value: Any) -> Any:
    planned, kind = _planned(plan)
    side, channels = plan.layer.size, plan.in_shape[-1]
    make = keras.layers.Conv2D if plan.layer.kind is LayerKind.CONV2D else keras.layers.Conv1D
    layer = make(planned.columns, side, padding="same", dtype=kind)
    kernel = matrix[:-1].reshape(*[side] * (len(plan.in_shape) - 1), channels, planned.columns)
    return _relu(plan, _call(layer, value, kernel, _bias(matrix)))


def _maxpool(plan: LayerPlan, _: NDArray[np.int8], value: Any) -> Any:
    return keras.layers.MaxPooling2D(plan.layer.size, dtype="float32")(value)


def _avgpool(plan: LayerPlan, _: NDArray[np.int8], value: Any) -> Any:
    """Compute `clip(Rnd(sum, bits - p), 0, 127)`: the mean is the sum over a power of two, an exact float."""
    mean = keras.layers.AveragePooling2D(plan.layer.size, dtype="float32")(value)
    total = mean * 2.0**plan.layer.window_bits
    return ops.clip(round_shift(total, plan.layer.shift), 0, ACTIVATION_MAX)


def _flatten(_plan: LayerPlan, _: NDArray[np.int8], value: Any) -> Any:
    return keras.layers.Flatten(dtype="float32")(value)


def _recurrent(plan: LayerPlan, matrix: NDArray[np.int8], value: Any) -> Any:
    planned, kind = _planned(plan)
    features, keeps_sequence = plan.in_shape[1], len(plan.out_shape) > 1
    cell = ExactCell(plan.layer.kind.label, plan.layer.units, planned.scale, dtype=kind)
    layer = keras.layers.RNN(cell, return_sequences=keeps_sequence, dtype=kind)
    return _call(layer, value, matrix[:features], matrix[features:-1], _bias(matrix))


_LAYERS: Final[dict[LayerKind, Layers]] = {
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
