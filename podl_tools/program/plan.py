"""
Everything that follows from a layer program: shapes, scales, sizes, and the proof that it stays exact.

A program that passes `plan_layers` keeps every operation of a forward and backward pass inside its container
(arithmetic.md section 2). Only the batch size and the learning rate remain to be checked before a
training: `podl_tools.program.bounds`.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import isqrt, prod
from typing import TYPE_CHECKING, Final

from podl_tools.arithmetic import ERROR_BITS
from podl_tools.errors import ProgramError
from podl_tools.program.layer import CONVOLUTIONS, POOLS, RECURRENT, WEIGHTED, Layer, LayerKind, naming_layer

if TYPE_CHECKING:
    from collections.abc import Sequence

Shape = tuple[int, ...]

# terms*127*127 + 64*127 + 2**(f+1) <= 2**24, f <= 9: a float32 sum of so many products is exact. Longer
# sums are cut in pieces of so many terms, which are added as float64.
MAX_SMALL_TERMS: Final = 1039
# fan_in*127*127 + 64*127 + 2**(f+1) < 2**31, f <= 13: the sum of one output fits an int32.
MAX_FAN_IN: Final = 1 << 17
# outputs*k*k*127*(2**23-1) <= 2**53: a float64 sum over the outputs, the error of an input, is exact.
MAX_BACKWARD_TERMS: Final = 1 << 23
# batch*positions*127*(2**23-1) < 2**52: a gradient is an exact float64 sum, its rounding exact for every R.
MAX_GRADIENT_TERMS: Final = 1 << 22
# positions*fan_in, the values that one sample's outputs read: the memory of a convolution's patches.
MAX_PATCH_VALUES: Final = 1 << 26
# No activation of one sample has more values: the work of a program then stays below 2**56 and fits 64 bits.
MAX_VALUES: Final = 1 << 24
# The protocol's cap on a model's weight bytes.
MAX_PARAMETERS: Final = 1 << 24
MAX_DIMENSIONS: Final = 3
MIN_CLASSES: Final = 2
MAX_CLASSES: Final = 256
# First weights are drawn so that the largest is about 48 of 127.
_FIRST_WEIGHT_MAX: Final = 48


@dataclass(frozen=True)
class WeightPlan:
    """
    The one matrix of a layer with weights.

    Parameters
    ----------
    index
        Counts the layers that have weights, from 0; i of the tag `init<i>`.
    fan_in
        Rows without the bias row.
    columns
        Outputs per position (twice the units for a minimal gated cell).
    positions
        How often one sample multiplies by the matrix: pixels, time steps, or 1.
    gain
        g of the initialisation: 6 for ReLU layers, 3 for recurrent and output layers.

    """

    index: int
    fan_in: int
    columns: int
    positions: int
    gain: int

    @property
    def rows(self) -> int:
        """Rows of the matrix; the last one is the bias."""
        return self.fan_in + 1

    @property
    def n_params(self) -> int:
        """Weights in the matrix."""
        return self.rows * self.columns

    @property
    def split(self) -> bool:
        """Whether the sum of an output is too long for one float32 sum."""
        return self.fan_in > MAX_SMALL_TERMS

    @property
    def macs(self) -> int:
        """Multiply-adds of one sample's forward pass, the bias row counted."""
        return self.positions * self.n_params

    @property
    def scale(self) -> int:
        """Layer scale f: one unit of a weight is 2**-f (arithmetic.md 1.2)."""
        f = 0
        while isqrt(self.gain * 4 ** (f + 1) // self.fan_in) <= _FIRST_WEIGHT_MAX:
            f += 1
        return f

    @property
    def init_limit(self) -> int:
        """Lm: first master weights are uniform in -Lm..Lm."""
        return isqrt(self.gain * 4 ** (self.scale + 16) // self.fan_in)


@dataclass(frozen=True)
class LayerPlan:
    """
    One layer in its place.

    Parameters
    ----------
    layer
        The layer itself.
    in_shape, out_shape
        Shapes of one sample, without the batch.
    error_scale
        x: one unit of the error that arrives at this layer's output is 2**-x.
    weights
        The matrix, None for pools and flatten.

    """

    layer: Layer
    in_shape: Shape
    out_shape: Shape
    error_scale: int
    weights: WeightPlan | None


def plan_layers(dims: Shape, layers: Sequence[Layer]) -> tuple[LayerPlan, ...]:
    """
    Derive shapes and scales and prove the bounds.

    Parameters
    ----------
    dims
        Shape of one sample: (H, W, C), (T, D) or (N,).
    layers
        First to last.

    Raises
    ------
    ProgramError
        Names the layer and the bound.

    """
    _check_frame(dims, layers)
    shapes = [dims]
    weights: list[WeightPlan | None] = []
    for position, layer in enumerate(layers):
        with naming_layer(position, f"layer {position} ({layer.describe()})"):
            feeds_recurrent = position + 1 < len(layers) and layers[position + 1].kind in RECURRENT
            shapes.append(_out_shape(layer, shapes[-1], feeds_recurrent=feeds_recurrent))
            n_before = sum(plan is not None for plan in weights)
            weights.append(_weight_plan(n_before, layer, shapes[-2]))
            _check_values(shapes[-1])
    total = sum(plan.n_params for plan in weights if plan is not None)
    if total > MAX_PARAMETERS:
        raise ProgramError(f"program: {total} parameters exceed {MAX_PARAMETERS}")
    scales = _error_scales(layers)
    rows = zip(layers, shapes[:-1], shapes[1:], scales, weights, strict=True)
    return tuple(LayerPlan(*row) for row in rows)


def _check_frame(dims: Shape, layers: Sequence[Layer]) -> None:
    if not 1 <= len(dims) <= MAX_DIMENSIONS:
        raise ProgramError(f"program: a sample has 1..{MAX_DIMENSIONS} dimensions, received {len(dims)}")
    if any(not 1 <= size <= 0xFFFF for size in dims):  # noqa: PLR2004  u16 in the encoding
        raise ProgramError(f"program: every dimension must be 1..65535, received {dims}")
    _check_values(dims)
    if not 1 <= len(layers) <= 0xFF:  # noqa: PLR2004  u8 in the encoding
        raise ProgramError(f"program: 1..255 layers, received {len(layers)}")
    outputs = [layer.kind for layer in layers].count(LayerKind.OUTPUT)
    if layers[-1].kind is not LayerKind.OUTPUT or outputs != 1:
        raise ProgramError("program: the last layer, and only the last, is an output layer")


def _check_values(shape: Shape) -> None:
    if prod(shape) > MAX_VALUES:
        raise ProgramError(f"{prod(shape)} values exceed {MAX_VALUES}")


def _out_shape(layer: Layer, shape: Shape, *, feeds_recurrent: bool) -> Shape:
    kind = layer.kind
    if kind in RECURRENT or kind is LayerKind.CONV1D:
        _demand(shape, 2, "T,D")
        return (layer.units,) if kind in RECURRENT and not feeds_recurrent else (shape[0], layer.units)
    if kind in POOLS or kind is LayerKind.CONV2D:
        _demand(shape, 3, "H,W,C")
        height, width, channels = shape
        if kind is LayerKind.CONV2D:
            return (height, width, layer.units)
        if height % layer.size or width % layer.size:
            raise ProgramError(f"pool size must divide its input {height}x{width}")
        return (height // layer.size, width // layer.size, channels)
    if kind is LayerKind.FLATTEN:
        if len(shape) == 1:
            raise ProgramError("input is flat already")
        return (prod(shape),)
    _demand(shape, 1, "one dimension, flatten first")
    return (layer.units,)


def _demand(shape: Shape, dimensions: int, meaning: str) -> None:
    if len(shape) != dimensions:
        raise ProgramError(f"needs {dimensions} input dimensions ({meaning}), received {len(shape)}")


def _weight_plan(index: int, layer: Layer, shape: Shape) -> WeightPlan | None:
    kind, units = layer.kind, layer.units
    if kind not in WEIGHTED:
        return None
    positions, taps = 1, 1
    fan_in, columns = shape[-1], units
    if kind in CONVOLUTIONS:
        positions, taps = prod(shape[:-1]), prod(layer.kernel)
        fan_in *= taps
    elif kind in RECURRENT:
        positions = shape[0]
        fan_in += units
        columns *= 2 if kind is LayerKind.MGRU else 1
    elif kind is LayerKind.OUTPUT and not MIN_CLASSES <= units <= MAX_CLASSES:
        raise ProgramError(f"classes must be {MIN_CLASSES}..{MAX_CLASSES}")
    if fan_in > MAX_FAN_IN:
        raise ProgramError(f"fan_in {fan_in} exceeds {MAX_FAN_IN}")
    if positions > MAX_GRADIENT_TERMS:
        raise ProgramError(f"{positions} positions exceed {MAX_GRADIENT_TERMS}")
    if positions * fan_in > MAX_PATCH_VALUES:
        raise ProgramError(f"{positions} positions of fan_in {fan_in} exceed {MAX_PATCH_VALUES} values")
    if columns * taps > MAX_BACKWARD_TERMS:
        raise ProgramError(f"{columns * taps} terms of an input error exceed {MAX_BACKWARD_TERMS}")
    gain = 3 if kind in RECURRENT or kind is LayerKind.OUTPUT else 6
    return WeightPlan(index, fan_in, columns, positions, gain)


def _error_scales(layers: Sequence[Layer]) -> list[int]:
    """Walk from the loss down: an average pool refines the unit of the error instead of rounding it."""
    scales = []
    x = ERROR_BITS
    for layer in reversed(layers):
        scales.append(x)
        if layer.kind is LayerKind.AVGPOOL:
            x += layer.shift
    return scales[::-1]
