"""The requester's own check of a candidate: bytes, block, and the repeated training (protocol section 5)."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Final

import numpy as np

from podl_tools.block import parse_block
from podl_tools.chain.data import Kind, download, obtain_model
from podl_tools.coinbase import check_coinbase
from podl_tools.errors import FailureClass, ModelRangeError, ModelSizeError, PodlError, RejectError
from podl_tools.measuring import measure
from podl_tools.ml.model import parse_model, weight_bytes
from podl_tools.recipe import Recipe
from podl_tools.requester.entrants import Outcome
from podl_tools.tool_errors import DataMissingError, TransferError
from podl_tools.training_run import SeedParts, run_training
from podl_tools.winner import Measured

if TYPE_CHECKING:
    from collections.abc import Callable

    from podl_tools.chain.node import Node
    from podl_tools.examples import Examples
    from podl_tools.fetch import Fetcher
    from podl_tools.ml.backend import Backend
    from podl_tools.program import Program
    from podl_tools.reveal import Reveal
    from podl_tools.schedule import Round, Schedule
    from podl_tools.task import Task

__all__ = ["CheckLaterError", "Checker", "equal_share"]

_LOGGER = logging.getLogger(__name__)
_MASTER_SIZE: Final = 4
_MAX_BODY: Final = 4_000_000
# Two models trained apart share few weights; a copy with some bits changed shares nearly all.
_COPY_SHARE: Final = 0.9
# BIP 22 answers that say nothing about the block itself.
_UNDECIDED: Final = ("inconclusive", "duplicate-inconclusive")
_KNOWN_GOOD: Final = (None, "duplicate")


class CheckLaterError(PodlError):
    """The check cannot be made now; nobody is at fault."""


class Checker:
    """
    Measures and checks candidates.

    Parameters
    ----------
    node
        Holds the candidates' bytes and checks blocks.
    fetcher
        Keeps models of earlier finals, the parents of warm starts.
    backend
        Where to compute.
    on_step
        Called before each step of a replay; an exception it raises stops the replay.

    """

    def __init__(
        self, node: Node, fetcher: Fetcher, backend: Backend, on_step: Callable[[int], None]
    ) -> None:
        self._node = node
        self._fetcher = fetcher
        self._backend = backend
        self._on_step = on_step

    def device(self, program: Program) -> str:
        """Device that computes this program."""
        return self._backend.network(program).device

    def measure(self, program: Program, weights_root: bytes, shard: Examples) -> Measured | None:
        """
        Evaluate weights on the opened shard.

        Returns
        -------
        Measured or None
            None when the bytes are no weights of this program.

        Raises
        ------
        EvaluatorUnavailableError
            This machine cannot compute; that says nothing about the candidate.
        DataMissingError, TransferError
            The node does not give the bytes; that says nothing either.

        """
        try:
            weights = self._download(Kind.WEIGHTS, weights_root, program.n_params)
            found = measure(program, weights, shard, self._backend)
        except (ModelSizeError, ModelRangeError, RejectError) as error:
            _LOGGER.warning("weights %s cannot be evaluated: %s", weights_root.hex(), error)
            return None
        return Measured(found.count, found.rank_sum)

    def check(self, current: Round, schedule: Schedule, reveal: Reveal, training: Examples) -> Outcome:
        """
        Check everything that a final vouches for.

        Parameters
        ----------
        current, schedule
            The open round.
        reveal
            The candidate's reveal for the round's release.
        training
            The task's training set.

        Raises
        ------
        CheckLaterError
            Something outside the candidate is missing.

        """
        try:
            schedule.check_reveal(reveal)
            self._check_body(reveal)
            return self._replay(current, reveal, training)
        except (DataMissingError, TransferError) as error:
            _LOGGER.info("candidate %s is not served: %s", _name(reveal), error)
            return Outcome.NOT_SERVED
        except RejectError as error:
            if error.failure is FailureClass.LATER:
                raise CheckLaterError(str(error)) from error
            _LOGGER.warning("candidate %s is invalid: %s", _name(reveal), error)
            return Outcome.INVALID

    def _download(self, kind: Kind, root: bytes, size: int) -> bytes:
        """
        Get a candidate's bytes.

        A root commits to the length: bytes that the node holds for another candidate can be too long for this
        one, which is this one's fault and not the node's.
        """
        try:
            return download(self._node, kind, root, size)
        except TransferError as error:
            if error.reason != "podl-data-size":
                raise
            raise RejectError("podl-model-size", str(error)) from error

    def _check_body(self, reveal: Reveal) -> None:
        disclosure = reveal.disclosure
        data = download(self._node, Kind.BODY, disclosure.header.hash, _MAX_BODY)
        block = parse_block(data)
        if block.header != disclosure.header:
            raise RejectError("podl-body-mismatch", "the body has another header")
        check_coinbase(block.vtx[0], disclosure.payout)
        answer = self._node.propose(data)
        if answer is not None and answer.startswith(_UNDECIDED):
            raise CheckLaterError(f"the node cannot judge block {_name(reveal)} now: {answer}")
        if answer not in _KNOWN_GOOD:
            raise RejectError("podl-body-mismatch", f"the node refuses the block: {answer}")

    def _replay(self, current: Round, reveal: Reveal, training: Examples) -> Outcome:
        disclosure, task = reveal.disclosure, current.task.body
        opening, recipe = disclosure.opening, Recipe.parse(disclosure.recipe)
        program = task.loaded_programs[recipe.architecture]
        model = self._download(Kind.MODEL, opening.model_root, _MASTER_SIZE * program.n_params)
        weights = self._download(Kind.WEIGHTS, opening.weights_root, program.n_params)
        _check_model(program, model, weights)
        if not task.require_replay:
            return Outcome.GOOD
        parent = self._parent(task, recipe)
        parts = SeedParts(opening.chain_id, opening.task_id, opening.release_id, disclosure.payout)
        _LOGGER.info("replaying the training of %s, %d epochs", _name(reveal), recipe.epochs)
        found = run_training(task, recipe, parts, training, parent, self._backend, self._on_step)
        same = (found.model_root, found.weights_root, found.checkpoints_root) == (
            opening.model_root,
            opening.weights_root,
            opening.checkpoints_root,
        )
        if not same:
            _LOGGER.warning("candidate %s: podl-retrain-mismatch", _name(reveal))
            self._report_copy(current, reveal, model, program)
            return Outcome.MISMATCH
        # Kept for later replays from this parent, and to recognise copies of it.
        self._fetcher.keep(opening.model_root, model)
        _LOGGER.info("candidate %s: the replay gave the committed model and checkpoints", _name(reveal))
        return Outcome.GOOD

    def _parent(self, task: Task, recipe: Recipe) -> bytes | None:
        if not recipe.has_parent:
            return None
        size = _MASTER_SIZE * task.loaded_programs[recipe.architecture].n_params
        try:
            return obtain_model(self._node, self._fetcher, recipe.parent, size)
        except (DataMissingError, TransferError) as error:
            raise CheckLaterError(f"the parent's model is missing: {error}") from error

    def _report_copy(self, current: Round, reveal: Reveal, model: bytes, program: Program) -> None:
        """Say so when a model that did not replay is an earlier final's model with small changes."""
        parent = Recipe.parse(reveal.disclosure.recipe).parent
        for final in current.log.finals:
            root = final.body.disclosure.opening.model_root
            other = self._fetcher.cached(root, len(model))
            if root == parent or other is None:
                continue
            share = equal_share(program, model, other)
            if share > _COPY_SHARE:
                _LOGGER.warning(
                    "candidate %s: podl-model-copy: %.1f %% of its weights are those of height %d",
                    _name(reveal),
                    100 * share,
                    final.body.height,
                )


def equal_share(program: Program, model: bytes, other: bytes) -> float:
    """Share of weights (as bytes, that is rounded to 2**16) in which two models agree, 0 to 1."""
    one = np.frombuffer(weight_bytes(parse_model(program, model)), np.int8)
    two = np.frombuffer(weight_bytes(parse_model(program, other)), np.int8)
    return float(np.mean(one == two))


def _check_model(program: Program, model: bytes, weights: bytes) -> None:
    """Demand that the weights are the model's, rounded (protocol section 4)."""
    try:
        rounded = weight_bytes(parse_model(program, model))
    except PodlError as error:
        raise RejectError(error.reason, str(error)) from error
    if rounded != weights:
        raise RejectError("podl-model-range", "the weights are not the model's, rounded")


def _name(reveal: Reveal) -> str:
    return reveal.disclosure.header.hash[::-1].hex()
