"""The shared vectors in vectors/arithmetic.json: current, and reproduced by the oracle and by TensorFlow."""

from __future__ import annotations

import json
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from dev.make_vectors import render
from dev.vector_cases.arithmetic_cases import build
from podl_tools.examples import Examples
from podl_tools.merkle import data_root
from podl_tools.ml.evaluation import score
from podl_tools.ml.model import (
    model_bytes,
    parse_model,
    parse_weights,
    vector_hash,
    velocity_bytes,
    weight_bytes,
)
from podl_tools.ml.training import Hyperparameters, Training
from podl_tools.prng import epoch_order, words
from podl_tools.program import Program, parse_program, update_shifts
from tests.ml_helpers import lists, tensorflow_network
from tests.ml_oracle import Oracle
from tests.ml_oracle_layers import rnd

PATH = Path(__file__).parent.parent / "vectors" / "arithmetic.json"
VECTORS: dict[str, Any] = json.loads(PATH.read_text(encoding="utf-8"))


def named(section: str) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("case", [pytest.param(row, id=row["case"]) for row in VECTORS[section]])


def program_of(case: dict[str, Any]) -> Program:
    return Program.parse(bytes.fromhex(case["program"]))


def operand(rule: dict[str, Any], count: int) -> Any:
    """Bytes repeated, or drawn from the generator as vectors/README.md says."""
    if "bytes" in rule:
        given = bytes.fromhex(rule["bytes"])
        return np.frombuffer((given * -(-count // len(given)))[:count], dtype=np.int8)
    drawn = words(bytes.fromhex(rule["seed"]), rule["tag"], count).tolist()
    values = [(word * (2 * rule["limit"] + 1) >> 32) - rule["limit"] for word in drawn]
    return np.array([abs(value) if rule["absolute"] else value for value in values], dtype=np.int8)


def samples_of(case: dict[str, Any], program: Program) -> Any:
    return operand(case["samples"], case["n"] * program.sample_size).reshape(case["n"], -1)


def test_the_file_is_current() -> None:
    assert PATH.read_text(encoding="utf-8") == render(build())


def test_rounding_agrees_with_the_definition() -> None:
    for case in VECTORS["rounding"]:
        assert rnd(case["value"], case["shift"]) == case["result"]


@named("forward")
def test_forward(case: dict[str, Any]) -> None:
    program = program_of(case)
    weights = parse_weights(program, operand(case["weights"], program.n_params).tobytes())
    oracle = Oracle(program.dims, program.layers)
    samples = samples_of(case, program)
    assert program == parse_program(case["text"])
    assert [oracle.logits(lists(weights), sample) for sample in samples.tolist()] == case["logits"]
    assert tensorflow_network(program).logits(weights, samples).tolist() == case["logits"]
    found = score(np.array(case["logits"], dtype=np.int32), np.array(case["labels"], dtype=np.uint8))
    assert (found.count, found.rank_sum) == (case["count"], case["rank_sum"])


def training_of(case: dict[str, Any]) -> Training:
    program = program_of(case)
    parent = case["parent"]
    if isinstance(parent, dict):
        masters = operand(parent, program.n_params).astype(np.int64) * 65536
        parent = masters.astype("<i4").tobytes().hex()
    parent = None if parent is None else parse_model(program, bytes.fromhex(parent))
    numbers = Hyperparameters(*(case[name] for name in ("batch_log2", "epochs", "rate_shift", "drop")))
    labels = np.frombuffer(bytes.fromhex(case["labels"]), dtype=np.uint8)
    examples = Examples(samples_of(case, program), labels)
    return Training(program, numbers, bytes.fromhex(case["seed"]), examples, parent)


@pytest.mark.parametrize(
    "case",
    [  # tracing takes long: of the sums at their bounds only the cut ones
        pytest.param(row, id=row["case"])
        for row in VECTORS["training"]
        if not row["case"].endswith(("fan_in 1039", "fan_in 1040"))
    ],
)
def test_training_on_tensorflow(case: dict[str, Any]) -> None:
    job = training_of(case)
    net, state = tensorflow_network(job.program), job.start()
    for epoch in range(case["epochs"]):
        rate = job.hyperparameters.rate_shift_at(epoch)
        shifts = update_shifts(job.program, case["batch_log2"], rate)
        state = net.train_epoch(state, job.batches(epoch), shifts)
    assert vector_hash(state.masters) == case["hash"]
    assert data_root(weight_bytes(state.masters)).hex() == case["weights_root"]
    assert data_root(model_bytes(state.masters)).hex() == case["model_root"]
    assert sha256(velocity_bytes(state.velocities)).hexdigest() == case["velocities_sha256"]
    assert all(np.count_nonzero(velocity) for velocity in state.velocities), "a layer learned nothing"


@named("training")
def test_training_of_the_oracle(case: dict[str, Any]) -> None:
    job = training_of(case)
    oracle = Oracle(job.program.dims, job.program.layers)
    start = job.start()
    m, v = lists(start.masters), lists(start.velocities)
    size, numbers = 1 << case["batch_log2"], job.hyperparameters
    for epoch in range(case["epochs"]):
        order = epoch_order(job.seed, epoch, len(job.examples)).tolist()
        for at in range(0, len(order) // size * size, size):
            rows = order[at : at + size]
            batch = [(job.examples.samples[i].tolist(), int(job.examples.labels[i])) for i in rows]
            m, v = oracle.step(m, v, batch, case["batch_log2"], numbers.rate_shift_at(epoch))
    assert vector_hash([np.array(matrix, dtype=np.int32) for matrix in m]) == case["hash"]
    velocities = velocity_bytes([np.array(matrix, dtype=np.int64) for matrix in v])
    assert sha256(velocities).hexdigest() == case["velocities_sha256"]


@named("scores")
def test_scores(case: dict[str, Any]) -> None:
    found = score(np.array(case["logits"], dtype=np.int32), np.array(case["labels"], dtype=np.uint8))
    assert (found.count, found.rank_sum) == (case["count"], case["rank_sum"])
