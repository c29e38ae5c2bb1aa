"""What a header's `hashModel` commits to (protocol section 4)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from podl_tools.codec import Kind, Layout, Reader, Writer
from podl_tools.constants import OPENING_SIZE, ZERO_HASH
from podl_tools.errors import RejectError
from podl_tools.hashing import Tag, tagged_hash
from podl_tools.merkle import tree_root

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["Opening", "checkpoint_leaf", "checkpoints_root"]

_LAYOUT: Final[Layout] = (
    ("chain_id", Kind.H32),
    ("task_id", Kind.H32),
    ("height", Kind.U32),
    ("release_id", Kind.H32),
    ("weights_root", Kind.H32),
    ("model_root", Kind.H32),
    ("n_params", Kind.U32),
    ("recipe_hash", Kind.H32),
    ("checkpoints_root", Kind.H32),
    ("n_checkpoints", Kind.U8),
    ("payout_hash", Kind.H32),
    ("reveal_key", Kind.H32),
    ("salt", Kind.H32),
)
# The salt alone may be anything.
_NEVER_NULL: Final = tuple(name for name, kind in _LAYOUT if kind is Kind.H32 and name != "salt")
_REASON: Final = "podl-opening-size"


@dataclass(frozen=True)
class Opening:
    """
    The values behind a header's `hashModel`; fields in the order of their bytes.

    Parameters
    ----------
    chain_id, task_id
        Ids of the chain's first task entry and of the one in force at `height`.
    height
        Height of the block.
    release_id
        Id of `release(height - 1, attempt 0)`; at the first height `chain_id`.
    weights_root, model_root
        Merkle roots of weight bytes and model bytes.
    n_params
        Number of parameters that the layer program gives.
    recipe_hash
        Hash of the recipe.
    checkpoints_root, n_checkpoints
        Tree over the checkpoints, epochs + 1 of them.
    payout_hash
        SHA-256 of the payout script.
    reveal_key
        x-only BIP340 key that signs claims.
    salt
        Secret until the reveal, so that the commitment cannot be guessed.

    """

    chain_id: bytes
    task_id: bytes
    height: int
    release_id: bytes
    weights_root: bytes
    model_root: bytes
    n_params: int
    recipe_hash: bytes
    checkpoints_root: bytes
    n_checkpoints: int
    payout_hash: bytes
    reveal_key: bytes
    salt: bytes

    def serialize(self) -> bytes:
        """Return the 329 bytes."""
        writer = Writer(_REASON)
        writer.fields(_LAYOUT, self)
        return writer.bytes()

    @classmethod
    def parse(cls, data: bytes) -> Opening:
        """
        Read 329 bytes.

        Raises
        ------
        RejectError
            `podl-opening-size`: another length.

        """
        if len(data) != OPENING_SIZE:
            raise RejectError(_REASON, f"an opening has {OPENING_SIZE} bytes, received {len(data)}")
        return cls(**Reader(data, _REASON).fields(_LAYOUT))

    @property
    def model_hash(self) -> bytes:
        """The header's `hashModel`."""
        return tagged_hash(Tag.COMMIT, self.serialize())

    def check_null(self) -> None:
        """
        Refuse all-zero roots, hashes, keys and ids.

        Raises
        ------
        RejectError
            `podl-hashmodel-null`.

        """
        for name in _NEVER_NULL:
            if getattr(self, name) == ZERO_HASH:
                raise RejectError("podl-hashmodel-null", f"{name} is null")


def checkpoint_leaf(index: int, master_root: bytes, velocity_root: bytes) -> bytes:
    """
    Leaf of checkpoint `index`, the state before that epoch.

    Parameters
    ----------
    index
        0 to the number of epochs.
    master_root
        Merkle root of the master weights as i32.
    velocity_root
        Merkle root of the velocity as i64.

    """
    return tagged_hash(Tag.CHECKPOINT, index.to_bytes(1, "little"), master_root, velocity_root)


def checkpoints_root(states: Sequence[tuple[bytes, bytes]]) -> bytes:
    """Root over the checkpoints, given as (master root, velocity root) from before the first epoch on."""
    return tree_root([checkpoint_leaf(index, *roots) for index, roots in enumerate(states)])
