"""Models for tests of what is done with one: any weights, and small ones between the clips."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from podl_tools.arithmetic import MASTER_MAX
from podl_tools.ml.model import model_bytes, weight_bytes
from podl_tools.program import parse_program
from podl_tools.stored_model import Origin, StoredModel
from tests.ml_helpers import cut

if TYPE_CHECKING:
    from podl_tools.program import Program

TEXT = "input 6, dense 8, output 3"
ORIGIN = Origin("11" * 32, "22" * 32, 7, "33" * 32, 60, 64, "44" * 32)


def masters(program: Program, top: int = MASTER_MAX, seed: int = 1) -> bytes:
    """Model bytes with values up to `top`."""
    values = np.random.default_rng(seed).integers(-top, top + 1, program.n_params).astype(np.int32)
    return model_bytes(cut(program, values))


def stored(text: str = TEXT, top: int = MASTER_MAX, seed: int = 1) -> StoredModel:
    program = parse_program(text)
    data = masters(program, top, seed)
    weights = weight_bytes(cut(program, np.frombuffer(data, "<i4")))
    return StoredModel(program, weights, data, ORIGIN)
