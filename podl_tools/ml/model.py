"""
Canonical bytes of a model.

*Model bytes* are the master weights M, int32 little-endian; *weight bytes* are `w = Rnd(M, 16)`, int8;
velocity bytes are V, int64 little-endian. All three hold the layers in program order, row-major, the bias row
last, and nothing else. Source: protocol.md section 4.
"""

from __future__ import annotations

from hashlib import sha256
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np

from podl_tools.arithmetic import MASTER_MAX, MASTER_SHIFT, VELOCITY_MAX, WEIGHT_MAX
from podl_tools.errors import CheckpointRangeError, ModelRangeError, ModelSizeError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from podl_tools.program import Program

_Number = TypeVar("_Number", bound=np.signedinteger[Any])


def weights_of(masters: Sequence[NDArray[np.int32]]) -> tuple[NDArray[np.int8], ...]:
    """Forward weights `Rnd(M, 16)` of every layer; with abs(M) <= 127 * 2**16 they lie in -127..127."""
    half = 1 << (MASTER_SHIFT - 1)
    return tuple(((master.astype(np.int64) + half) >> MASTER_SHIFT).astype(np.int8) for master in masters)


def model_bytes(masters: Sequence[NDArray[np.int32]]) -> bytes:
    """Model bytes, 4 per parameter."""
    return b"".join(master.astype("<i4").tobytes() for master in masters)


def weight_bytes(masters: Sequence[NDArray[np.int32]]) -> bytes:
    """Weight bytes, 1 per parameter."""
    return b"".join(weights.tobytes() for weights in weights_of(masters))


def velocity_bytes(velocities: Sequence[NDArray[np.int64]]) -> bytes:
    """Velocity bytes, 8 per parameter."""
    return b"".join(velocity.astype("<i8").tobytes() for velocity in velocities)


def parse_model(program: Program, data: bytes) -> tuple[NDArray[np.int32], ...]:
    """
    Read model bytes.

    Raises
    ------
    ModelSizeError
        `podl-model-size`: the length is not 4 bytes per parameter.
    ModelRangeError
        `podl-model-range`: some abs(M) > 127 * 2**16.

    """
    values = _read(program, data, np.dtype("<i4")).astype(np.int32)
    if max(values.max(), -int(values.min())) > MASTER_MAX:
        raise ModelRangeError(f"a master weight must be -{MASTER_MAX}..{MASTER_MAX}")
    return _cut(program, values)


def parse_weights(program: Program, data: bytes) -> tuple[NDArray[np.int8], ...]:
    """
    Read weight bytes.

    Raises
    ------
    ModelSizeError
        `podl-model-size`: the length is not 1 byte per parameter.
    ModelRangeError
        `podl-model-range`: some weight is -128.

    """
    values = _read(program, data, np.dtype(np.int8)).astype(np.int8)
    if values.min() < -WEIGHT_MAX:
        raise ModelRangeError("a weight byte must not be -128")
    return _cut(program, values)


def parse_velocities(program: Program, data: bytes) -> tuple[NDArray[np.int64], ...]:
    """
    Read velocity bytes.

    Raises
    ------
    CheckpointRangeError
        `podl-ckpt-range`: the length is not 8 bytes per parameter, or a value that no training can reach.

    """
    try:
        values = _read(program, data, np.dtype("<i8")).astype(np.int64)
    except ModelSizeError as error:
        raise CheckpointRangeError(f"velocities: {error}") from None
    if max(int(values.max()), -int(values.min())) > VELOCITY_MAX:
        raise CheckpointRangeError(f"a velocity must be -{VELOCITY_MAX}..{VELOCITY_MAX}")
    return _cut(program, values)


def vector_hash(masters: Sequence[NDArray[np.int32]]) -> str:
    """
    Hash of a model in published test vectors; the chain uses Merkle roots instead.

    SHA-256 over, per layer, the shape as two little-endian int32 and then the model bytes.
    """
    digest = sha256()
    for master in masters:
        digest.update(np.array(master.shape, dtype="<i4").tobytes())
        digest.update(model_bytes([master]))
    return digest.hexdigest()


def _read(program: Program, data: bytes, dtype: np.dtype[_Number]) -> NDArray[_Number]:
    expected = program.n_params * dtype.itemsize
    if len(data) != expected:
        raise ModelSizeError(f"{program.n_params} parameters need {expected} bytes, received {len(data)}")
    return np.frombuffer(data, dtype=dtype)


def _cut(program: Program, values: NDArray[_Number]) -> tuple[NDArray[_Number], ...]:
    matrices = []
    start = 0
    for plan in program.weights:
        matrices.append(values[start : start + plan.n_params].reshape(plan.rows, plan.columns))
        start += plan.n_params
    return tuple(matrices)
