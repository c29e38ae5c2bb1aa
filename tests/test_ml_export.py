"""Exported models against the referee: the same logits, whatever runs the graph."""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING, Any

import keras
import numpy as np
import onnx
import onnxruntime
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dev.check_gpu import PUBLISHED
from podl_tools.digits import load_digits_split
from podl_tools.errors import ProgramError
from podl_tools.ml.exactness import exact_terms, fits_float32
from podl_tools.ml.keras_export import build_keras, save_keras
from podl_tools.ml.model import weights_of
from podl_tools.ml.numpy_backend import NumpyNetwork
from podl_tools.ml.onnx_export import export_onnx
from podl_tools.ml.state import initial_masters
from podl_tools.program import Program, parse_program
from tests.ml_helpers import SMALL, start_tensorflow
from tests.test_ml_networks import image_programs, sequence_programs

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

    Matrices = list[NDArray[np.int8]]

ROOT = b"\1" * 32
WIDE = (
    "input 1200, dense 3, output 3",
    "input 4x4x60, conv2d 5x5x2, flatten, output 2",
    "input 3x1100, rnn 4, output 3",
    "input 3x1100, mgru 4, output 3",
    "input 1500, output 3",
)


@pytest.fixture(scope="module", autouse=True)
def tensorflow() -> None:
    start_tensorflow()


def random_weights(program: Program, top: int, seed: int = 1) -> Matrices:
    rng = np.random.default_rng(seed)
    shapes = [(plan.rows, plan.columns) for plan in program.weights]
    return [rng.integers(-top, top + 1, shape).astype(np.int8) for shape in shapes]


def full_weights(program: Program, sign: int) -> Matrices:
    return [np.full((plan.rows, plan.columns), sign * 127, np.int8) for plan in program.weights]


def random_samples(program: Program, seed: int = 2) -> NDArray[np.int8]:
    """Any values, usual ones, and rows of nothing but bounds."""
    rng = np.random.default_rng(seed)
    shape = (6, *program.dims)
    parts = [
        rng.integers(-127, 128, shape),
        rng.integers(0, 65, shape),
        rng.choice([-127, 0, 127], shape),
        np.broadcast_to(np.array([127, -127, 0])[(...,) + (None,) * len(program.dims)], (3, *program.dims)),
    ]
    return np.concatenate(parts).astype(np.int8)


def referee(program: Program, weights: Matrices, samples: NDArray[np.int8]) -> NDArray[np.int32]:
    return NumpyNetwork(program, blas=False).logits(weights, samples)


def run_onnx(program: Program, weights: Matrices, samples: NDArray[np.int8]) -> NDArray[np.int32]:
    """Logits of the exported graph; its classes must be theirs."""
    data = export_onnx(program, weights, ROOT)
    session = onnxruntime.InferenceSession(data, providers=["CPUExecutionProvider"])
    logits, classes = session.run(["logits", "class"], {"samples": samples.astype(np.float32)})
    assert classes.tolist() == [row.index(max(row)) for row in logits.tolist()]
    assert logits.dtype == np.int32
    found: NDArray[np.int32] = logits
    return found


def run_keras(program: Program, weights: Matrices, samples: NDArray[np.int8]) -> NDArray[np.int32]:
    logits = build_keras(program, weights)(samples.astype(np.float32))
    found: NDArray[np.int32] = keras.ops.convert_to_numpy(logits)
    assert found.dtype == np.int32
    return found


def check_bounds(program: Program, run: Any) -> None:
    """Small, any, and largest weights."""
    samples = random_samples(program)
    weights = [random_weights(program, top) for top in (127, 20)]
    for some in [*weights, full_weights(program, 1), full_weights(program, -1)]:
        assert np.array_equal(run(program, some, samples), referee(program, some, samples))


@pytest.mark.parametrize("text", SMALL)
@pytest.mark.parametrize("run", [run_onnx, run_keras])
def test_every_kind_of_layer(text: str, run: Any) -> None:
    check_bounds(parse_program(text), run)


