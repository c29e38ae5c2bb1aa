"""
Spoken digits as exact samples: integer features of the recordings of the Free Spoken Digit Dataset.

32 frames of 256 samples, 160 apart: the last 5216 samples of a recording, with zeros in front of a shorter
one. Each frame: Hann window, 256-point DFT by tables of cosines and sines, power, 32 triangular mel bands,
the logarithm by bit length and a table. Every value is an integer; only the tables come from real functions,
and their hash is checked, since a libm may round otherwise.
"""

from __future__ import annotations

import wave
from hashlib import sha256
from typing import TYPE_CHECKING, Any, Final

import click
import numpy as np

from podl_tools.examples import Examples
from podl_tools.ml.numpy_backend import NumpyOps

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

FRAMES: Final = 32
BANDS: Final = 32
TABLES_SHA256: Final = "1ef97c3fdeaf98a22d3857b0bcf450c1e08b1a638989c3cfd2e5a5559a8d44a2"
_FRAME: Final = 256
_HOP: Final = 160
_SAMPLES: Final = _HOP * (FRAMES - 1) + _FRAME
_BINS: Final = _FRAME // 2 + 1
_RATE: Final = 8000
# Bits of the tables. 256 terms of 2**15 by 2**14 keep the DFT within 2**37, after the shift in 2**21; then
# the power is within 2**43 and the sum of a band within 2**58.
_WINDOW_BITS: Final = 15
_WAVE_BITS: Final = 14
_SPECTRUM_SHIFT: Final = _WAVE_BITS + 2
_MEL_BITS: Final = 8
_LOG_BITS: Final = 6
# 64*log2 of a band: ten bits are silence, and 16 units make one unit of a feature.
_SILENCE: Final = 10 << _LOG_BITS
_FEATURE_SHIFT: Final = 4
_TEST_RECORDINGS: Final = 5
_ops: Final = NumpyOps()


def _whole(values: NDArray[np.float64]) -> NDArray[np.int64]:
    return np.floor(values + 0.5).astype(np.int64)


def _mel_weights() -> NDArray[np.float64]:
    """(bins, bands): triangles whose corners lie at equal steps of the mel scale from 0 to 4000 Hz."""
    top = 2595 * np.log10(1 + _RATE / 2 / 700)
    corners = 700 * (10 ** (np.linspace(0, top, BANDS + 2) / 2595) - 1)
    bins = np.arange(_BINS)[:, None] * _RATE / _FRAME
    rise = (bins - corners[:-2]) / (corners[1:-1] - corners[:-2])
    fall = (corners[2:] - bins) / (corners[2:] - corners[1:-1])
    return np.clip(np.minimum(rise, fall), 0, 1)


def make_tables() -> tuple[NDArray[np.int64], ...]:
    """
    Window (256,), cosines beside sines (256, 2 * 129), mel weights (129, 32), logarithms (64,).

    Raises
    ------
    RuntimeError
        This machine's functions round otherwise than those the tables' hash was taken from.

    """
    turn = 2 * np.pi * np.arange(_FRAME) / _FRAME
    angles = turn[np.outer(np.arange(_FRAME), np.arange(_BINS)) % _FRAME]
    waves = np.concatenate([np.cos(angles), np.sin(angles)], axis=1)
    logs = np.log2(1 + np.arange(1 << _LOG_BITS) / (1 << _LOG_BITS))
    tables = (
        _whole((1 - np.cos(turn)) / 2 * (1 << _WINDOW_BITS)),
        _whole(waves * (1 << _WAVE_BITS)),
        _whole(_mel_weights() * (1 << _MEL_BITS)),
        _whole(logs * (1 << _LOG_BITS)),
    )
    found = sha256(b"".join(table.astype("<i4").tobytes() for table in tables)).hexdigest()
    if found != TABLES_SHA256:
        raise RuntimeError(f"tables of the speech features: SHA-256 {found}, expected {TABLES_SHA256}")
    return tables


