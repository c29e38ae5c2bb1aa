"""Forward passes of arithmetic.json: every layer kind on drawn operands and at its bounds, with scores."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import numpy as np

from dev.vector_cases.program_cases import SMALL
from dev.vector_cases.values import SEED, drawn, given, values_of
from podl_tools.arithmetic import WEIGHT_MAX
from podl_tools.ml.evaluation import score
from podl_tools.ml.model import parse_weights
from podl_tools.ml.numpy_backend import NumpyNetwork
from podl_tools.prng import words
from podl_tools.program import parse_program

if TYPE_CHECKING:
    from dev.vector_cases.fixture import Json

_TOP: Final = WEIGHT_MAX
# The longest sum of a float32, and the first ones that are cut; the layer's name and its program.
LENGTHS: Final = (1039, 1040, 1041)
AT_LENGTH: Final = (
    ("output", "input {0}, output 3"),
    ("dense", "input {0}, dense 4, output 3"),
    ("conv2d", "input 1x2x{0}, conv2d 1x1x3, flatten, output 3"),
    ("conv1d", "input 2x{0}, conv1d 1x3, flatten, output 3"),
    ("simple RNN", "input 3x{1}, rnn 4, output 3"),
    ("gated cell", "input 3x{1}, mgru 4, output 3"),
)
_CUT: Final = (
    ("cut conv2d 3x3", "input 3x4x116, conv2d 3x3x3, flatten, output 3"),
    ("cut conv2d 33x33, wider than the image", "input 2x3x1, conv2d 33x33x2, flatten, output 2"),
    ("cut conv1d 3", "input 4x700, conv1d 3x3, flatten, output 3"),
    ("cut state of a simple RNN", "input 2x2, rnn 1040, output 2"),
    ("three pieces in a stack", "input 3x2090, rnn 3, mgru 3, output 3"),
    ("dense of eleven pieces", "input 11000, dense 3, output 2"),
)


def build() -> list[Json]:
    """Return every forward pass."""
    cases = []
    for case, text, largest in SMALL:
        samples = drawn(f"samples {text}", _TOP, absolute=True)
        cases.append(_case(case, text, drawn(f"weights {text}", largest), samples, 3))
    cases.append(
        _case("signed samples", "input 5, dense 4, output 3", drawn("signed", 50), drawn("signed", _TOP), 4)
    )
    for length in LENGTHS:
        for layer, form in AT_LENGTH:
            cases += _both(f"{layer}, fan_in {length}", form.format(length, length - 4), 2)
    for case, text in _CUT:
        cases += _both(case, text, 1)
    return cases + _edges()


def _both(case: str, text: str, count: int) -> list[Json]:
    """Operands at their bounds, and drawn ones."""
    return [
        _case(f"{case}, at the bounds", text, given(_TOP, -_TOP, _TOP), given(_TOP), 1),
        _case(f"{case}, drawn", text, drawn(f"weights {text}", _TOP), drawn(f"samples {text}", _TOP), count),
    ]


def _edges() -> list[Json]:
    halves = given(-96, -64, -48, -17, -16, -15, 15, 16, 17, 48, 64, 96)
    simple, gated = given(1, 0, 0, 1, -1, 0, 0), given(1, 1, 0, 0, 0, 0, 1, -1, 0, 0)
    longest = "input 2x256x256, flatten, output 3"
    rise = given(*[_TOP] * 1050, *[-_TOP] * 1049, 1)
    return [
        _case("halves of a simple RNN", "input 1x1, rnn 1, output 2", simple, halves, 12),
        _case("halves of a gated cell", "input 1x1, mgru 1, output 2", gated, halves, 12),
        _case("sums that rise above 2**24 and fall", "input 2100, dense 1, output 2", given(_TOP), rise, 1),
        _case("longest fan_in, largest sums", longest, given(_TOP, -_TOP, _TOP), given(_TOP), 1),
        _case("longest fan_in, drawn", longest, drawn("longest", _TOP), drawn("longest samples", _TOP), 2),
        _case("equal logits", "input 3, output 4", given(0), drawn("equal", _TOP), 8),
        _case("pairs of equal logits", "input 3, output 4", given(9, -9), drawn("pairs", _TOP), 8),
    ]


def _case(case: str, text: str, weights: Json, samples: Json, count: int) -> Json:
    program = parse_program(text)
    matrices = parse_weights(program, values_of(weights, program.n_params).tobytes())
    rows = values_of(samples, count * program.sample_size).reshape(count, -1)
    logits = NumpyNetwork(program, blas=False).logits(matrices, rows)
    labels = (words(SEED, f"labels {case}", count) % program.classes).astype(np.uint8)
    found = score(logits, labels)
    row: dict[str, Any] = {"case": case, "text": text, "program": program.serialize().hex()}
    row |= {"weights": weights, "samples": samples, "n": count, "logits": logits.tolist()}
    return row | {"labels": labels.tolist(), "count": found.count, "rank_sum": found.rank_sum}
