"""One training from recipe to roots: what a miner commits to and a replay repeats (protocol section 4)."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING

from podl_tools.commitment import checkpoints_root
from podl_tools.merkle import data_root
from podl_tools.ml.model import model_bytes, parse_model, velocity_bytes, weight_bytes
from podl_tools.ml.training import Hyperparameters, Training, train
from podl_tools.recipe import check_recipe, training_seed

if TYPE_CHECKING:
    from collections.abc import Callable

    from podl_tools.examples import Examples
    from podl_tools.ml.backend import Backend
    from podl_tools.ml.state import State
    from podl_tools.recipe import Recipe
    from podl_tools.task import Task

__all__ = ["SeedParts", "TrainedModel", "run_training"]

_LOGGER = logging.getLogger(__name__)


@dataclass(frozen=True)
class SeedParts:
    """
    What the seed of a training is made of.

    Parameters
    ----------
    chain_id, task_id, release_id
        As in the opening.
    payout
        Payout script.

    """

    chain_id: bytes
    task_id: bytes
    release_id: bytes
    payout: bytes


@dataclass(frozen=True)
class TrainedModel:
    """
    Result of a training.

    Parameters
    ----------
    model, weights
        Model bytes and weight bytes.
    checkpoints
        (master root, velocity root) of the states from before the first epoch on, epochs + 1 of them.

    """

    model: bytes
    weights: bytes
    checkpoints: tuple[tuple[bytes, bytes], ...]

    @property
    def model_root(self) -> bytes:
        """Merkle root of the model bytes."""
        return data_root(self.model)

    @property
    def weights_root(self) -> bytes:
        """Merkle root of the weight bytes."""
        return data_root(self.weights)

    @property
    def checkpoints_root(self) -> bytes:
        """Root of the tree over the checkpoints."""
        return checkpoints_root(self.checkpoints)


def run_training(
    task: Task,
    recipe: Recipe,
    parts: SeedParts,
    examples: Examples,
    parent: bytes | None,
    backend: Backend,
    on_step: Callable[[int], None] = lambda _: None,
) -> TrainedModel:
    """
    Train, and take the roots of every checkpoint on the way.

    Parameters
    ----------
    task
        Task in force.
    recipe
        How to train.
    parts
        What the seed is made of.
    examples
        The task's training set.
    parent
        Model bytes under the recipe's parent root; None without parent.
    backend
        Where to compute.
    on_step
        Called before each step with the number of epochs done. An exception it raises stops the training.

    Raises
    ------
    RejectError
        `podl-recipe-bounds`: the task does not allow this recipe.
    PodlError
        Examples or parent do not fit the program.

    """
    program = check_recipe(recipe, task)
    numbers = Hyperparameters(recipe.b, recipe.epochs, recipe.k, drop=bool(recipe.drop))
    seed = training_seed(parts.chain_id, parts.task_id, parts.release_id, parts.payout, recipe.trial)
    start = parse_model(program, parent) if parent is not None else None
    training = Training(program, numbers, seed, examples, start)
    states: list[tuple[bytes, bytes]] = []

    def note(index: int, state: State) -> None:
        _LOGGER.debug("%d of %d epochs done", index, recipe.epochs)
        states.append((data_root(model_bytes(state.masters)), data_root(velocity_bytes(state.velocities))))

    last = train(training, backend, note, on_step)
    return TrainedModel(model_bytes(last.masters), weight_bytes(last.masters), tuple(states))
