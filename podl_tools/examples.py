"""Labelled samples as arrays: what training and evaluation read."""

from __future__ import annotations

from dataclasses import dataclass
from math import prod
from typing import TYPE_CHECKING

import numpy as np

from podl_tools.arithmetic import ACTIVATION_MAX
from podl_tools.errors import ExamplesError

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from podl_tools.program import Program


@dataclass(frozen=True, eq=False)
class Examples:
    """
    Samples with their labels.

    Parameters
    ----------
    samples
        (n, ...) int8, every value in -127..127; one unit is 2**-6.
    labels
        (n,) uint8 class indices.

    Raises
    ------
    ExamplesError
        `podl-shard-size`: types or lengths do not fit; `podl-shard-range`: a sample holds -128.

    """

    samples: NDArray[np.int8]
    labels: NDArray[np.uint8]

    def __post_init__(self) -> None:
        """Check types, lengths and range."""
        if self.samples.dtype != np.int8 or self.labels.dtype != np.uint8:
            types = f"{self.samples.dtype} and {self.labels.dtype}"
            raise ExamplesError(f"samples must be int8 and labels uint8, received {types}")
        if self.labels.ndim != 1 or self.samples.ndim < 1 or len(self.samples) != len(self.labels):
            raise ExamplesError(
                f"one label per sample, received {self.samples.shape} and {self.labels.shape}"
            )
        if self.samples.min(initial=0) < -ACTIVATION_MAX:
            raise ExamplesError("sample values must be -127..127, received -128", reason="podl-shard-range")

    def __len__(self) -> int:
        """Return the number of samples."""
        return len(self.labels)

    def check_fit(self, program: Program) -> None:
        """
        Demand that `program` can read these examples.

        Raises
        ------
        ExamplesError
            `podl-shard-size`: another number of values per sample; `podl-shard-label`: a label is no class.

        """
        values = prod(self.samples.shape[1:])
        if values != program.sample_size:
            raise ExamplesError(f"samples must have {program.sample_size} values, received {values}")
        if self.labels.max(initial=0) >= program.classes:
            raise ExamplesError(
                f"labels must be below {program.classes}, received {self.labels.max()}",
                reason="podl-shard-label",
            )
