"""A layer program: the whole description of a network, and its canonical bytes."""

from __future__ import annotations

import struct
from dataclasses import dataclass, field
from math import prod
from typing import Final

from podl_tools.arithmetic import ARITHMETIC_VERSION
from podl_tools.errors import ProgramError
from podl_tools.program.layer import Layer, LayerKind, naming_layer
from podl_tools.program.plan import MAX_DIMENSIONS, LayerPlan, Shape, WeightPlan, plan_layers

_LAYER: Final = struct.Struct("<BBHB3s")
_ZEROS: Final = bytes(3)


@dataclass(frozen=True)
class Program:
    """
    A network that is proven to stay exact; no other can be built.

    Parameters
    ----------
    dims
        Shape of one sample: (H, W, C), (T, D) or (N,). Samples are re-read in C order.
    layers
        First to last; the last is the output layer.

    Raises
    ------
    ProgramError
        `podl-model-range`; the message names the layer and the bound.

    """

    dims: Shape
    layers: tuple[Layer, ...]
    plans: tuple[LayerPlan, ...] = field(init=False, compare=False, repr=False)

    def __post_init__(self) -> None:
        """Derive the plans, which proves the bounds."""
        object.__setattr__(self, "plans", plan_layers(self.dims, self.layers))

    @property
    def weights(self) -> tuple[WeightPlan, ...]:
        """The matrices, in the order of the model's bytes."""
        return tuple(plan.weights for plan in self.plans if plan.weights is not None)

    @property
    def n_params(self) -> int:
        """Weights of the model, biases included."""
        return sum(weights.n_params for weights in self.weights)

    @property
    def macs(self) -> int:
        """Multiply-adds of one sample's forward pass, bias rows counted."""
        return sum(weights.macs for weights in self.weights)

    @property
    def sample_size(self) -> int:
        """Values in one sample."""
        return prod(self.dims)

    @property
    def classes(self) -> int:
        """Number of classes."""
        return self.layers[-1].units

    def serialize(self) -> bytes:
        """
        Canonical bytes (arithmetic.md 1.8).

        u8 version, u8 ndim, ndim u16 dimensions, u8 layers, then 8 bytes per layer: u8 kind, u8 kernel or
        pool size, u16 units, u8 gain, 3 zero bytes. Little-endian.
        """
        head = struct.pack(
            f"<BB{len(self.dims)}HB", ARITHMETIC_VERSION, len(self.dims), *self.dims, len(self.layers)
        )
        rows = (_LAYER.pack(row.kind, row.size, row.units, row.gain, _ZEROS) for row in self.layers)
        return head + b"".join(rows)

    @classmethod
    def parse(cls, data: bytes) -> Program:
        """
        Read the one canonical encoding.

        Raises
        ------
        ProgramError
            Anything that `serialize` would not have written: other version, unknown kind, nonzero unused
            byte, missing or trailing bytes, or a program outside the proven bounds.

        """
        if len(data) < 2 or data[0] != ARITHMETIC_VERSION:  # noqa: PLR2004  version and ndim
            raise ProgramError(
                f"program: version byte must be {ARITHMETIC_VERSION}, received {data[:1].hex()!r}"
            )
        ndim = data[1]
        if not 1 <= ndim <= MAX_DIMENSIONS:
            raise ProgramError(f"program: a sample has 1..{MAX_DIMENSIONS} dimensions, received {ndim}")
        start = 2 + 2 * ndim + 1
        if len(data) < start:
            raise ProgramError(f"program: header needs {start} bytes, received {len(data)}")
        *dims, n_layers = struct.unpack_from(f"<{ndim}HB", data, 2)
        expected = start + n_layers * _LAYER.size
        if len(data) != expected:
            raise ProgramError(f"program: {n_layers} layers need {expected} bytes, received {len(data)}")
        rows = enumerate(_LAYER.iter_unpack(data[start:]))
        return cls(tuple(dims), tuple(_parse_layer(position, row) for position, row in rows))


def _parse_layer(position: int, row: tuple[int, int, int, int, bytes]) -> Layer:
    kind, size, units, gain, zeros = row
    with naming_layer(position, f"layer {position}"):
        if kind not in set(LayerKind):
            raise ProgramError(f"unknown kind {kind}")
        if zeros != _ZEROS:
            raise ProgramError("unused bytes must be zero")
        return Layer(LayerKind(kind), size, units, gain)
