"""The miner's loop: look at the schedule, decide, act; the training itself runs beside it."""

from __future__ import annotations

import logging
import secrets
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from podl_tools.constants import HASH_SIZE
from podl_tools.drafting import ModelRoots, draft_opening
from podl_tools.keys import SigningKey
from podl_tools.recipe import Recipe, check_recipe
from podl_tools.tool_errors import TransferError
from podl_tools.trainer.decisions import Commit, Forget, Reveal, StopTraining, Train, decide, latest_parent
from podl_tools.training_run import SeedParts, run_training

if TYPE_CHECKING:
    from collections.abc import Callable

    from podl_tools.chain.follow import ScheduleFollower
    from podl_tools.files import ChainMark
    from podl_tools.ml.backend import Backend
    from podl_tools.schedule import ScheduleLog
    from podl_tools.trainer.decisions import Action, Slot
    from podl_tools.trainer.job import JobStore
    from podl_tools.trainer.material import Material
    from podl_tools.trainer.submission import Submitter
    from podl_tools.trainer.worker import TrainingWorker
    from podl_tools.training_run import TrainedModel

__all__ = ["Choices", "Miner"]

_LOGGER = logging.getLogger(__name__)
# An opened shard reaches the stores a moment after its release, and nothing announces that.
_SHARD_SECONDS: Final = 0.5


@dataclass(frozen=True)
class Choices:
    """
    What a miner is free to choose.

    Parameters
    ----------
    architecture, b, epochs, k, drop, trial
        Fields of the recipe.
    warm_start
        Whether to start from the latest final's model of this architecture.
    payout
        Payout script.

    """

    architecture: int
    b: int
    epochs: int
    k: int
    drop: int
    trial: int
    warm_start: bool
    payout: bytes

    def recipe(self, parent: bytes | None) -> Recipe:
        """Recipe with these choices."""
        plain = Recipe(self.architecture, self.b, self.epochs, self.k, self.drop, self.trial)
        return plain if parent is None else Recipe(**{**plain.__dict__, "parent": parent})


class Miner:
    """
    Trains, commits, reveals.

    Parameters
    ----------
    follower
        The schedule.
    mark
        Ties the data directory to the chain.
    store
        Jobs on disk.
    choices
        How to train.
    material
        Training set and parent models.
    submitter
        Talks to the node about commitments and reveals.
    worker
        Runs the training.
    backend
        Where to compute.

    """

    def __init__(
        self,
        follower: ScheduleFollower,
        mark: ChainMark,
        store: JobStore,
        choices: Choices,
        material: Material,
        submitter: Submitter,
        worker: TrainingWorker,
        backend: Backend,
    ) -> None:
        self._follower = follower
        self._mark = mark
        self._store = store
        self._choices = choices
        self._material = material
        self._submitter = submitter
        self._worker = worker
        self._backend = backend
        self._jobs = store.load()
        self._recipes: dict[Slot, Recipe] = {}
        self._waits_for = ""
        self._due: float | None = None

    def step(self) -> float | None:
        """
        Look at the node once and do what is to be done.

        Returns
        -------
        float or None
            Seconds after which it should look again even without news.

        """
        self._due = None
        info = self._follower.update()
        self._mark.check(info.chain_id)
        self._collect()
        log = self._follower.schedule
        for action in decide(log, self._jobs, self._worker.slot, self._submitter.closed, info.prev):
            self._act(log, action)
        return self._due

    def stop(self) -> None:
        """End the running training."""
        self._worker.stop()
        _LOGGER.info("%.0f %% of the time was spent training", 100 * self._worker.share)

    def _act(self, log: ScheduleLog, action: Action) -> None:
        match action:
            case Train(slot):
                self._train(log, slot)
            case StopTraining():
                _LOGGER.info("the running training comes too late and is given up")
                self._worker.stop()
            case Commit(job):
                committed = self._submitter.commit(log, job)
                self._jobs = [committed if other is job else other for other in self._jobs]
            case Reveal(job, _):
                if not self._submitter.reveal(log, job):
                    self._due = _SHARD_SECONDS
            case Forget(job):
                self._store.remove(job)
                self._jobs.remove(job)

    def _train(self, log: ScheduleLog, slot: Slot) -> None:
        height, release_id = slot
        task = log.task_for(height)
        choices = self._choices
        wanted = latest_parent(log, task.id, choices.architecture) if choices.warm_start else None
        try:
            examples = self._material.training_set(task.body)
            parent = (
                None if wanted is None else self._material.parent(task.body, choices.architecture, wanted)
            )
        except TransferError as error:
            self._note_wait(str(error))
            return
        self._note_wait("")
        recipe = choices.recipe(wanted if parent is not None else None)
        check_recipe(recipe, task.body)
        parts = SeedParts(log.chain_id, task.id, release_id, choices.payout)
        backend = self._backend

        def run(check: Callable[[int], None]) -> TrainedModel:
            return run_training(task.body, recipe, parts, examples, parent, backend, check)

        _LOGGER.info(
            "training for height %d, %s", height, "warm start" if recipe.has_parent else "fresh weights"
        )
        self._recipes = {slot: recipe}
        self._worker.start(slot, run)

    def _note_wait(self, why: str) -> None:
        if why and why != self._waits_for:
            _LOGGER.warning("cannot train yet: %s", why)
        self._waits_for = why

    def _collect(self) -> None:
        slot = self._worker.slot
        trained = self._worker.collect()
        log = self._follower.schedule
        if trained is None or slot is None or log.opening_release_id(slot[0]) != slot[1]:
            return
        self._keep(log, slot, trained)
        share = 100 * self._worker.share
        _LOGGER.info("trained for height %d; %.0f %% of the time so far was training", slot[0], share)

    def _keep(self, log: ScheduleLog, slot: Slot, trained: TrainedModel) -> None:
        secret = secrets.token_bytes(HASH_SIZE)
        recipe = self._recipes[slot]
        opening = draft_opening(
            log,
            slot[0],
            ModelRoots(trained.weights_root, trained.model_root, trained.checkpoints_root),
            recipe,
            self._choices.payout,
            reveal_key=SigningKey(secret).public,
            salt=secrets.token_bytes(HASH_SIZE),
        )
        self._jobs.append(self._store.add(opening, recipe, self._choices.payout, secret, trained))
