"""A graph of ONNX operators under construction: nodes and constants with names of their own."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import numpy as np
from onnx import TensorProto, helper, numpy_helper

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

__all__ = ["FLOAT32", "FLOAT64", "INT32", "INT64", "GraphBuilder"]

FLOAT32: Final = int(TensorProto.FLOAT)
FLOAT64: Final = int(TensorProto.DOUBLE)
INT32: Final = int(TensorProto.INT32)
INT64: Final = int(TensorProto.INT64)


class GraphBuilder:
    """
    Collects nodes and constants; a value is known by its name.

    Parameters
    ----------
    prefix
        Begins every name: a graph inside a graph must not reuse names.

    """

    def __init__(self, prefix: str = "") -> None:
        self._prefix = prefix
        self._nodes: list[Any] = []
        self._constants: list[Any] = []

    def add(self, operator: str, *inputs: str, outputs: Sequence[str] = (), **attributes: Any) -> str:
        """Append a node and return the name of its first output, a new one unless `outputs` are given."""
        names = list(outputs) or [f"{self._prefix}{operator.lower()}{len(self._nodes)}"]
        self._nodes.append(helper.make_node(operator, list(inputs), names, **attributes))
        return names[0]

    def constant(self, values: NDArray[Any]) -> str:
        """Store an array and return its name."""
        name = f"{self._prefix}constant{len(self._constants)}"
        self._constants.append(numpy_helper.from_array(np.ascontiguousarray(values), name))
        return name

    def cast(self, value: str, kind: int) -> str:
        """Convert to another type of elements."""
        return self.add("Cast", value, to=kind)

    def scalar(self, value: float, kind: int) -> str:
        """Store one number of a type."""
        return self.constant(np.array(value, helper.tensor_dtype_to_np_dtype(kind)))

    def round_clip(self, value: str, shift: int, low: int, high: int, kind: int) -> str:
        """`clip(Rnd(value, shift), low, high)`, shift not negative."""
        return self.clip(self.round_shift(value, shift, kind), low, high, kind)

    def round_shift(self, value: str, shift: int, kind: int) -> str:
        """`Rnd(value, shift)`: scaling by a power of two and adding a half are exact."""
        if shift == 0:
            return value
        scaled = self.add("Mul", value, self.scalar(2.0**-shift, kind))
        return self.add("Floor", self.add("Add", scaled, self.scalar(0.5, kind)))

    def clip(self, value: str, low: int, high: int, kind: int) -> str:
        """Limit to low..high."""
        return self.add("Clip", value, self.scalar(low, kind), self.scalar(high, kind))

    def graph(self, name: str, inputs: Sequence[Any], outputs: Sequence[Any]) -> Any:
        """Close the graph; inputs and outputs are value infos."""
        return helper.make_graph(self._nodes, name, list(inputs), list(outputs), self._constants)
