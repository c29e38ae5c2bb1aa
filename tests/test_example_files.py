"""Data sets in NumPy's files: what is read, and how everything else is refused in words of our own."""

from __future__ import annotations

import io
import zipfile
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from podl_tools.example_files import load_examples, load_samples
from podl_tools.tool_errors import InputFileError
from tests.strategies import mutations

if TYPE_CHECKING:
    from pathlib import Path

SAMPLES = np.arange(-6, 6, dtype=np.int8).reshape(2, 3, 2)
LABELS = np.array([1, 0], np.uint8)


def array_bytes(array: Any, *, version: tuple[int, int] = (1, 0)) -> bytes:
    file = io.BytesIO()
    np.lib.format.write_array(file, np.asarray(array), version)
    return file.getvalue()


def archive_bytes(**members: bytes) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        for name, data in members.items():
            archive.writestr(f"{name}.npy", data)
    return file.getvalue()


GOOD = archive_bytes(samples=array_bytes(SAMPLES), labels=array_bytes(LABELS))


@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
def test_labelled_samples(tmp_path: Path, save: Any) -> None:
    save(tmp_path / "a.npz", samples=np.asfortranarray(SAMPLES), labels=LABELS, more=np.array([object()]))
    examples = load_examples(tmp_path / "a.npz")
    assert np.array_equal(examples.samples, SAMPLES)
    assert examples.samples.flags.c_contiguous
    assert np.array_equal(examples.labels, LABELS)


def test_samples_alone(tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", SAMPLES)
    np.savez(tmp_path / "a.npz", samples=SAMPLES)
    for name in ("a.npy", "a.npz"):
        examples, labelled = load_samples(tmp_path / name)
        assert (np.array_equal(examples.samples, SAMPLES), labelled) == (True, False)
        with pytest.raises(InputFileError, match="no array named 'labels'"):
            load_examples(tmp_path / name)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "neither a .npz nor a .npy file"),
        (b"text, and more of it", "neither a .npz nor a .npy file"),
        (b"\x80\x04\x95 a pickle", "neither a .npz nor a .npy file"),
        (b"PK\3\4 no zip", "damaged .npz file"),
        (GOOD[:-30], "damaged .npz file"),
        (archive_bytes(labels=array_bytes(LABELS)), "no array named 'samples'"),
        (archive_bytes(samples=b"garbage"), "'samples': not a plain array"),
        (archive_bytes(samples=array_bytes(SAMPLES, version=(3, 0))), "'samples': not a plain array"),
        (b"\x93NUMPY\1\0\xff\xff{", "'samples': not a plain array"),
        (array_bytes(SAMPLES)[:-1], "'samples': its bytes are not those of an array of shape"),
        (array_bytes(SAMPLES) + b"\0", "'samples': its bytes are not those of an array of shape"),
        (array_bytes(SAMPLES).replace(b"(2, 3, 2)", b"(9e9 , 2)"), "'samples': not a plain array"),
        (array_bytes(SAMPLES).replace(b"(2, 3, 2)", b"(2, -3,2)"), "its bytes are not those"),
        (array_bytes(SAMPLES).replace(b"(2, 3, 2)", b"(9**9**9)"), "'samples': not a plain array"),
        (array_bytes(np.zeros((2, 2), np.float32)), "one byte per value, received float32"),
        (array_bytes(np.array([object()])), "one byte per value, received object"),
        (array_bytes(np.int8(3)), "one label per sample"),
        (array_bytes(np.full((2, 2), -128, np.int8)), "received -128"),
        (array_bytes(np.zeros(2, np.uint8)), "samples must be int8"),
        (archive_bytes(samples=array_bytes(SAMPLES), labels=array_bytes(LABELS[:1])), "one label per sample"),
    ],
)
def test_files_that_are_no_data_set(tmp_path: Path, data: bytes, message: str) -> None:
    (tmp_path / "bad").write_bytes(data)
    with pytest.raises(InputFileError) as caught:
        load_samples(tmp_path / "bad")
    assert message in str(caught.value)
    assert f"data set {tmp_path / 'bad'}: " in str(caught.value)
    assert "pickle" not in str(caught.value)


def test_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputFileError, match="No such file"):
        load_samples(tmp_path / "none.npz")


@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=mutations(st.sampled_from([GOOD, array_bytes(SAMPLES)])))
def test_changed_files_are_read_or_refused(tmp_path: Path, data: bytes) -> None:
    (tmp_path / "changed").write_bytes(data)
    try:
        examples, _ = load_samples(tmp_path / "changed")
    except InputFileError:
        return
    assert examples.samples.dtype == np.int8
