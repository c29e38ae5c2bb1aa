"""Phase 2 of a round: the opened shard, the reveals, and what the requester makes of them."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Final

from podl_tools.chain.answers import Alarm
from podl_tools.chain.data import Kind, upload
from podl_tools.chain.verdict import Verdict, verdict_key
from podl_tools.commitment import Opening
from podl_tools.dataset import parse_examples
from podl_tools.disclosure import Disclosure
from podl_tools.errors import RejectError
from podl_tools.header import Header
from podl_tools.recipe import Recipe
from podl_tools.requester.checking import CheckLaterError
from podl_tools.requester.entrants import Outcome
from podl_tools.reveal import Reveal
from podl_tools.tool_errors import DataMissingError, NodeAnswerError, TransferError

if TYPE_CHECKING:
    from podl_tools.chain.answers import Candidate
    from podl_tools.chain.node import Node
    from podl_tools.examples import Examples
    from podl_tools.requester.book import CheckBook
    from podl_tools.requester.checking import Checker
    from podl_tools.requester.entrants import Entrant
    from podl_tools.schedule import Round, Schedule
    from podl_tools.sealing import SealedTask
    from podl_tools.task import Task

__all__ = ["PhaseTwo"]

_LOGGER = logging.getLogger(__name__)
_EVALUATOR: Final = "podl-requester"
_CONFLICT: Final = "podl-verdict-conflict"


class PhaseTwo:
    """
    Collects, measures and checks the candidates of the open round.

    Parameters
    ----------
    node
        Holds reveals and bytes.
    checker
        Computes.
    book
        Remembers.
    reports
        Whether measurements are also reported to the node, which then needs no validator.

    """

    def __init__(self, node: Node, checker: Checker, book: CheckBook, *, reports: bool) -> None:
        self._node = node
        self._checker = checker
        self._book = book
        self._reports = reports
        self._candidates: dict[bytes, Candidate] = {}
        self._parsed: dict[bytes, Examples] = {}
        self._shard_held = False

    @property
    def failed(self) -> frozenset[bytes]:
        """Block hashes that failed a check for good."""
        return self._book.failed

    @property
    def revealed(self) -> frozenset[bytes]:
        """Block hashes whose reveal the node had at the last look."""
        return frozenset(self._candidates)

    @property
    def shard_held(self) -> bool:
        """Whether the node held the opened shard at the last look, and so can serve it."""
        return self._shard_held

    def entrants(self, current: Round, sealed: SealedTask) -> list[Entrant]:
        """
        Hand the node the opened shard if it lacks it, and list the reveals.

        Parameters
        ----------
        current
            The open round.
        sealed
            Its task with the shards.

        """
        found = self._node.candidates()
        if found.release_id != current.release.id:
            return []  # the node moved on; the next look will show it
        self._shard_held = found.shard
        if not found.shard:
            shard = sealed.shard(current.release.body.test_root)
            answer = upload(self._node, Kind.SHARD, shard.root, shard.data)
            self._shard_held = answer.held
            _LOGGER.info("shard %s: %s", shard.root.hex(), answer)
        self._book.keep_only(current.log.listed_for(current.height), current.release.id)
        self._candidates = {candidate.hash: candidate for candidate in found.candidates}
        return [self._book.entrant(candidate, current.release.id) for candidate in found.candidates]

    def measure(self, current: Round, sealed: SealedTask, entrant: Entrant) -> bool:
        """
        Evaluate a candidate and report the count to the node; False when the node cannot note it now.

        What the node has not taken counts as not measured: a final could be signed that the node, without
        another evaluator, never connects.
        """
        candidate = self._candidates[entrant.hash]
        task, release = current.task.body, current.release.body
        architecture = Recipe.parse(candidate.recipe).architecture
        program = task.loaded_programs[architecture]
        shard = self._examples(release.test_root, sealed.shard(release.test_root).data, release.n, task)
        try:
            found = self._checker.measure(program, candidate.weights_root, shard)
        except (DataMissingError, TransferError) as error:
            _LOGGER.info("candidate %s is not served: %s", entrant.hash[::-1].hex(), error)
            self._book.note_outcome(entrant.hash, Outcome.NOT_SERVED)
            return True
        if found is None:
            self._book.note_outcome(entrant.hash, Outcome.INVALID)
            return True
        device = self._checker.device(program)
        _LOGGER.info(
            "candidate %s: %d of %d correct, claims %s, on %s",
            entrant.hash[::-1].hex(),
            found.count,
            release.n,
            list(entrant.claims),
            device,
        )
        if self._reports:
            layers = task.programs[architecture]
            key = verdict_key(task.arithmetic, layers, candidate.weights_root, release.test_root)
            answer = self._node.submit_verdict(Verdict(key, found.count, found.rank_sum, device, _EVALUATOR))
            _LOGGER.info("verdict: %s", answer)
            if not answer.held and not answer.refused:
                return False
        self._book.note_measured(candidate.weights_root, current.release.id, found)
        return True

    def disagreement(self, current: Round, entrant: Entrant) -> str:
        """
        Compare the measurement made here with what evaluators have told the node.

        A final the node finds false would be void and end the schedule; with two different verdicts the node
        never connects the block. Somebody has to look first.

        Returns
        -------
        str
            What differs; empty when nothing does.

        """
        candidate, found = self._candidates[entrant.hash], entrant.measured
        name = entrant.hash[::-1].hex()
        roots = (candidate.weights_root.hex(), current.release.body.test_root.hex())
        if Alarm(_CONFLICT, roots) in self._node.info().alarms:
            return f"candidate {name}: the node has two different verdicts"
        if found is None or candidate.count is None:
            return ""
        if (candidate.count, candidate.rank_sum) == (found.count, found.rank_sum):
            return ""
        return (
            f"candidate {name}: {found.count} correct (rank sum {found.rank_sum}) here, "
            f"{candidate.count} (rank sum {candidate.rank_sum}) by the node's evaluator"
        )

    def check(self, current: Round, schedule: Schedule, sealed: SealedTask, entrant: Entrant) -> bool:
        """Check a candidate as a final vouches for it; False when that has to wait."""
        task = current.task.body
        training = self._examples(task.training_root, sealed.training, task.training_n, task)
        try:
            outcome = self._checker.check(current, schedule, self.reveal(current, entrant), training)
        except CheckLaterError as error:
            _LOGGER.info("a check has to wait: %s", error)
            return False
        self._book.note_outcome(entrant.hash, outcome)
        return True

    def reveal(self, current: Round, entrant: Entrant) -> Reveal:
        """
        Build the reveal whose claim is the measured count.

        Raises
        ------
        NodeAnswerError
            The node gave something that is no reveal.

        """
        candidate = self._candidates[entrant.hash]
        if entrant.measured is None or entrant.measured.count not in candidate.claims:
            raise NodeAnswerError("listpodlcandidates: the claim is gone")
        try:
            disclosure = Disclosure(
                Header.parse(candidate.header),
                Opening.parse(candidate.opening),
                candidate.recipe,
                candidate.payout,
            )
        except RejectError as error:
            raise NodeAnswerError(f"listpodlcandidates: {error}") from None
        claim = entrant.measured.count
        signature = candidate.signatures[candidate.claims.index(claim)]
        return Reveal(disclosure, current.release.id, claim, signature)

    def _examples(self, root: bytes, data: bytes, n: int, task: Task) -> Examples:
        """Parse our own data once; only a training set and one shard are kept."""
        if root not in self._parsed:
            kept = {task.training_root, root}
            self._parsed = {name: value for name, value in self._parsed.items() if name in kept}
            self._parsed[root] = parse_examples(data, n, task.dims, task.classes)
        return self._parsed[root]
