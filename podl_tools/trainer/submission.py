"""Commitments and reveals on their way to the node; everything may be repeated without harm."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from podl_tools.block import make_block
from podl_tools.chain.data import Kind, obtain_shard, upload
from podl_tools.chain.template import Template, draft_block
from podl_tools.dataset import data_size, parse_examples
from podl_tools.drafting import commit
from podl_tools.log import Saying
from podl_tools.measuring import measure
from podl_tools.reveal import Reveal
from podl_tools.tool_errors import TransferError

if TYPE_CHECKING:
    from podl_tools.chain.answers import Submission
    from podl_tools.chain.node import Node
    from podl_tools.entry import ReleaseBody
    from podl_tools.fetch import Fetcher
    from podl_tools.ml.backend import Backend
    from podl_tools.schedule import Placed, ScheduleLog
    from podl_tools.trainer.decisions import Slot
    from podl_tools.trainer.job import Job, JobStore

__all__ = ["Submitter"]

_LOGGER = logging.getLogger(__name__)


class Submitter:
    """
    Brings commitments and reveals to the node.

    Parameters
    ----------
    node
        Receives them.
    store
        Takes a block before the node hears of it.
    fetcher
        Cache and stores for opened shards.
    backend
        Where the own claim is measured.

    """

    def __init__(self, node: Node, store: JobStore, fetcher: Fetcher, backend: Backend) -> None:
        self._node = node
        self._store = store
        self._fetcher = fetcher
        self._backend = backend
        self._claims: dict[tuple[bytes, bytes], int] = {}
        self._refused: set[Slot] = set()
        self._say = Saying(_LOGGER)

    @property
    def closed(self) -> frozenset[Slot]:
        """Slots whose commitment or reveal the node refused; sending it again is pointless."""
        return frozenset(self._refused)

    def commit(self, log: ScheduleLog, job: Job) -> Job:
        """
        Commit to a job's model, if the node takes commitments for its height now.

        Returns
        -------
        Job
            With the committed block.

        """
        pool = self._node.commitments()
        if any(pooled.hash == job.block_hash for pooled in pool.commitments):
            return job
        template = Template.read(self._node.block_template())
        expected = log.commit_prev(job.height) or template.prev_block
        if not template.can_commit or template.height != job.height or template.prev_block != expected:
            return job
        if job.block is None or job.block.header.prev_block != expected:
            stamp_bits = log.task_for(job.height).body.stamp_bits
            block = draft_block(template, job.payout)
            header = commit(block.header, job.opening, job.recipe, job.payout, stamp_bits).header
            job = self._store.set_block(job, make_block(header, block.vtx))
        answer = self._node.submit_commitment(job.disclosure().header.serialize())
        self._note(job, "commitment", answer)
        return job

    def reveal(self, log: ScheduleLog, job: Job) -> bool:
        """
        Reveal a listed job for the latest attempt, and hand the node what it does not hold yet.

        Returns
        -------
        bool
            False when the opened shard or the node's consent is still missing.

        """
        release = log.latest_release(job.height)
        if release is None:
            return False
        known = self._node.candidates()
        mine = next((found for found in known.candidates if found.hash == job.block_hash), None)
        claim = self._claim(log, job, release)
        if claim is None:
            return False
        if mine is None or claim not in mine.claims:
            reveal = Reveal.sign(job.key, job.disclosure(), release.id, claim)
            answer = self._node.submit_reveal(reveal.serialize())
            self._note(job, f"reveal of {claim} correct out of {release.body.n}", answer)
            if not answer.held:
                return False
        held = (mine.body, mine.weights, mine.model) if mine is not None else (False, False, False)
        for kind, there in zip((Kind.BODY, Kind.WEIGHTS, Kind.MODEL), held, strict=True):
            if not there:
                # Sent again from the start if need be: a busy node may have dropped earlier pieces.
                answer = upload(self._node, kind, *_object(job, kind))
                level = logging.ERROR if answer.refused else logging.INFO
                self._say(f"height {job.height}, {kind.value}: {answer}", level)
        return True

    def _claim(self, log: ScheduleLog, job: Job, release: Placed[ReleaseBody]) -> int | None:
        key = job.opening.weights_root, release.id
        if key not in self._claims:
            task, body = log.task_for(job.height).body, release.body
            try:
                data = obtain_shard(self._node, self._fetcher, body.test_root, data_size(body.n, task.dims))
            except TransferError as error:
                self._say(f"the opened shard is not there yet: {error}")
                return None
            examples = parse_examples(data, body.n, task.dims, task.classes)
            program = task.loaded_programs[job.recipe.architecture]
            self._claims = {key: measure(program, job.weights, examples, self._backend).count}
        return self._claims[key]

    def _note(self, job: Job, what: str, answer: Submission) -> None:
        if answer.refused:
            self._refused.add(job.slot)
            _LOGGER.error("height %d, %s: %s", job.height, what, answer)
        else:
            self._say(f"height {job.height}, {what}: {answer}")


def _object(job: Job, kind: Kind) -> tuple[bytes, bytes]:
    """Name and bytes of one of a job's objects."""
    if kind is Kind.WEIGHTS:
        return job.opening.weights_root, job.weights
    if kind is Kind.MODEL:
        return job.opening.model_root, job.model
    block = job.committed()
    return block.header.hash, block.serialize()
