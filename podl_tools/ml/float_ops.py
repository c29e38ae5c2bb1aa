"""
What the backends that hold integers in floats share: kernels and rounding.

Forward values fit float32 (sums of at most 2**24), errors and weights in training float64 (at most 2**53);
the layer program proves both, so any order of summation, thread count or fused multiply-add gives the same
integers.
"""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass
from typing import Final

from podl_tools.ml.ops import Ops, Tensor


@dataclass(frozen=True)
class Kernel:
    """
    How products are computed.

    Parameters
    ----------
    name
        For reports.
    small
        Float type of forward operands.
    native_convolution
        Use the framework's convolution. A Winograd or Fourier algorithm is not exact, and on a GPU the choice
        may change with the shape: for CPUs only, and for those that pass the self-test.
    xla
        Compile each graph as a whole with XLA. JAX always does.
    sparse_errors
        Compute errors and gradients of convolutions by `podl_tools.ml.sparse`.
    fused
        Compile with XLA what works element by element on weights, in graphs that are not compiled as a whole.

    """

    name: str
    small: str
    native_convolution: bool
    xla: bool
    sparse_errors: bool = False
    fused: bool = False


XLA: Final = Kernel("float32, patches, XLA", "float32", native_convolution=False, xla=True)
XLA_FLOAT64: Final = Kernel("float64, patches, XLA", "float64", native_convolution=False, xla=True)
XLA_NATIVE: Final = Kernel("float32, native convolution, XLA", "float32", native_convolution=True, xla=True)
SPARSE: Final = Kernel(
    "float32, native convolution, sparse errors",
    "float32",
    native_convolution=True,
    xla=False,
    sparse_errors=True,
    fused=True,
)
NATIVE: Final = Kernel(
    "float32, native convolution", "float32", native_convolution=True, xla=False, fused=True
)
PATCHES: Final = Kernel("float32, patches", "float32", native_convolution=False, xla=False)
FLOAT64: Final = Kernel("float64, patches", "float64", native_convolution=False, xla=False)


class FloatOps(Ops):
    """
    Operations on integers in floats.

    Parameters
    ----------
    kernel
        How products are computed.

    """

    def __init__(self, kernel: Kernel) -> None:
        self._kernel = kernel

    @abstractmethod
    def floor(self, values: Tensor) -> Tensor:
        """Largest integers that are not above `values`."""

    def round_shift(self, values: Tensor, shift: Tensor | int) -> Tensor:
        """
        `floor(values * 2**-shift + 1/2)`.

        The scaling is exact. So is the floor of a forward sum: with the half it has at most 24 bits. For an
        operand R and abs(G) < 2**52: for 0 < R <= 53 the sum has at most 53 bits; for R > 53 it lies in
        (1/4, 3/4), rounded or not; for R <= 0 the scaled value is an integer below 2**52 or an even one, to
        which a tie rounds back.
        """
        if not isinstance(shift, int):
            return self.floor(values * shift + 0.5)
        if shift <= 0:  # an odd float32 above 2**23 has no room for the half unit
            return values * 2.0**-shift
        return self.floor(values * 2.0**-shift + 0.5)
