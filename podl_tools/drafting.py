"""
Bodies and commitments that fit the schedule's state: what the requester signs and what a miner commits.

Pure: times, randomness and header templates are handed in. Tests, the demonstration network and the workers
use the same functions.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from podl_tools.commitment import Opening
from podl_tools.disclosure import Disclosure
from podl_tools.entry import Entry, FinalBody, ReleaseBody, Skipped
from podl_tools.errors import FailureClass, RejectError
from podl_tools.header import Header, grind
from podl_tools.recipe import Recipe, check_recipe, payout_hash, recipe_hash, training_seed

if TYPE_CHECKING:
    from collections.abc import Sequence

    from podl_tools.entry import Body
    from podl_tools.keys import SigningKey
    from podl_tools.reveal import Reveal
    from podl_tools.schedule import ScheduleLog
    from podl_tools.sealing import SealedTask

__all__ = [
    "ModelRoots",
    "commit",
    "draft_final",
    "draft_opening",
    "draft_release",
    "seed_at",
    "sign_next",
]


def sign_next(log: ScheduleLog, key: SigningKey, time: int, body: Body) -> Entry:
    """Sign the entry that follows the log's last one; the chain's first task when the log is empty."""
    return Entry.sign(key, log.chain_id, log.last_id, time, body)


def draft_release(
    log: ScheduleLog, sealed: SealedTask, prev_block: bytes, listed: Sequence[bytes]
) -> ReleaseBody:
    """
    Build the release that comes next.

    Parameters
    ----------
    log
        Accepted entries.
    sealed
        The task in force with its sealed shards.
    prev_block
        Block that the height builds on; given by the last final except at the first height.
    listed
        Block hashes of the admitted headers.

    Raises
    ------
    RejectError
        `podl-data-shards`: the list that is open is not here, or used up.

    """
    height = log.next_height
    current = log.shard_list(height)
    shards = sealed.lists.get(current.root)
    if shards is None or current.used >= len(shards):
        raise RejectError("podl-data-shards", f"no sealed shard {current.used} of list {current.root.hex()}")
    shard = shards[current.used]
    return ReleaseBody(
        height=height,
        attempt=len(log.releases_for(height)),
        prev_block=prev_block,
        shard_index=current.used,
        test_root=shard.root,
        n=shard.n,
        salt=shard.salt,
        path=shards.path(current.used),
        listed=tuple(listed),
    )


def draft_final(
    reveal: Reveal, release: ReleaseBody, *, replayed: bool, skipped: Sequence[Skipped]
) -> FinalBody:
    """
    Build the final that names a reveal's block.

    Parameters
    ----------
    reveal
        Of the winner, signed for this release.
    release
        Latest attempt of the open height.
    replayed
        Whether the training was repeated.
    skipped
        Better candidates passed over, by list index.

    """
    return FinalBody(
        height=release.height,
        attempt=release.attempt,
        disclosure=reveal.disclosure,
        claim=reveal.claim,
        reveal_signature=reveal.signature,
        replayed=replayed,
        skipped=tuple(skipped),
    )


@dataclass(frozen=True)
class ModelRoots:
    """Merkle roots of a trained model's weight bytes, model bytes and checkpoints."""

    weights: bytes
    model: bytes
    checkpoints: bytes


def _opening_release(log: ScheduleLog, height: int) -> bytes:
    release_id = log.opening_release_id(height)
    if release_id is None:
        raise RejectError(
            "podl-reveal-release", f"no release of height {height - 1} yet", failure=FailureClass.LATER
        )
    return release_id


def seed_at(log: ScheduleLog, height: int, payout: bytes, trial: int) -> bytes:
    """
    Seed of a training for `height`; known from release(height - 1, attempt 0) on.

    Raises
    ------
    RejectError
        `podl-reveal-release` (LATER): that release is not there yet.

    """
    release_id = _opening_release(log, height)
    return training_seed(log.chain_id, log.task_for(height).id, release_id, payout, trial)


def draft_opening(
    log: ScheduleLog,
    height: int,
    roots: ModelRoots,
    recipe: Recipe,
    payout: bytes,
    *,
    reveal_key: bytes,
    salt: bytes,
) -> Opening:
    """
    Build the opening of a commitment for `height`.

    Raises
    ------
    RejectError
        `podl-reveal-release` (LATER): the release below is not there yet; `podl-recipe-bounds`: the task does
        not allow this recipe.

    """
    placed = log.task_for(height)
    return Opening(
        chain_id=log.chain_id,
        task_id=placed.id,
        height=height,
        release_id=_opening_release(log, height),
        weights_root=roots.weights,
        model_root=roots.model,
        n_params=check_recipe(recipe, placed.body).n_params,
        recipe_hash=recipe_hash(recipe.serialize()),
        checkpoints_root=roots.checkpoints,
        n_checkpoints=recipe.epochs + 1,
        payout_hash=payout_hash(payout),
        reveal_key=reveal_key,
        salt=salt,
    )


def commit(template: Header, opening: Opening, recipe: Recipe, payout: bytes, stamp_bits: int) -> Disclosure:
    """
    Put an opening into a header and find its stamp.

    Parameters
    ----------
    template
        Header whose block pays `payout`; `model_hash` and nonce are replaced.
    opening, recipe, payout
        What `hashModel` hides.
    stamp_bits
        Of the task in force.

    Raises
    ------
    GrindError
        No nonce meets the stamp.

    """
    header = grind(replace(template, nonce=0, model_hash=opening.model_hash), stamp_bits)
    return Disclosure(header, opening, recipe.serialize(), payout)
