"""Models on disk: what is written reads back, and what was changed is refused by name."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from podl_tools.errors import ModelRangeError, ModelSizeError
from podl_tools.merkle import data_root
from podl_tools.stored_model import StoredModel, read_bytes, read_folder, write_folder
from podl_tools.tool_errors import InputFileError
from tests.stored_models import stored

if TYPE_CHECKING:
    from pathlib import Path

MODEL = stored()
CHANGED = bytes([MODEL.weights[0] ^ 1]) + MODEL.weights[1:]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    write_folder(tmp_path / "won", MODEL)
    return tmp_path / "won"


def test_folder_reads_back(folder: Path) -> None:
    assert read_folder(folder) == MODEL
    assert (folder / "weights").read_bytes() == MODEL.weights
    assert (folder / "model").read_bytes() == MODEL.model


def test_weights_alone_read_back(tmp_path: Path) -> None:
    alone = replace(MODEL, model=None, origin=None)
    write_folder(tmp_path / "won", alone)
    assert read_folder(tmp_path / "won") == alone
    assert sorted(path.name for path in (tmp_path / "won").iterdir()) == ["model.json", "weights"]


def test_a_folder_is_not_written_over(folder: Path) -> None:
    with pytest.raises(InputFileError, match="holds a model already"):
        write_folder(folder, MODEL)


@pytest.mark.parametrize(
    ("name", "data", "reason", "message"),
    [
        ("weights", CHANGED, "podl-data-root", "file weights: its Merkle root is"),
        ("weights", MODEL.weights[:-1], "podl-model-size", "must have 83 bytes, it has 82"),
        ("weights", MODEL.weights + b"\0", "podl-model-size", "must have 83 bytes, it has 84"),
        ("weights", None, "podl-error", "No such file"),
        ("model", b"\0" * 332, "podl-data-root", "file model: its Merkle root is"),
        ("model", None, "podl-error", "No such file"),
        ("model.json", None, "podl-error", "No such file"),
        ("model.json", b"{", "podl-error", "not valid JSON"),
        ("model.json", b"[]", "podl-error", "expected a JSON object"),
        ("model.json", b"\x80\x04\x95", "podl-error", "not valid JSON"),
        ("model.json", b" " * 2_000_000, "podl-model-size", "at most 1048576 bytes"),
    ],
)
def test_damaged_files(folder: Path, name: str, data: bytes | None, reason: str, message: str) -> None:
    (folder / name).unlink()
    if data is not None:
        (folder / name).write_bytes(data)
    with pytest.raises(InputFileError) as caught:
        read_folder(folder)
    assert (caught.value.reason, message in str(caught.value)) == (reason, True), caught.value


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"format": 2}, "format must be 1, received 2"),
        ({"arithmetic": None}, "arithmetic must be 1, received None"),
        ({"program": 5}, "program is missing or no text"),
        ({"program": "input 6, outptu 3"}, "not understood: 'outptu 3'"),
        ({"program": "input 6, output 3"}, "must have 21 bytes, it has 83"),
        ({"weights_root": "00"}, "weights_root must be 32 bytes in hex"),
        ({"model_root": "zz"}, "model_root must be 32 bytes in hex"),
        ({"chain": []}, "chain must be an object with chain_id"),
        ({"chain": {"height": 5}}, "chain must be an object with chain_id"),
        ({"chain": {**vars(MODEL.origin), "height": True}}, "chain must be an object with chain_id"),
    ],
)
def test_damaged_records(folder: Path, change: dict[str, Any], message: str) -> None:
    record = json.loads((folder / "model.json").read_text())
    (folder / "model.json").write_text(json.dumps(record | change))
    with pytest.raises(InputFileError) as caught:
        read_folder(folder)
    assert message in str(caught.value)
    assert str(caught.value).startswith(str(folder / "model.json"))


def test_weights_that_are_not_the_models(folder: Path) -> None:
    record = json.loads((folder / "model.json").read_text())
    record["weights_root"] = data_root(CHANGED).hex()
    (folder / "model.json").write_text(json.dumps(record))
    (folder / "weights").write_bytes(CHANGED)
    with pytest.raises(InputFileError, match="the weights are not the model's, rounded"):
        read_folder(folder)


def test_bare_bytes(tmp_path: Path) -> None:
    assert MODEL.model is not None
    (tmp_path / "w").write_bytes(MODEL.weights)
    (tmp_path / "m").write_bytes(MODEL.model)
    assert read_bytes(tmp_path / "w", MODEL.program, MODEL.weights_root) == replace(
        MODEL, model=None, origin=None
    )
    assert read_bytes(tmp_path / "m", MODEL.program, MODEL.model_root) == replace(MODEL, origin=None)
    assert read_bytes(tmp_path / "m", MODEL.program, None).weights == MODEL.weights


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "podl-model-size"),
        (b"\0" * 84, "podl-model-size"),
        (b"\x80" + b"\0" * 82, "podl-model-range"),
        (b"\xff\xff\xff\x7f" * 83, "podl-model-range"),
    ],
)
def test_bytes_that_are_no_model(tmp_path: Path, data: bytes, reason: str) -> None:
    (tmp_path / "x").write_bytes(data)
    with pytest.raises(InputFileError) as caught:
        read_bytes(tmp_path / "x", MODEL.program, None)
    assert (caught.value.reason, str(tmp_path / "x") in str(caught.value)) == (reason, True)


def test_bytes_with_another_root(tmp_path: Path) -> None:
    (tmp_path / "x").write_bytes(CHANGED)
    with pytest.raises(InputFileError, match=f"not {MODEL.weights_root.hex()}") as caught:
        read_bytes(tmp_path / "x", MODEL.program, MODEL.weights_root)
    assert caught.value.reason == "podl-data-root"


def test_only_fitting_bytes_make_a_model() -> None:
    with pytest.raises(ModelSizeError):
        StoredModel(MODEL.program, MODEL.weights[1:])
    with pytest.raises(ModelRangeError):
        StoredModel(MODEL.program, b"\x80" + MODEL.weights[1:])
