"""Hashes of trained weights under one setting: equal in exact arithmetic, whatever the setting."""

from __future__ import annotations

from hashlib import sha256
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from dev.bench_ml.nets import NETS, load_data
from podl_tools.ml.backend import Backend
from podl_tools.ml.float_twin import FloatTwin
from podl_tools.ml.graph import Graph
from podl_tools.ml.model import vector_hash
from podl_tools.ml.training import Hyperparameters, Training
from podl_tools.program import update_shifts

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from dev.bench_ml.setting import Setting
    from podl_tools.ml.network import Network
    from podl_tools.ml.ops import Ops, Tensor
    from podl_tools.program import Program

_SEED: Final = b"s0"
_BATCH_LOG2: Final = 5


class PartedGraph(Graph):
    """A graph that takes the gradients of a batch in parts, as several workers would."""

    def __init__(self, ops: Ops, program: Program, parts: int) -> None:
        super().__init__(ops, program)
        self._parts = parts

    def gradients(self, masters: Sequence[Tensor], inputs: Tensor, labels: Tensor) -> list[Tensor]:
        """Sum of the parts' gradients."""
        rows = [slice(at, None, self._parts) for at in range(self._parts)]
        found = [super(PartedGraph, self).gradients(masters, inputs[row], labels[row]) for row in rows]
        return [sum(layer[1:], start=layer[0]) for layer in zip(*found, strict=True)]


class PartedTwin(FloatTwin):
    """A twin that takes the gradients of a batch in parts."""

    parts = 1

    def _gradients(self, samples: Any, labels: Any) -> list[Any]:
        rows = [slice(at, None, self.parts) for at in range(self.parts)]
        found = [super(PartedTwin, self)._gradients(samples[row], labels[row]) for row in rows]
        return [sum(layer[1:], start=layer[0]) / self.parts for layer in zip(*found, strict=True)]


def hash_exact(net: str, setting: Setting, *, epochs: int, fsdd: str | None) -> dict[str, Any]:
    """Train exactly with seed `s0`; the hash is that of the published vectors."""
    training = _training(net, epochs, fsdd)
    network = _network(training.program, setting)
    if setting.parts > 1:  # before the first step builds the backend's graph
        network._graph = PartedGraph(network._ops, training.program, setting.parts)  # type: ignore[attr-defined]  # noqa: SLF001
    state = training.start()
    shifts = update_shifts(training.program, _BATCH_LOG2, training.hyperparameters.rate_shift)
    for epoch in range(epochs):
        state = network.train_epoch(state, _batches(training, epoch, setting), shifts)
    return {"hash": vector_hash(state.masters), "computed by": f"{network.device}, {network.kernel}"}


def hash_float(net: str, setting: Setting, *, epochs: int, fsdd: str | None) -> dict[str, Any]:
    """Train in float32 from the same start; the hash is over Keras's arrays. Counts the test samples too."""
    training = _training(net, epochs, fsdd)
    Backend("tensorflow", threads=setting.threads).network(training.program)  # sets the threads
    twin = PartedTwin(training.program, training.start().masters, compiled=setting.kernel == 1)
    twin.parts = setting.parts
    for epoch in range(epochs):
        twin.train_epoch(_batches(training, epoch, setting), training.hyperparameters.rate_shift)
    test = load_data(NETS[net], fsdd)[1]
    digest = sha256(b"".join(weights.tobytes() for weights in twin.weights())).hexdigest()
    return {"hash": digest, "count": twin.count(test), "samples": len(test)}


def _training(net: str, epochs: int, fsdd: str | None) -> Training:
    chosen = NETS[net]
    numbers = Hyperparameters(_BATCH_LOG2, epochs, chosen.rate_shift, drop=False)
    return Training(chosen.program, numbers, _SEED, load_data(chosen, fsdd)[0])


def _network(program: Program, setting: Setting) -> Network:
    """One kernel of a backend, without its self-test: the hash is the test."""
    candidates = Backend(setting.backend, threads=setting.threads)._candidates(program)  # noqa: SLF001
    return list(candidates)[setting.kernel]


def _batches(training: Training, epoch: int, setting: Setting) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    rng = np.random.default_rng(epoch)
    for samples, labels in training.batches(epoch):
        order = rng.permutation(len(labels)) if setting.permuted else slice(None)
        yield samples[order], labels[order]
