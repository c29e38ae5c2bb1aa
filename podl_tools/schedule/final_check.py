"""What a listed candidate discloses against its round: the rules that finals and reveals share."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from podl_tools.entry import SkipReason
from podl_tools.errors import FailureClass, RejectError
from podl_tools.keys import verify_reveal
from podl_tools.recipe import Recipe, check_recipe, payout_hash, recipe_hash

if TYPE_CHECKING:
    from podl_tools.disclosure import Disclosure
    from podl_tools.entry import FinalBody, ReleaseBody
    from podl_tools.header import Header
    from podl_tools.schedule.log import Placed, ScheduleLog
    from podl_tools.task import Task

__all__ = ["Round", "check_disclosure", "check_final", "check_listed"]


@dataclass(frozen=True)
class Round:
    """
    What candidates of a height are checked against.

    Parameters
    ----------
    log
        The schedule up to the release.
    height
        The open height.
    task
        Task in force there.
    release
        Latest attempt.
    opening_release_id
        Id that openings of this height name.

    """

    log: ScheduleLog
    height: int
    task: Placed[Task]
    release: Placed[ReleaseBody]
    opening_release_id: bytes

    @classmethod
    def current(cls, log: ScheduleLog) -> Round | None:
        """Return the round of the lowest height without a final; None without one, or once it is over."""
        height = log.next_height
        release = log.latest_release(height)
        opening_release_id = log.opening_release_id(height)
        if release is None or opening_release_id is None or not log.is_revealing:
            return None
        return cls(log, height, log.task_for(height), release, opening_release_id)

    def position(self, block_hash: bytes) -> int | None:
        """Place of a block hash in the release's list, None when it is not listed."""
        listed = self.release.body.listed
        return listed.index(block_hash) if block_hash in listed else None


def check_listed(current: Round, header: Header) -> None:
    """
    Demand that the release lists the header and that the header fits the release.

    Raises
    ------
    RejectError
        `podl-not-committed`, `podl-commit-prev` or `podl-commit-time`, all LATER.

    """
    if current.position(header.hash) is None:
        raise _later("podl-not-committed", "the release does not list this header")
    if header.prev_block != current.release.body.prev_block:
        raise _later("podl-commit-prev", "the header does not build on the release's block")
    if header.time > current.release.time:
        raise _later("podl-commit-time", "the header is dated behind the release")


def _later(reason: str, message: str) -> RejectError:
    return RejectError(reason, message, failure=FailureClass.LATER)


def check_disclosure(current: Round, disclosure: Disclosure, claim: int, signature: bytes) -> None:
    """
    Check opening, recipe, payout, parent, fresh roots and signed claim of a listed header.

    Parameters
    ----------
    current
        The open round.
    disclosure
        What the header's `hashModel` hides.
    claim, signature
        Signed claim for the round's latest attempt.

    Raises
    ------
    RejectError
        The first broken rule, in the order of protocol section 5; DATA.

    """
    _check_opening(current, disclosure)
    recipe = _check_training(current, disclosure)
    opening = disclosure.opening
    if payout_hash(disclosure.payout) != opening.payout_hash:
        raise RejectError("podl-payout", "the payout script is not the committed one")
    if recipe.has_parent and not current.log.is_parent(recipe.parent, opening.task_id, recipe.architecture):
        raise RejectError("podl-recipe-parent", "no earlier model of this task with this architecture")
    if current.log.uses_root(opening.weights_root) or current.log.uses_root(opening.model_root):
        raise RejectError("podl-model-duplicate", "an earlier final has this model")
    if claim > current.release.body.n:
        raise RejectError("podl-claim-range", f"claim {claim} of {current.release.body.n} samples")
    block_hash = disclosure.header.hash
    chain_id = current.log.chain_id
    if not verify_reveal(opening.reveal_key, chain_id, current.release.id, block_hash, claim, signature):
        raise RejectError("podl-reveal-sig", "the claim is not signed by the reveal key")


def _check_opening(current: Round, disclosure: Disclosure) -> None:
    opening = disclosure.opening
    if opening.model_hash != disclosure.header.model_hash:
        raise RejectError("podl-hashmodel", "the opening is not the committed one")
    opening.check_null()
    for reason, value, expected in (
        ("podl-opening-chain", opening.chain_id, current.log.chain_id),
        ("podl-opening-task", opening.task_id, current.task.id),
        ("podl-opening-height", opening.height, current.height),
        ("podl-opening-release", opening.release_id, current.opening_release_id),
    ):
        if value != expected:
            raise RejectError(reason, f"expected {expected!r}, received {value!r}")


def _check_training(current: Round, disclosure: Disclosure) -> Recipe:
    opening = disclosure.opening
    if recipe_hash(disclosure.recipe) != opening.recipe_hash:
        raise RejectError("podl-recipe-hash", "the recipe is not the committed one")
    recipe = Recipe.parse(disclosure.recipe)
    program = check_recipe(recipe, current.task.body)
    if opening.n_params != program.n_params:
        raise RejectError("podl-model-params", f"{opening.n_params} parameters instead of {program.n_params}")
    if opening.n_checkpoints != recipe.epochs + 1:
        raise RejectError(
            "podl-ckpt-count", f"{opening.n_checkpoints} checkpoints for {recipe.epochs} epochs"
        )
    return recipe


def check_final(current: Round, final: FinalBody) -> None:
    """
    Check everything about a final that is not grammar or time.

    Raises
    ------
    RejectError
        `podl-final-invalid` (EVIDENCE), with the broken rule's reason as detail.

    """
    try:
        _check_final_rules(current, final)
    except RejectError as error:
        raise RejectError(
            "podl-final-invalid", str(error), failure=FailureClass.EVIDENCE, detail=error.reason
        ) from error


def _check_final_rules(current: Round, final: FinalBody) -> None:
    header = final.disclosure.header
    if not header.is_podl:
        raise RejectError("podl-commit-version", f"version {header.version:#x}")
    check_listed(current, header)
    check_disclosure(current, final.disclosure, final.claim, final.reveal_signature)
    _check_skipped(current, final)
    if current.task.body.require_replay and not final.replayed:
        raise RejectError("podl-final-replay", "the task requires a replay")


def _check_skipped(current: Round, final: FinalBody) -> None:
    winner = current.position(final.disclosure.header.hash)
    last = -1
    for skipped in final.skipped:
        is_listed = last < skipped.index < len(current.release.body.listed) and skipped.index != winner
        if not is_listed or skipped.reason not in set(SkipReason):
            raise RejectError("podl-final-skipped", f"list index {skipped.index}, reason {skipped.reason}")
        last = skipped.index