@settings(max_examples=40, deadline=None)
@given(program=image_programs() | sequence_programs(), top=st.integers(1, 127), seed=st.integers(0, 99))
def test_any_program_as_onnx(program: Program, top: int, seed: int) -> None:
    weights, samples = random_weights(program, top, seed), random_samples(program, seed)
    assert np.array_equal(run_onnx(program, weights, samples), referee(program, weights, samples))


@pytest.mark.parametrize("text", WIDE)
@pytest.mark.parametrize("run", [run_onnx, run_keras])
def test_sums_that_no_float32_holds(text: str, run: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("podl_tools.program.plan.MAX_FAN_IN", 1 << 17)
    program = parse_program(text)
    assert not fits_float32(program.weights[0])
    weights, samples = full_weights(program, 1), np.full((1, program.sample_size), 127, np.int8)
    samples[0, :2] = 126, 1  # an odd sum
    samples = samples.reshape(1, *program.dims)
    assert np.abs(referee(program, weights, samples)).max() > 0
    assert np.array_equal(run(program, weights, samples), referee(program, weights, samples))
    check_bounds(program, run)


def test_the_bound_is_that_of_the_arithmetic() -> None:
    (matrix,) = parse_program("input 1039, output 2").weights
    assert exact_terms(matrix) == 1039


def test_kernels_too_large_to_split_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("podl_tools.program.plan.MAX_FAN_IN", 1 << 17)
    program = parse_program("input 2x2x1, conv2d 33x33x1, flatten, output 2")
    with pytest.raises(ProgramError, match=r"layer 0 \(conv2d 33x33x1\): .*cannot be exported"):
        export_onnx(program, random_weights(program, 9), ROOT)


def test_onnx_file_says_what_it_is() -> None:
    program = parse_program(SMALL[0])
    model = onnx.load_from_string(export_onnx(program, random_weights(program, 9), ROOT))
    assert {row.key: row.value for row in model.metadata_props} == {
        "podl.program": SMALL[0],
        "podl.weights_root": ROOT.hex(),
        "podl.arithmetic": "1",
    }


@pytest.mark.parametrize("name", PUBLISHED)
@pytest.mark.parametrize("run", [run_onnx, run_keras])
def test_digits(name: str, run: Any) -> None:
    program = parse_program(PUBLISHED[name][0])
    weights = list(weights_of(initial_masters(program, b"s0")))
    samples = load_digits_split()[1].samples.reshape(-1, *program.dims)
    assert np.array_equal(run(program, weights, samples), referee(program, weights, samples))


LOAD = """
import sys, numpy, keras

def run(name):
    model = keras.models.load_model(f"{name}.keras")
    numpy.save(f"{name}.logits.npy", model.predict(numpy.load(f"{name}.npy").astype("float32"), verbose=0))

run("images")
assert "podl_tools" not in sys.modules
import podl_tools.ml.keras_cells
run("sequences")
"""


@pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")  # Keras' own
def test_keras_files_load_in_a_fresh_process(tmp_path: Path) -> None:
    """Keras alone loads all but recurrent cells; those are in one module."""
    expected = {}
    for name, text in (("images", SMALL[2]), ("sequences", SMALL[5])):
        program = parse_program(text)
        weights, samples = random_weights(program, 40), random_samples(program)
        save_keras(program, weights, tmp_path / f"{name}.keras")
        np.save(tmp_path / f"{name}.npy", samples)
        expected[name] = referee(program, weights, samples)
    assert len(list(tmp_path.iterdir())) == 4
    done = subprocess.run(
        [sys.executable, "-c", LOAD], cwd=tmp_path, capture_output=True, text=True, check=False, timeout=120
    )
    assert done.returncode == 0, done.stderr
    for name, logits in expected.items():
        assert np.array_equal(np.load(tmp_path / f"{name}.logits.npy"), logits)
