"""
A model on disk: a folder that describes itself, or bare weight or model bytes beside a layer program.

The folder has `model.json` (program as text, roots, where on the chain it was won), `weights` and, unless the
node had it no longer, `model`: the bytes that the roots name, nothing else.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any, Final

from podl_tools.arithmetic import ARITHMETIC_VERSION
from podl_tools.constants import HASH_SIZE
from podl_tools.errors import PodlError
from podl_tools.files import PUBLIC, make_directory, read_file, read_json, write_file, write_json
from podl_tools.merkle import data_root
from podl_tools.ml.model import parse_model, parse_weights, weight_bytes
from podl_tools.program import Program, format_program, parse_program
from podl_tools.tool_errors import InputFileError

if TYPE_CHECKING:
    from pathlib import Path

    import numpy as np
    from numpy.typing import NDArray

__all__ = ["Origin", "StoredModel", "read_bytes", "read_folder", "write_folder"]

_RECORD: Final = "model.json"
_WEIGHTS: Final = "weights"
_MODEL: Final = "model"
_FORMAT: Final = 1
_MASTER_SIZE: Final = 4
_MAX_RECORD: Final = 1 << 20


@dataclass(frozen=True)
class Origin:
    """
    Where on a chain a model was won; the names are those of `model.json`.

    Parameters
    ----------
    chain_id, task_id
        Ids of the chain's first task entry and of the one in force, in hex.
    height
        Height of the block.
    block
        Block hash as Bitcoin shows it.
    claim, samples
        Correct samples of how many, on the shard with root `test_root`.
    test_root
        Merkle root of that shard, in hex.

    """

    chain_id: str
    task_id: str
    height: int
    block: str
    claim: int
    samples: int
    test_root: str


@dataclass(frozen=True)
class StoredModel:
    """
    A layer program with weights that fit it.

    Parameters
    ----------
    program
        The layer program.
    weights
        Weight bytes, one int8 per parameter.
    model
        Model bytes, four per parameter; None when only the weights are at hand.
    origin
        Where it was won; None for bare bytes.

    Raises
    ------
    ModelSizeError, ModelRangeError
        Bytes that do not fit the program.
    InputFileError
        The weights are not the model's, rounded.

    """

    program: Program
    weights: bytes
    model: bytes | None = None
    origin: Origin | None = None

    def __post_init__(self) -> None:
        """Check lengths and ranges, and that both describe one model."""
        parse_weights(self.program, self.weights)
        if self.model is not None and weight_bytes(parse_model(self.program, self.model)) != self.weights:
            raise InputFileError("the weights are not the model's, rounded")

    @property
    def weights_root(self) -> bytes:
        """Merkle root of the weight bytes."""
        return data_root(self.weights)

    @property
    def model_root(self) -> bytes | None:
        """Merkle root of the model bytes, None without them."""
        return None if self.model is None else data_root(self.model)

    @property
    def matrices(self) -> tuple[NDArray[np.int8], ...]:
        """Weights of every layer that has some: (rows, columns), the last row is the bias."""
        return parse_weights(self.program, self.weights)


def write_folder(path: Path, stored: StoredModel) -> None:
    """
    Write a model as a folder; `model.json` comes last and makes it count.

    Raises
    ------
    InputFileError
        The folder holds a model already.

    """
    if (path / _RECORD).exists():
        raise InputFileError(f"{path} holds a model already")
    make_directory(path)
    record: dict[str, Any] = {
        "format": _FORMAT,
        "arithmetic": ARITHMETIC_VERSION,
        "program": format_program(stored.program),
        "weights_root": stored.weights_root.hex(),
    }
    write_file(path / _WEIGHTS, stored.weights, PUBLIC)
    if stored.model is not None:
        write_file(path / _MODEL, stored.model, PUBLIC)
        record["model_root"] = data_root(stored.model).hex()
    if stored.origin is not None:
        record["chain"] = vars(stored.origin)
    write_json(path / _RECORD, record, PUBLIC)


def read_folder(path: Path) -> StoredModel:
    """
    Read a folder that `write_folder` made, and check everything against its roots.

    Raises
    ------
    InputFileError
        Something is missing, malformed, of the wrong length, or not what its root names.

    """
    record_path = path / _RECORD
    _check_size(record_path, range(1, _MAX_RECORD + 1))
    record = read_json(record_path)
    try:
        for name, expected in (("format", _FORMAT), ("arithmetic", ARITHMETIC_VERSION)):
            if record.get(name) != expected:
                raise InputFileError(f"{name} must be {expected}, received {record.get(name)!r:.40}")
        program = parse_program(_text(record, "program"))
        weights = _named(path / _WEIGHTS, program.n_params, _root(record, "weights_root"))
        model = None
        if "model_root" in record:
            model = _named(path / _MODEL, _MASTER_SIZE * program.n_params, _root(record, "model_root"))
        return StoredModel(program, weights, model, _origin(record.get("chain")))
    except PodlError as error:
        raise InputFileError(f"{record_path}: {error}", reason=error.reason) from None


def read_bytes(path: Path, program: Program, root: bytes | None) -> StoredModel:
    """
    Read bare weight bytes or model bytes; their length tells which they are.

    Parameters
    ----------
    path
        The file.
    program
        The layer program.
    root
        Merkle root that the bytes must have; None takes them unchecked.

    Raises
    ------
    InputFileError
        The length fits neither, a value is out of range, or the root is another one.

    """
    sizes = (program.n_params, _MASTER_SIZE * program.n_params)
    try:
        _check_size(path, sizes)
        data = read_file(path)
        if root is not None:
            _check_root(data, root)
        if len(data) == program.n_params:
            return StoredModel(program, data)
        return StoredModel(program, weight_bytes(parse_model(program, data)), data)
    except InputFileError:
        raise
    except PodlError as error:
        raise InputFileError(f"{path}: {error}", reason=error.reason) from None


def _check_size(path: Path, sizes: range | tuple[int, ...]) -> None:
    try:
        size = path.stat().st_size
    except OSError as error:
        raise InputFileError(f"{path}: {error.strerror}") from error
    if size not in sizes:
        wanted = f"at most {sizes[-1]}" if isinstance(sizes, range) else " or ".join(map(str, sizes))
        raise InputFileError(f"{path} must have {wanted} bytes, it has {size}", reason="podl-model-size")


def _check_root(data: bytes, root: bytes) -> None:
    found = data_root(data)
    if found != root:
        raise PodlError(f"its Merkle root is {found.hex()}, not {root.hex()}", reason="podl-data-root")


def _named(path: Path, size: int, root: bytes) -> bytes:
    _check_size(path, (size,))
    data = read_file(path)
    try:
        _check_root(data, root)
    except PodlError as error:
        raise InputFileError(f"file {path.name}: {error}", reason=error.reason) from None
    return data


def _text(record: dict[str, Any], name: str) -> str:
    value = record.get(name)
    if not isinstance(value, str):
        raise InputFileError(f"{name} is missing or no text")
    return value


def _root(record: dict[str, Any], name: str) -> bytes:
    try:
        root = bytes.fromhex(_text(record, name))
    except ValueError:
        root = b""
    if len(root) != HASH_SIZE:
        raise InputFileError(f"{name} must be {HASH_SIZE} bytes in hex")
    return root


def _origin(record: object) -> Origin | None:
    if record is None:
        return None
    types = {field.name: int if field.type == "int" else str for field in fields(Origin)}
    if not isinstance(record, dict) or {name: type(value) for name, value in record.items()} != types:
        raise InputFileError(f"chain must be an object with {', '.join(types)}")
    return Origin(**record)
