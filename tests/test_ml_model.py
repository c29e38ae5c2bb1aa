"""Canonical bytes of a model: exact lengths, exact ranges, one encoding."""

from __future__ import annotations

import struct
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from podl_tools.arithmetic import MASTER_MAX, VELOCITY_MAX
from podl_tools.errors import CheckpointRangeError, ModelRangeError, ModelSizeError
from podl_tools.ml.model import (
    model_bytes,
    parse_model,
    parse_velocities,
    parse_weights,
    velocity_bytes,
    weight_bytes,
    weights_of,
)
from podl_tools.program import parse_program
from tests.ml_oracle_layers import rnd

PROGRAM = parse_program("input 3, dense 2, output 2")  # 4x2 and 3x2
N = PROGRAM.n_params
masters = st.lists(st.integers(-MASTER_MAX, MASTER_MAX), min_size=N, max_size=N)


@given(masters)
def test_model_round_trip(values: list[int]) -> None:
    data = struct.pack(f"<{N}i", *values)
    found = parse_model(PROGRAM, data)
    assert [matrix.shape for matrix in found] == [(4, 2), (3, 2)]
    assert model_bytes(found) == data
    expected = bytes(rnd(value, 16) & 0xFF for value in values)
    assert weight_bytes(found) == expected
    assert b"".join(matrix.tobytes() for matrix in parse_weights(PROGRAM, expected)) == expected


@given(st.lists(st.integers(-VELOCITY_MAX, VELOCITY_MAX), min_size=N, max_size=N))
def test_velocity_round_trip(values: list[int]) -> None:
    data = struct.pack(f"<{N}q", *values)
    assert velocity_bytes(parse_velocities(PROGRAM, data)) == data


def test_weights_at_their_bounds() -> None:
    edge = np.array([[MASTER_MAX, -MASTER_MAX, 32767, 32768, -32768, -32769]], dtype=np.int32)
    assert weights_of([edge])[0].tolist() == [[127, -127, 0, 1, 0, -1]]


@given(st.binary(max_size=100))
def test_any_length_but_one_is_refused(data: bytes) -> None:
    for parse, size in ((parse_weights, N), (parse_model, 4 * N)):
        if len(data) != size:
            with pytest.raises(ModelSizeError) as caught:
                parse(PROGRAM, data)
            assert caught.value.reason == "podl-model-size"
    if len(data) != 8 * N:
        with pytest.raises(CheckpointRangeError):
            parse_velocities(PROGRAM, data)


@pytest.mark.parametrize(
    ("parse", "form", "top"),
    [(parse_weights, "b", 127), (parse_model, "i", MASTER_MAX), (parse_velocities, "q", VELOCITY_MAX)],
)
def test_ranges_are_sharp(parse: Any, form: str, top: int) -> None:
    for value in (top, -top):
        parse(PROGRAM, struct.pack(f"<{N}{form}", *[0] * (N - 1), value))
    outside = [-128] if form == "b" else [top + 1, -top - 1, -(2 ** (8 * struct.calcsize(form) - 1))]
    for value in outside:
        with pytest.raises((ModelRangeError, CheckpointRangeError)) as caught:
            parse(PROGRAM, struct.pack(f"<{N}{form}", value, *[0] * (N - 1)))
        assert caught.value.reason in {"podl-model-range", "podl-ckpt-range"}