def features(signal: NDArray[np.int16], tables: tuple[NDArray[np.int64], ...]) -> NDArray[np.int8]:
    """
    Features of one recording.

    Parameters
    ----------
    signal
        Samples at 8 kHz.
    tables
        From `make_tables`.

    Returns
    -------
    NDArray[np.int8]
        (32 frames, 32 bands), 0..127.

    """
    window, waves, mel, logs = tables
    padded = np.zeros(_SAMPLES, dtype=np.int64)
    last = signal[-_SAMPLES:]
    padded[_SAMPLES - len(last) :] = last
    frames = np.stack([padded[start : start + _FRAME] for start in range(0, _HOP * FRAMES, _HOP)])
    spectrum = _ops.matmul(_ops.round_shift(frames * window, _WINDOW_BITS), waves)
    parts = _ops.round_shift(spectrum, _SPECTRUM_SHIFT)
    power = parts[:, :_BINS] ** 2 + parts[:, _BINS:] ** 2
    bands = _ops.round_shift(_ops.matmul(power, mel), _MEL_BITS) + 1
    loudness = _ops.round_shift(_log2(bands, logs) - _SILENCE, _FEATURE_SHIFT)
    found: NDArray[np.int8] = np.clip(loudness, 0, 127).astype(np.int8)
    return found


def _log2(values: NDArray[np.int64], logs: NDArray[np.int64]) -> Any:
    """`64 * log2(values)` of positive integers: the bit length and the six bits behind the first."""
    length = np.zeros_like(values)
    for step in (32, 16, 8, 4, 2, 1):
        large = values >> (length + step) > 0
        length += step * large
    behind = (values << _LOG_BITS) >> length
    return (length << _LOG_BITS) + logs[behind & ((1 << _LOG_BITS) - 1)]


def load_spoken_digits(recordings: Path) -> tuple[Examples, Examples]:
    """
    Read the recordings: numbers 0 to 4 of every speaker and digit test, the others train.

    Parameters
    ----------
    recordings
        Directory with files `digit_speaker_number.wav`.

    Returns
    -------
    tuple[Examples, Examples]
        Training and test examples of shape (n, 32, 32), in the order of digit, speaker and number.

    Raises
    ------
    click.ClickException
        There are none, or one is no mono recording of 16 bits at 8 kHz.

    """
    tables = make_tables()
    parts: tuple[list[tuple[NDArray[np.int8], int]], ...] = ([], [])
    for digit, _, number, path in sorted(_names(recordings)):
        parts[number < _TEST_RECORDINGS].append((features(read_recording(path), tables), digit))
    if not all(parts):
        raise click.ClickException(
            f"{recordings}: no recordings digit_speaker_number.wav to train and test on"
        )
    training, test = (
        Examples(np.stack([row for row, _ in part]), np.array([digit for _, digit in part], dtype=np.uint8))
        for part in parts
    )
    return training, test


def _names(recordings: Path) -> list[tuple[int, str, int, Path]]:
    names = []
    for path in recordings.glob("*_*_*.wav"):
        digit, speaker, number = path.stem.split("_")
        names.append((int(digit), speaker, int(number), path))
    return names


def read_recording(path: Path) -> NDArray[np.int16]:
    """Read a mono recording of 16 bits at 8 kHz; raises as `load_spoken_digits`."""
    try:
        with wave.open(str(path)) as file:
            kind = (file.getnchannels(), file.getsampwidth(), file.getframerate())
            if kind != (1, 2, _RATE):
                raise click.ClickException(
                    f"{path}: (channels, bytes, Hz) must be (1, 2, {_RATE}), are {kind}"
                )
            return np.frombuffer(file.readframes(file.getnframes()), "<i2").astype(np.int16)
    except (wave.Error, EOFError) as error:
        raise click.ClickException(f"{path}: {error}") from None
