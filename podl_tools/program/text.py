"""
Text form of a layer program, for configuration files.

`input 8x8x1, conv2d 3x3x16, maxpool 2, avgpool 4 gain 1, flatten, dense 64, output 10`; the other words are
`conv1d 3x16`, `rnn 64` and `mgru 64`. Spaces and line breaks around words do not matter.
"""

from __future__ import annotations

import re
from typing import Final

from podl_tools.errors import ProgramError
from podl_tools.program.layer import Layer, LayerKind, naming_layer
from podl_tools.program.program import Program

_INPUT: Final = re.compile(r"input (\d{1,5}(?:x\d{1,5}){0,2})")
_LAYERS: Final = re.compile(
    r"conv2d (?P<side>\d{1,3})x(?P=side)x(?P<filters2d>\d{1,5})"
    r"|conv1d (?P<length>\d{1,3})x(?P<filters1d>\d{1,5})"
    r"|maxpool (?P<maxpool>\d{1,3})"
    r"|avgpool (?P<avgpool>\d{1,3})(?: gain (?P<gain>\d{1,3}))?"
    r"|(?P<flatten>flatten)"
    r"|(?P<unit_kind>dense|rnn|mgru|output) (?P<units>\d{1,5})"
)


def format_program(program: Program) -> str:
    """Text form of `program`; `parse_program` reads it back."""
    dims = "x".join(str(size) for size in program.dims)
    return ", ".join([f"input {dims}", *(layer.describe() for layer in program.layers)])


def parse_program(text: str) -> Program:
    """
    Read a program from its text form.

    Raises
    ------
    ProgramError
        A word that is not understood, or a program outside the proven bounds.

    """
    first, *rest = (" ".join(part.split()) for part in text.split(","))
    head = _INPUT.fullmatch(first)
    if head is None:
        raise ProgramError(f"program: expected `input` and a shape such as 8x8x1, received {first!r}")
    dims = tuple(int(size) for size in head.group(1).split("x"))
    return Program(dims, tuple(_parse_layer(position, part) for position, part in enumerate(rest)))


def _parse_layer(position: int, text: str) -> Layer:
    found = _LAYERS.fullmatch(text)
    if found is None:
        raise ProgramError(f"layer {position}: not understood: {text!r}", layer=position)
    part = {name: value for name, value in found.groupdict().items() if value is not None}
    with naming_layer(position, f"layer {position}"):
        return _build_layer(part)


def _build_layer(part: dict[str, str]) -> Layer:
    if "side" in part:
        return Layer(LayerKind.CONV2D, size=int(part["side"]), units=int(part["filters2d"]))
    if "length" in part:
        return Layer(LayerKind.CONV1D, size=int(part["length"]), units=int(part["filters1d"]))
    if "maxpool" in part:
        return Layer(LayerKind.MAXPOOL, size=int(part["maxpool"]))
    if "avgpool" in part:
        return Layer(LayerKind.AVGPOOL, size=int(part["avgpool"]), gain=int(part.get("gain", "0")))
    if "flatten" in part:
        return Layer(LayerKind.FLATTEN)
    return Layer(LayerKind[part["unit_kind"].upper()], units=int(part["units"]))
