"""Trainings of arithmetic.json: every architecture, rates, a parent, and each layer kind at its bounds."""

from __future__ import annotations

from hashlib import sha256
from typing import TYPE_CHECKING, Final

import numpy as np

from dev.vector_cases.forward_cases import AT_LENGTH, LENGTHS
from dev.vector_cases.program_cases import SMALL
from dev.vector_cases.values import SEED, drawn, given, values_of
from podl_tools.arithmetic import ACTIVATION_MAX, MASTER_SHIFT
from podl_tools.examples import Examples
from podl_tools.merkle import data_root
from podl_tools.ml.backend import Backend
from podl_tools.ml.model import model_bytes, parse_model, vector_hash, velocity_bytes, weight_bytes
from podl_tools.ml.state import initial_masters
from podl_tools.ml.training import Hyperparameters, Training, train
from podl_tools.prng import words
from podl_tools.program import parse_program

if TYPE_CHECKING:
    from dev.vector_cases.fixture import Json

_ONE_EPOCH: Final = Hyperparameters(batch_log2=2, epochs=1, rate_shift=5, drop=False)
_DROPPING: Final = Hyperparameters(batch_log2=1, epochs=5, rate_shift=3, drop=True)
_PAIRS: Final = Hyperparameters(batch_log2=1, epochs=1, rate_shift=5, drop=False)


def build() -> list[Json]:
    """Return every training, of three batches an epoch."""
    backend = Backend("numpy")
    cases = [_trained(case, text, _ONE_EPOCH, backend) for case, text, _ in SMALL]
    case, text, _ = SMALL[0]
    cases.append(_trained(f"{case}, rate dropping", text, _DROPPING, backend))
    case, text, _ = SMALL[10]
    parent = model_bytes(initial_masters(parse_program(text), b"parent")).hex()
    cases.append(_trained(f"{case}, from a parent", text, _ONE_EPOCH, backend, parent))
    for length in LENGTHS:
        for layer, form in AT_LENGTH:
            text = form.format(length, length - 4)
            small = drawn(f"weights {text}", 4)  # most outputs then lie between their clips
            cases.append(_trained(f"{layer}, fan_in {length}", text, _PAIRS, backend, small))
    largest = given(ACTIVATION_MAX, -ACTIVATION_MAX, ACTIVATION_MAX)
    cases.append(_trained("largest weights", "input 1041, output 3", _PAIRS, backend, largest))
    cases.append(_trained("equal logits", "input 5, output 4", _PAIRS, backend, given(0)))
    return cases


def _trained(
    case: str, text: str, numbers: Hyperparameters, backend: Backend, parent: Json | str | None = None
) -> Json:
    """Three batches and one sample that is left out."""
    program = parse_program(text)
    count = (3 << numbers.batch_log2) + 1
    samples = drawn(f"training {case}", ACTIVATION_MAX, absolute=True)
    rows = values_of(samples, count * program.sample_size).reshape(count, -1)
    labels = (words(SEED, f"labels {case}", count) % program.classes).astype(np.uint8)
    seed = sha256(SEED + case.encode()).digest()
    start = None
    if isinstance(parent, str):
        start = parse_model(program, bytes.fromhex(parent))
    elif parent is not None:
        masters = values_of(parent, program.n_params).astype("<i4") << MASTER_SHIFT
        start = parse_model(program, masters.tobytes())
    state = train(Training(program, numbers, seed, Examples(rows, labels), start), backend)
    return {
        "case": case,
        "program": program.serialize().hex(),
        "batch_log2": numbers.batch_log2,
        "epochs": numbers.epochs,
        "rate_shift": numbers.rate_shift,
        "drop": numbers.drop,
        "seed": seed.hex(),
        "parent": parent,
        "samples": samples,
        "n": count,
        "labels": labels.tobytes().hex(),
        "hash": vector_hash(state.masters),
        "weights_root": data_root(weight_bytes(state.masters)).hex(),
        "model_root": data_root(model_bytes(state.masters)).hex(),
        "velocities_sha256": sha256(velocity_bytes(state.velocities)).hexdigest(),
    }
