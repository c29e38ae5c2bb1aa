"""One layer of a program: its kind and the three numbers it may carry."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass
from enum import IntEnum
from typing import TYPE_CHECKING

from podl_tools.errors import ProgramError

if TYPE_CHECKING:
    from collections.abc import Iterator

_UINT8_MAX = 0xFF
_UINT16_MAX = 0xFFFF


class LayerKind(IntEnum):
    """Kind of a layer, as its byte in a layer program (arithmetic.md 1.8)."""

    DENSE = 1
    CONV2D = 2
    CONV1D = 3
    MAXPOOL = 4
    AVGPOOL = 5
    FLATTEN = 6
    RNN = 7
    MGRU = 8
    OUTPUT = 9

    @property
    def label(self) -> str:
        """Name in configuration files and messages."""
        return self.name.lower()


CONVOLUTIONS = frozenset({LayerKind.CONV2D, LayerKind.CONV1D})
POOLS = frozenset({LayerKind.MAXPOOL, LayerKind.AVGPOOL})
RECURRENT = frozenset({LayerKind.RNN, LayerKind.MGRU})
WEIGHTED = CONVOLUTIONS | RECURRENT | {LayerKind.DENSE, LayerKind.OUTPUT}


@contextmanager
def naming_layer(position: int, name: str) -> Iterator[None]:
    """Put the layer's name before the message of every ProgramError raised inside."""
    try:
        yield
    except ProgramError as error:
        raise ProgramError(f"{name}: {error}", layer=position) from None


@dataclass(frozen=True)
class Layer:
    """
    One layer.

    Parameters
    ----------
    kind
        What the layer computes.
    size
        Side of the convolution kernel (odd) or of the pooling window (2 or more); zero for other kinds.
    units
        Outputs per position; zero for pools and flatten.
    gain
        Average pool only: the result is multiplied by 2**gain.

    Raises
    ------
    ProgramError
        A number out of range, or one that this kind does not use and that is not zero.

    """

    kind: LayerKind
    size: int = 0
    units: int = 0
    gain: int = 0

    def __post_init__(self) -> None:
        """Check the numbers."""
        uses_size = self.kind in CONVOLUTIONS or self.kind in POOLS
        self._check("size", self.size, _UINT8_MAX, used=uses_size)
        self._check("units", self.units, _UINT16_MAX, used=self.kind in WEIGHTED)
        if self.kind is not LayerKind.AVGPOOL:
            self._check("gain", self.gain, _UINT8_MAX, used=False)
        if self.kind in CONVOLUTIONS and self.size % 2 == 0:
            raise ProgramError(f"{self.kind.label}: kernel size must be odd, received {self.size}")
        if self.kind in POOLS and self.size < 2:  # noqa: PLR2004  a pool of one cell does nothing
            raise ProgramError(f"{self.kind.label}: pool size must be 2 or more, received {self.size}")
        if self.kind is LayerKind.AVGPOOL:
            self._check_average()

    def _check(self, name: str, value: int, top: int, *, used: bool) -> None:
        if used and not 1 <= value <= top:
            raise ProgramError(f"{self.kind.label}: {name} must be 1..{top}, received {value}")
        if not used and value != 0:
            raise ProgramError(f"{self.kind.label}: unused {name} must be zero, received {value}")

    def _check_average(self) -> None:
        if self.size & (self.size - 1):
            raise ProgramError(f"avgpool: pool size must be a power of two, received {self.size}")
        if not 0 <= self.gain <= self.window_bits:
            raise ProgramError(f"avgpool: gain must be 0..{self.window_bits}, received {self.gain}")

    @property
    def kernel(self) -> tuple[int, int]:
        """Rows and columns of a convolution's kernel; a sequence is an image of one row."""
        return (1 if self.kind is LayerKind.CONV1D else self.size, self.size)

    @property
    def window_bits(self) -> int:
        """Base-2 logarithm of the number of cells in an average pool's window."""
        return 2 * (self.size.bit_length() - 1)

    @property
    def shift(self) -> int:
        """Bits by which an average pool scales its sum down, and the error scale up."""
        return self.window_bits - self.gain

    def describe(self) -> str:
        """Return the text form, such as `conv2d 3x3x16`, `avgpool 8 gain 3` or `flatten`."""
        match self.kind:
            case LayerKind.CONV2D:
                return f"conv2d {self.size}x{self.size}x{self.units}"
            case LayerKind.CONV1D:
                return f"conv1d {self.size}x{self.units}"
            case LayerKind.MAXPOOL | LayerKind.AVGPOOL:
                gain = f" gain {self.gain}" if self.gain else ""
                return f"{self.kind.label} {self.size}{gain}"
            case LayerKind.FLATTEN:
                return "flatten"
            case _:
                return f"{self.kind.label} {self.units}"
