"""What a stored model is, as numbers: for people a table, for programs JSON."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from rich.box import SIMPLE_HEAD
from rich.table import Table

from podl_tools.arithmetic import ARITHMETIC_VERSION, WEIGHT_MAX
from podl_tools.program import format_program

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from podl_tools.program import LayerPlan
    from podl_tools.stored_model import StoredModel

__all__ = ["as_json", "as_table"]

_COLUMNS: Final = {
    "layer": "layer",
    "output": "output shape",
    "f": "f",
    "fan_in": "fan-in",
    "parameters": "parameters",
    "macs": "macs",
    "lowest": "lowest",
    "highest": "highest",
    "saturated": "at +-127",
    "zeros": "zeros",
}


def as_json(stored: StoredModel) -> dict[str, Any]:
    """
    Describe a model.

    Parameters
    ----------
    stored
        The model.

    Returns
    -------
    dict
        `layers` has one object per layer; a layer with weights tells `f` (one unit of a weight is 2^-f), its
        sizes, multiply-adds per sample, lowest and highest weight, and how many are at +-127 or zero. Roots
        are hex; `chain` says where the model was won, if that is known.

    """
    program = stored.program
    matrices = iter(stored.matrices)
    model_root = stored.model_root
    return {
        "program": format_program(program),
        "arithmetic": ARITHMETIC_VERSION,
        "input": list(program.dims),
        "classes": program.classes,
        "parameters": program.n_params,
        "macs": program.macs,
        "weights_root": stored.weights_root.hex(),
        "model_root": None if model_root is None else model_root.hex(),
        "chain": None if stored.origin is None else vars(stored.origin),
        "layers": [
            _layer(plan) if plan.weights is None else {**_layer(plan), **_weights(plan, next(matrices))}
            for plan in program.plans
        ],
    }


def _layer(plan: LayerPlan) -> dict[str, Any]:
    return {"layer": plan.layer.describe(), "input": list(plan.in_shape), "output": list(plan.out_shape)}


def _weights(plan: LayerPlan, matrix: NDArray[np.int8]) -> dict[str, Any]:
    if plan.weights is None:
        raise TypeError(f"{plan.layer.describe()} has no weights")
    return {
        "f": plan.weights.scale,
        "fan_in": plan.weights.fan_in,
        "parameters": plan.weights.n_params,
        "macs": plan.weights.macs,
        "lowest": int(matrix.min()),
        "highest": int(matrix.max()),
        "saturated": int((abs(matrix) == WEIGHT_MAX).sum()),  # -128 is no weight
        "zeros": int((matrix == 0).sum()),
    }


def as_table(found: dict[str, Any]) -> Table:
    """Return the table of layers, from what `as_json` gives."""
    table = Table(
        title=found["program"],
        title_justify="left",
        caption="\n".join(_caption(found)),
        caption_justify="left",
        box=SIMPLE_HEAD,
        pad_edge=False,
    )
    for name, title in _COLUMNS.items():
        table.add_column(title, justify="left" if name == "layer" else "right")
    for layer in found["layers"]:
        table.add_row(*(_cell(layer.get(name)) for name in _COLUMNS))
    return table


def _cell(value: object) -> str:
    if isinstance(value, list):
        return "x".join(map(str, value))
    return "" if value is None else str(value)


def _caption(found: dict[str, Any]) -> list[str]:
    sizes = f"{found['parameters']} parameters, {found['macs']} multiply-adds per sample"
    lines = [
        f"{sizes}, arithmetic version {found['arithmetic']}",
        f"weights root {found['weights_root']}",
        f"model root   {found['model_root'] or 'unknown: only the weights are here'}",
    ]
    chain = found["chain"]
    if chain is not None:
        lines.append(f"won block {chain['block']}")
        lines.append(f"at height {chain['height']} with {chain['claim']} of {chain['samples']} correct")
    return lines
