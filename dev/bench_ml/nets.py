"""The networks under measurement, and the data they learn."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

import numpy as np

from dev.bench_ml.speech import load_spoken_digits
from podl_tools.digits import load_digits_split
from podl_tools.program import Program, parse_program

if TYPE_CHECKING:
    from collections.abc import Sequence

    from podl_tools.examples import Examples

DIGITS: Final = "digits"
SPEECH: Final = "speech"
_CNN: Final = "input 8x8x1, conv2d 3x3x16, maxpool 2, conv2d 3x3x32, maxpool 2, flatten, dense 64, output 10"
_SPEECH_CNN: Final = (
    "input 32x32x1, conv2d 3x3x16, maxpool 2, conv2d 3x3x32, maxpool 2, conv2d 3x3x32, maxpool 2, flatten, "
    "dense 64, output 10"
)
_LARGE: Final = (
    "input 32x32x1, conv2d 3x3x32, maxpool 2, conv2d 3x3x64, maxpool 2, conv2d 3x3x64, maxpool 2, flatten, "
    "dense 896, output 10"
)


@dataclass(frozen=True)
class Net:
    """
    A network of the benchmark.

    Parameters
    ----------
    text
        Layer program.
    data
        What it learns: `digits` or `speech`.
    rate_shift
        k; the learning rate starts at 2**-k.
    convolution
        Whether it convolves: training may then cost more.
    vector
        First digits of the published hash after 5 epochs with seed `s0` (arithmetic.md section 3).

    """

    text: str
    data: str
    rate_shift: int = 5
    convolution: bool = False
    vector: str | None = None

    @property
    def program(self) -> Program:
        """The layer program."""
        return parse_program(self.text)


NETS: Final = {
    "digits MLP": Net("input 64, dense 64, dense 64, output 10", DIGITS, vector="5b36bf3acca504c5"),
    "digits CNN": Net(_CNN, DIGITS, convolution=True, vector="28b24008c99b0820"),
    "digits RNN": Net("input 8x8, rnn 64, output 10", DIGITS, vector="adfa788d239da2ef"),
    "digits mGRU": Net("input 8x8, mgru 64, output 10", DIGITS, vector="2747ad7031b8a09a"),
    "digits stacked": Net("input 8x8, rnn 32, mgru 32, output 10", DIGITS),
    "digits wide": Net("input 64, dense 1536, output 10", DIGITS),  # sums too long for one float32 sum
    "speech MLP": Net("input 1024, dense 64, dense 64, output 10", SPEECH, rate_shift=6),
    "speech CNN": Net(_SPEECH_CNN, SPEECH, convolution=True),
    "speech Conv1D": Net(
        "input 32x32, conv1d 3x32, conv1d 3x32, flatten, dense 64, output 10", SPEECH, convolution=True
    ),
    "speech mGRU": Net("input 32x32, mgru 64, output 10", SPEECH),
}
# For time alone: nobody trains it to the end here.
LARGE: Final = {"large CNN": Net(_LARGE, SPEECH, convolution=True)}


def load_data(net: Net, fsdd: str | None) -> tuple[Examples, Examples]:
    """Training and test examples of a net; `fsdd` is the folder of the recordings."""
    if net.data == DIGITS:
        return load_digits_split()
    if fsdd is None:
        raise ValueError("the spoken digits need the folder of their recordings")
    return load_spoken_digits(Path(fsdd))


def random_batches(net: Net, steps: int, size: int) -> Sequence[tuple[np.ndarray, np.ndarray]]:
    """Batches in the shape of a net's data, where only the time counts: no operation looks at the values."""
    rng = np.random.default_rng(0)
    program = net.program
    return [
        (
            rng.integers(0, 128, (size, program.sample_size)).astype(np.int8),
            rng.integers(0, program.classes, size).astype(np.uint8),
        )
        for _ in range(steps)
    ]
