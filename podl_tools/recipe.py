"""How a model was trained: 96 bytes that make the training repeatable (protocol section 4)."""

from __future__ import annotations

from dataclasses import dataclass
from hashlib import sha256
from typing import TYPE_CHECKING, Final

from podl_tools.codec import Kind, Layout, Reader, Writer, layout_size
from podl_tools.constants import RECIPE_SIZE, ZERO_HASH
from podl_tools.errors import PodlError, RejectError
from podl_tools.hashing import Tag, tagged_hash
from podl_tools.program import check_batch

if TYPE_CHECKING:
    from podl_tools.program import Program
    from podl_tools.task import Task

__all__ = ["Recipe", "check_recipe", "payout_hash", "recipe_hash", "replay_macs", "training_seed"]

_LAYOUT: Final[Layout] = (
    ("version", Kind.U8),
    ("architecture", Kind.U8),
    ("b", Kind.U8),
    ("epochs", Kind.U8),
    ("k", Kind.U8),
    ("lr_odd", Kind.U8),
    ("drop", Kind.U8),
    ("mu", Kind.U8),
    ("trial", Kind.U16),
    ("parent", Kind.H32),
)
_PADDING: Final = bytes(RECIPE_SIZE - layout_size(_LAYOUT))
_REASON: Final = "podl-recipe-bounds"
_MAX_EPOCHS: Final = 254
# Forward pass, gradient, and error for the layer below cost one product each.
_PRODUCTS_PER_WEIGHT: Final = 3


@dataclass(frozen=True)
class Recipe:
    """
    A training's free choices.

    Parameters
    ----------
    architecture
        Index in the task's list of layer programs.
    b
        A batch has 2**b samples.
    epochs
        1 to 254.
    k
        The learning rate is 2**-k.
    drop
        0: constant rate; 1: k + 1 from epoch ceil(6E/10), k + 2 from ceil(8E/10).
    trial
        Enters the seed: another trial starts from other weights.
    parent
        Model root the training starts from, 32 zero bytes for fresh weights.

    """

    architecture: int
    b: int
    epochs: int
    k: int
    drop: int = 0
    trial: int = 0
    parent: bytes = ZERO_HASH

    version: Final = 1
    lr_odd: Final = 1
    mu: Final = 3

    @property
    def has_parent(self) -> bool:
        """Whether the training starts from an earlier model."""
        return self.parent != ZERO_HASH

    def serialize(self) -> bytes:
        """Return the 96 bytes."""
        writer = Writer(_REASON)
        writer.fields(_LAYOUT, self)
        writer.raw(_PADDING)
        return writer.bytes()

    @classmethod
    def parse(cls, data: bytes) -> Recipe:
        """
        Read 96 bytes.

        Raises
        ------
        RejectError
            `podl-recipe-size`: another length; `podl-recipe-bounds`: version, lr_odd, mu, drop, epochs or
            padding that no recipe has.

        """
        if len(data) != RECIPE_SIZE:
            raise RejectError("podl-recipe-size", f"a recipe has {RECIPE_SIZE} bytes, received {len(data)}")
        reader = Reader(data, _REASON)
        fields = reader.fields(_LAYOUT)
        for name, value in (("version", cls.version), ("lr_odd", cls.lr_odd), ("mu", cls.mu)):
            if fields.pop(name) != value:
                raise reader.fail(f"{name} must be {value}")
        if reader.take(len(_PADDING)) != _PADDING:
            raise reader.fail("padding must be zero")
        if fields["drop"] > 1 or not 1 <= fields["epochs"] <= _MAX_EPOCHS:
            raise reader.fail(f"drop {fields['drop']} or epochs {fields['epochs']} out of range")
        return cls(**fields)


def recipe_hash(recipe: bytes) -> bytes:
    """Hash of a recipe's 96 bytes, as an opening commits to it."""
    return tagged_hash(Tag.RECIPE, recipe)


def payout_hash(payout: bytes) -> bytes:
    """SHA-256 of a payout script, as an opening commits to it."""
    return sha256(payout).digest()


def replay_macs(recipe: Recipe, task: Task, program: Program) -> int:
    """Multiply-adds of repeating the training: 3 times the forward pass of every sample of every epoch."""
    samples = task.training_n >> recipe.b << recipe.b
    return _PRODUCTS_PER_WEIGHT * program.macs * samples * recipe.epochs


def check_recipe(recipe: Recipe, task: Task) -> Program:
    """
    Hold a recipe to the task's bounds.

    Parameters
    ----------
    recipe
        What `Recipe.parse` gave.
    task
        The task in force, which passed `check_task`.

    Returns
    -------
    Program
        The layer program that the recipe chose.

    Raises
    ------
    RejectError
        `podl-recipe-bounds`: a value outside the task's bounds, a batch larger than the training set or than
        the exact arithmetic allows for this program, or a replay above `max_replay_macs`.

    """
    if recipe.architecture >= len(task.programs):
        raise RejectError(_REASON, f"architecture {recipe.architecture}, the task has {len(task.programs)}")
    for name in ("b", "epochs", "k"):
        low, high = getattr(task, f"{name}_min"), getattr(task, f"{name}_max")
        if not low <= getattr(recipe, name) <= high:
            raise RejectError(_REASON, f"{name} must be {low}..{high}, received {getattr(recipe, name)}")
    if 1 << recipe.b > task.training_n:
        raise RejectError(_REASON, f"{task.training_n} training samples do not fill a batch of 2^{recipe.b}")
    program = task.loaded_programs[recipe.architecture]
    try:
        check_batch(program, recipe.b)
    except PodlError as error:
        raise RejectError(_REASON, str(error)) from None
    work = replay_macs(recipe, task, program)
    if work > task.max_replay_macs:
        raise RejectError(_REASON, f"replay of {work} multiply-adds exceeds {task.max_replay_macs}")
    return program


def training_seed(chain_id: bytes, task_id: bytes, release_id: bytes, payout: bytes, trial: int) -> bytes:
    """
    Seed of the generator of one training (protocol section 4).

    Parameters
    ----------
    chain_id, task_id
        Ids of the chain's first task entry and of the one in force.
    release_id
        The opening's release id: attempt 0 of the height before, or `chain_id` at the first height.
    payout
        Payout script.
    trial
        The recipe's trial.

    Returns
    -------
    bytes
        32 bytes.

    """
    return tagged_hash(
        Tag.SEED, chain_id, task_id, release_id, payout_hash(payout), trial.to_bytes(2, "little")
    )
