"""Training: from a seed and a recipe's numbers to the one model they determine."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from podl_tools.errors import HyperparameterError, ModelRangeError
from podl_tools.ml.state import State, at_rest, initial_masters
from podl_tools.prng import epoch_order
from podl_tools.program import check_batch, update_shifts

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    import numpy as np
    from numpy.typing import NDArray

    from podl_tools.examples import Examples
    from podl_tools.ml.backend import Backend
    from podl_tools.program import Program

    OnStep = Callable[[int], object]

MAX_EPOCHS: Final = 254  # n_checkpoints = epochs + 1 is a u8


def _go_on(_epoch: int) -> None:
    """Nobody wants to stop."""


@dataclass(frozen=True)
class Hyperparameters:
    """
    Numbers of a recipe that the arithmetic needs.

    Parameters
    ----------
    batch_log2
        b; a batch has 2**b samples.
    epochs
        1..254.
    rate_shift
        k; the learning rate starts at 2**-k.
    drop
        Raise k by 1 from epoch ceil(6E/10) and by 2 from ceil(8E/10), epochs counted from 0.

    Raises
    ------
    HyperparameterError
        `podl-recipe-bounds`: epochs out of range. The other bounds depend on the program: see `Training`.

    """

    batch_log2: int
    epochs: int
    rate_shift: int
    drop: bool

    def __post_init__(self) -> None:
        """Check the range of epochs."""
        if not 1 <= self.epochs <= MAX_EPOCHS:
            raise HyperparameterError(f"epochs must be 1..{MAX_EPOCHS}, received {self.epochs}")

    def rate_shift_at(self, epoch: int) -> int:
        """Return k in epoch `epoch`."""
        if not self.drop:
            return self.rate_shift
        starts = (-(-6 * self.epochs // 10), -(-8 * self.epochs // 10))
        return self.rate_shift + sum(epoch >= start for start in starts)


@dataclass(frozen=True, eq=False)
class Training:
    """
    Everything that determines a model; equal trainings give equal bits on every machine.

    Parameters
    ----------
    program
        The layer program.
    hyperparameters
        Batch size, epochs and learning rate.
    seed
        32 bytes on the chain (protocol.md section 4).
    examples
        Training set. The last `n mod 2**b` samples of each epoch's order are left out.
    parent
        Master weights to start from; None draws them from the seed.

    Raises
    ------
    ProgramError, HyperparameterError, ExamplesError, ModelRangeError
        The parts do not fit each other, or leave the bounds of exactness.

    """

    program: Program
    hyperparameters: Hyperparameters
    seed: bytes
    examples: Examples
    parent: tuple[NDArray[np.int32], ...] | None = None

    def __post_init__(self) -> None:
        """Check that the parts fit."""
        numbers = self.hyperparameters
        check_batch(self.program, numbers.batch_log2)
        for rate_shift in {numbers.rate_shift_at(0), numbers.rate_shift_at(numbers.epochs - 1)}:
            update_shifts(self.program, numbers.batch_log2, rate_shift)
        self.examples.check_fit(self.program)
        if self.steps < 1:
            raise HyperparameterError(
                f"a batch of {1 << numbers.batch_log2} exceeds the {len(self.examples)} training samples"
            )
        if self.parent is not None:
            shapes = [(plan.rows, plan.columns) for plan in self.program.weights]
            if [master.shape for master in self.parent] != shapes:
                raise ModelRangeError("the parent's matrices do not have the program's shapes")

    @property
    def steps(self) -> int:
        """Batches per epoch."""
        return len(self.examples) >> self.hyperparameters.batch_log2

    def start(self) -> State:
        """State before epoch 0."""
        if self.parent is not None:
            return at_rest(self.parent)
        return at_rest(initial_masters(self.program, self.seed))

    def batches(
        self, epoch: int, on_step: OnStep = _go_on
    ) -> Iterator[tuple[NDArray[np.int8], NDArray[np.uint8]]]:
        """Yield samples (B, values) and labels (B,) of each step of `epoch`, in order."""
        size = 1 << self.hyperparameters.batch_log2
        order = epoch_order(self.seed, epoch, len(self.examples))
        for start in range(0, self.steps * size, size):
            on_step(epoch)
            chosen = order[start : start + size]
            yield self.examples.samples[chosen].reshape(size, -1), self.examples.labels[chosen]

    def after_epoch(self, backend: Backend, epoch: int, state: State, on_step: OnStep = _go_on) -> State:
        """Return the state after `epoch`, given the one before it."""
        numbers = self.hyperparameters
        shifts = update_shifts(self.program, numbers.batch_log2, numbers.rate_shift_at(epoch))
        return backend.network(self.program).train_epoch(state, self.batches(epoch, on_step), shifts)

    def states(self, backend: Backend, on_step: OnStep = _go_on) -> Iterator[State]:
        """Train, yielding the state before each epoch and the one after the last: epochs + 1 in all."""
        state = self.start()
        yield state
        for epoch in range(self.hyperparameters.epochs):
            state = self.after_epoch(backend, epoch, state, on_step)
            yield state


def train(
    training: Training,
    backend: Backend,
    on_epoch: Callable[[int, State], None] | None = None,
    on_step: OnStep = _go_on,
) -> State:
    """
    Train to the end.

    Parameters
    ----------
    training
        What to train.
    backend
        Where to compute.
    on_epoch
        Called with (i, state before epoch i) for i = 0..epochs, for checkpoints.
    on_step
        Called before each step with the number of its epoch. An exception that it or `on_epoch` raises stops
        the training.

    Returns
    -------
    State
        The last state; its masters are the model.

    """
    states = training.states(backend, on_step)
    state = next(states)
    for index in range(training.hyperparameters.epochs + 1):
        if on_epoch is not None:
            on_epoch(index, state)
        state = next(states, state)
    return state
