"""Layer programs: what a network is, its bytes and text, its sizes, and the proof that it stays exact."""

from podl_tools.program.bounds import check_batch, update_shifts
from podl_tools.program.layer import Layer, LayerKind
from podl_tools.program.plan import LayerPlan, WeightPlan
from podl_tools.program.program import Program
from podl_tools.program.text import format_program, parse_program

__all__ = [
    "Layer",
    "LayerKind",
    "LayerPlan",
    "Program",
    "WeightPlan",
    "check_batch",
    "format_program",
    "parse_program",
    "update_shifts",
]
