"""Cases of arithmetic.json: random numbers, programs, forward passes, trainings and scores."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

from dev.vector_cases import forward_cases, training_cases
from dev.vector_cases.program_cases import (
    DIGITS,
    SMALL,
    WIDEST,
    invalid_models,
    invalid_programs,
    program_case,
)
from dev.vector_cases.values import SEED
from podl_tools.arithmetic import round_shift
from podl_tools.ml.evaluation import score
from podl_tools.ml.model import vector_hash
from podl_tools.ml.state import initial_masters
from podl_tools.ml.tables import TABLE_SHA256
from podl_tools.prng import permutation, uniform_integers, words
from podl_tools.program import parse_program

if TYPE_CHECKING:
    from dev.vector_cases.fixture import Json

_DIMENSION_CASES: Final = (1, 9, 16, 64, 72, 128, 144, 288, 576, 1024, 1039, 1040, 9216, 65535)


def build() -> Json:
    """Everything that an implementation of the arithmetic must reproduce."""
    return {
        "words": [
            _words(seed, tag) for seed, tag in ((b"s0", "init0"), (b"s0", "perm0"), (bytes(32), "init12"))
        ],
        "orders": [_order(b"s0", "perm0", 10), _order(SEED, "perm253", 33)],
        "table_sha256": TABLE_SHA256,
        "rounding": [_rounding(value, shift) for value, shift in _rounding_cases()],
        "scales": _scales(),
        "initial": [_initial(text) for text in DIGITS],
        "programs": [program_case(text) for text in (*DIGITS, WIDEST, *(row[1] for row in SMALL))],
        "programs_invalid": invalid_programs(),
        "weights_invalid": invalid_models(),
        "forward": forward_cases.build(),
        "training": training_cases.build(),
        "scores": _scores(),
    }


def _words(seed: bytes, tag: str) -> Json:
    return {"seed": seed.hex(), "tag": tag, "words": words(seed, tag, 11).tolist()}


def _order(seed: bytes, tag: str, size: int) -> Json:
    return {"seed": seed.hex(), "tag": tag, "order": permutation(seed, tag, size).tolist()}


def _rounding_cases() -> list[tuple[int, int]]:
    small = [(value, shift) for shift in (1, 2, 7) for value in range(-5, 6)]
    halves = [
        (sign * (3 << shift >> 1) + off, shift)
        for shift in (4, 9, 16)
        for sign in (1, -1)
        for off in (-1, 0, 1)
    ]
    top = (1 << 52) - 1
    return [
        *small,
        *halves,
        *((value, shift) for value in (top, -top) for shift in (-11, 0, 51, 52, 53, 54, 62)),
    ]


def _rounding(value: int, shift: int) -> Json:
    return {"value": value, "shift": shift, "result": round_shift(value, shift)}


def _scales() -> list[Json]:
    cases = []
    for fan_in in _DIMENSION_CASES:
        for text, gain in ((f"input {fan_in}, dense 1, output 2", 6), (f"input {fan_in}, output 2", 3)):
            plan = parse_program(text).weights[0]
            cases.append({"fan_in": fan_in, "gain": gain, "f": plan.scale, "init_limit": plan.init_limit})
    return cases


def _initial(text: str) -> Json:
    program = parse_program(text)
    return {
        "program": program.serialize().hex(),
        "seed": b"s0".hex(),
        "hash": vector_hash(initial_masters(program, b"s0")),
    }


def _scores() -> list[Json]:
    rows: list[tuple[str, list[list[int]], list[int]]] = [
        ("all equal: the first class is predicted", [[7, 7, 7]] * 3, [0, 1, 2]),
        ("tie of the largest", [[1, 5, 5, 0]] * 4, [0, 1, 2, 3]),
        ("tie below the largest", [[2, 9, 2, 2]] * 4, [0, 1, 2, 3]),
        ("negative logits", [[-5, -1, -3], [-(1 << 24), -(1 << 24), 0]], [2, 1]),
        ("largest logits", [[1 << 24, (1 << 24) - 1], [(1 << 24) - 1, 1 << 24]], [0, 0]),
    ]
    drawn = uniform_integers(SEED, "scores", 60, 3).reshape(10, 6)
    rows.append(("many ties", drawn.tolist(), (words(SEED, "score labels", 10) % 6).tolist()))
    cases = []
    for case, logits, labels in rows:
        found = score(np.array(logits, dtype=np.int32), np.array(labels, dtype=np.uint8))
        cases.append(
            {
                "case": case,
                "logits": logits,
                "labels": labels,
                "count": found.count,
                "rank_sum": found.rank_sum,
            }
        )
    return cases
