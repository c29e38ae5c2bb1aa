"""The handwritten digits of scikit-learn (8 x 8 pixels), as exact samples; needs the `demo` extra."""

from __future__ import annotations

from typing import Final

import numpy as np
from sklearn.datasets import load_digits

from podl_tools.examples import Examples
from podl_tools.prng import epoch_order

TRAINING_SAMPLES: Final = 1000
_PIXEL_SCALE: Final = 4  # pixels 0..16 become 0..64
_SPLIT_SEED: Final = b"digits-split"


def load_digits_split() -> tuple[Examples, Examples]:
    """
    Load the split that the published vectors use: the first 1000 of a fixed order train, the other 797 test.

    Returns
    -------
    tuple[Examples, Examples]
        Training and test examples; samples have shape (n, 8, 8, 1) and values 0..64.

    """
    digits = load_digits()
    order = epoch_order(_SPLIT_SEED, 0, len(digits.target))
    samples = (digits.images * _PIXEL_SCALE).astype(np.int8)[order, :, :, None]
    labels = digits.target.astype(np.uint8)[order]
    first, rest = slice(None, TRAINING_SAMPLES), slice(TRAINING_SAMPLES, None)
    return Examples(samples[first], labels[first]), Examples(samples[rest], labels[rest])
