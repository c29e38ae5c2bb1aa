"""Labelled samples in NumPy's files: read with every size and type checked first, and nothing executed."""

from __future__ import annotations

import tokenize
import zipfile
import zlib
from math import prod
from typing import IO, TYPE_CHECKING, Any, Final

import numpy as np

from podl_tools.errors import ExamplesError
from podl_tools.examples import Examples
from podl_tools.tool_errors import InputFileError

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

__all__ = ["load_examples", "load_samples"]

_ARRAY: Final = b"\x93NUMPY"
_ARCHIVE: Final = b"PK\x03\x04"
_VERSION: Final = (1, 0)  # what numpy.save writes for plain arrays
_TYPES: Final = (np.dtype(np.int8), np.dtype(np.uint8))
_HEADER_PROBLEMS: Final = (ValueError, TypeError, SyntaxError, tokenize.TokenError, RecursionError)
_ARCHIVE_PROBLEMS: Final = (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError)


def load_examples(path: Path) -> Examples:
    """
    Read labelled samples from a .npz file.

    Raises
    ------
    InputFileError
        The file is missing, is no .npz file, or holds other arrays.

    """
    examples, labelled = load_samples(path)
    if not labelled:
        raise InputFileError(f"data set {path}: no array named 'labels'")
    return examples


def load_samples(path: Path) -> tuple[Examples, bool]:
    """
    Read samples, with their labels where the file has them.

    Parameters
    ----------
    path
        A .npz file with `samples` (n, ...) int8 and, if there are any, `labels` (n,) uint8; or a .npy file of
        samples alone.

    Returns
    -------
    tuple
        The samples, and whether their labels are from the file; without any they are all 0.

    Raises
    ------
    InputFileError
        The file is missing, is of neither kind, or holds other arrays.

    """
    try:
        with path.open("rb") as file:
            samples, labels = _read(file)
        count = len(samples) if samples.ndim else 0
        return Examples(samples, np.zeros(count, np.uint8) if labels is None else labels), labels is not None
    except OSError as error:
        raise InputFileError(f"data set {path}: {error.strerror or error}") from error
    except ExamplesError as error:
        raise InputFileError(f"data set {path}: {error}") from None


def _read(file: IO[bytes]) -> tuple[NDArray[Any], NDArray[Any] | None]:
    start = file.read(len(_ARRAY))
    if start == _ARRAY:
        size = file.seek(0, 2)
        file.seek(0)
        return _read_array("samples", file, size), None
    if not start.startswith(_ARCHIVE):
        raise ExamplesError("neither a .npz nor a .npy file")
    try:
        with zipfile.ZipFile(file) as archive:
            labelled = "labels.npy" in archive.namelist()
            return _read_member(archive, "samples"), _read_member(archive, "labels") if labelled else None
    except _ARCHIVE_PROBLEMS as error:
        raise ExamplesError(f"damaged .npz file: {error}") from None


def _read_member(archive: zipfile.ZipFile, name: str) -> NDArray[Any]:
    try:
        member = archive.getinfo(f"{name}.npy")
    except KeyError:
        raise ExamplesError(f"no array named {name!r}") from None
    with archive.open(member) as file:
        return _read_array(name, file, member.file_size)


def _read_array(name: str, file: IO[bytes], size: int) -> NDArray[Any]:
    """Read one array of `size` bytes, header included; its memory is taken once the sizes agree."""
    try:
        version = np.lib.format.read_magic(file)
        if version != _VERSION:
            raise ValueError(version)
        shape, by_columns, dtype = np.lib.format.read_array_header_1_0(file)
    except _HEADER_PROBLEMS:
        raise ExamplesError(f"array {name!r}: not a plain array as numpy.save writes it") from None
    if dtype not in _TYPES:
        raise ExamplesError(f"array {name!r} must be one byte per value, received {dtype}")
    if any(length < 0 for length in shape) or file.tell() + prod(shape) != size:
        raise ExamplesError(f"array {name!r}: its bytes are not those of an array of shape {shape}")
    values = np.frombuffer(file.read(), dtype)
    if len(values) != prod(shape):
        raise ExamplesError(f"array {name!r} ends early")
    return np.asarray(values.reshape(shape, order="F" if by_columns else "C"), order="C")
