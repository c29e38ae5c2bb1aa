"""Repeating every winner's training from what is public: the schedule, a node's bytes, the HTTP store."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from podl_tools.chain.data import Kind, download
from podl_tools.dataset import data_size, parse_examples
from podl_tools.measuring import measure
from podl_tools.recipe import Recipe
from podl_tools.trainer.job import read_checkpoints
from podl_tools.training_run import SeedParts, run_training

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from podl_tools.chain.node import Node
    from podl_tools.commitment import Opening
    from podl_tools.entry import FinalBody
    from podl_tools.fetch import Fetcher
    from podl_tools.ml.backend import Backend
    from podl_tools.schedule import ScheduleLog
    from podl_tools.task import Task
    from podl_tools.training_run import TrainedModel

    Checkpoints = tuple[tuple[bytes, bytes], ...]

SAME: Final = "bit-identical"
_MASTER_SIZE: Final = 4


@dataclass(frozen=True)
class Replay:
    """
    What repeating one training gave.

    Parameters
    ----------
    height
        Of the block.
    result
        ``bit-identical``, or what differs.
    measured
        Correct samples of the block's weights on its shard, measured here.
    warm
        Whether the training started from an earlier block's model.
    seconds
        Duration of the repeated training.
    """

    height: int
    result: str
    measured: int
    warm: bool
    seconds: float


class Replayer:
    """Replays blocks.

    Parameters
    ----------
    node : Node
        Gives weights and models.
    fetcher : Fetcher
        Gives the training set and opened shards from the HTTP store.
    schedule : ScheduleLog
        Checked entries.
    backend : Backend
        Where to compute.
    checkpoint_folders : Sequence[Path]
        Where miners keep the roots of their checkpoints; without them a difference is placed less exactly.
    """

    def __init__(
        self,
        node: Node,
        fetcher: Fetcher,
        schedule: ScheduleLog,
        backend: Backend,
        checkpoint_folders: Sequence[Path] = (),
    ) -> None:
        self._node = node
        self._fetcher = fetcher
        self._schedule = schedule
        self._backend = backend
        self._checkpoint_folders = checkpoint_folders

    def replay(self, height: int) -> Replay:
        """Repeat the training of the block at ``height``, and measure its weights.

        Raises
        ------
        PodlError
            Bytes are missing or are not what their roots name.
        """
        final = self._schedule.final_for(height)
        if final is None:
            raise LookupError(f"height {height} has no final")
        task = self._schedule.task_for(height).body
        recipe = Recipe.parse(final.body.disclosure.recipe)
        started = time.monotonic()
        trained = self._train(task, recipe, final.body)
        seconds = time.monotonic() - started
        opening = final.body.disclosure.opening
        size = task.loaded_programs[recipe.architecture].n_params
        download(self._node, Kind.MODEL, opening.model_root, _MASTER_SIZE * size)
        weights = download(self._node, Kind.WEIGHTS, opening.weights_root, size)
        return Replay(
            height,
            difference(trained, opening, self._committed_checkpoints(opening)) or SAME,
            self._measure(task, recipe, weights, height),
            recipe.has_parent,
            seconds,
        )

    def _train(self, task: Task, recipe: Recipe, final: FinalBody) -> TrainedModel:
        opening = final.disclosure.opening
        size = _MASTER_SIZE * task.loaded_programs[recipe.architecture].n_params
        data = self._fetcher.fetch(task.training_root, data_size(task.training_n, task.dims))
        examples = parse_examples(data, task.training_n, task.dims, task.classes)
        parent = download(self._node, Kind.MODEL, recipe.parent, size) if recipe.has_parent else None
        parts = SeedParts(opening.chain_id, opening.task_id, opening.release_id, final.disclosure.payout)
        return run_training(task, recipe, parts, examples, parent, self._backend)

    def _committed_checkpoints(self, opening: Opening) -> Checkpoints | None:
        kept = (read_checkpoints(folder, opening.checkpoints_root) for folder in self._checkpoint_folders)
        return next((states for states in kept if states is not None), None)

    def _measure(self, task: Task, recipe: Recipe, weights: bytes, height: int) -> int:
        release = self._schedule.releases_for(height)[-1].body
        data = self._fetcher.fetch(release.test_root, data_size(release.n, task.dims))
        shard = parse_examples(data, release.n, task.dims, task.classes)
        return measure(task.loaded_programs[recipe.architecture], weights, shard, self._backend).count


def difference(trained: TrainedModel, opening: Opening, committed: Checkpoints | None) -> str:
    """Say how a repeated training differs from what was committed; empty when it does not.

    The chain knows only the root over all checkpoints. With the miner's list of them, which leads to that
    root, the first epoch that differs is named; without it a difference lies at the last epoch or before.
    """
    epochs = opening.n_checkpoints - 1
    if trained.checkpoints_root != opening.checkpoints_root:
        return f"differs {_place(trained.checkpoints, committed, epochs)}"
    if trained.model_root != opening.model_root:
        return f"differs behind epoch {epochs}: the model is not the last checkpoint"
    if trained.weights_root != opening.weights_root:
        return f"differs behind epoch {epochs}: the weights are not the model's, rounded"
    return ""


def _place(found: Checkpoints, committed: Checkpoints | None, epochs: int) -> str:
    if committed is None:
        return f"at epoch {epochs} of {epochs} or before"
    first = next(
        (at for at, pair in enumerate(zip(found, committed, strict=False)) if pair[0] != pair[1]), None
    )
    if first is None:
        return f"in the number of epochs: {len(committed) - 1}, not {len(found) - 1}"
    return f"in epoch {first} of {epochs}" if first else "before the first epoch: another start"
