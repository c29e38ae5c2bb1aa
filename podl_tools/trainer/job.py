"""What a miner keeps about one commitment, on disk before the node hears of it."""

from __future__ import annotations

import shutil
from dataclasses import dataclass, replace
from itertools import chain
from typing import TYPE_CHECKING, Any, Final

from podl_tools.block import PodlBlock, parse_block
from podl_tools.commitment import Opening, checkpoints_root
from podl_tools.constants import HASH_SIZE
from podl_tools.disclosure import Disclosure
from podl_tools.errors import RejectError
from podl_tools.files import make_directory, read_file, read_json, write_file, write_json
from podl_tools.keys import SigningKey
from podl_tools.merkle import data_root
from podl_tools.recipe import Recipe
from podl_tools.tool_errors import InputFileError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from podl_tools.training_run import TrainedModel

__all__ = ["CHECKPOINTS", "Job", "JobStore", "read_checkpoints", "write_checkpoints"]

CHECKPOINTS: Final = "checkpoints"
_MAX_CHECKPOINTS: Final = 255  # their number is a u8
_RECORD: Final = "job.json"
_BLOCK: Final = "block"


@dataclass(frozen=True)
class Job:
    """
    One trained model and its commitment.

    Parameters
    ----------
    opening
        What the header's `hashModel` hides; names height and release.
    recipe
        How it was trained.
    payout
        Payout script.
    reveal_secret
        Secret of the opening's reveal key, 32 bytes.
    directory
        Where model, weights and block lie.
    block
        The committed block; None before the commitment.

    """

    opening: Opening
    recipe: Recipe
    payout: bytes
    reveal_secret: bytes
    directory: Path
    block: PodlBlock | None = None

    @property
    def height(self) -> int:
        """Height of the block."""
        return self.opening.height

    @property
    def slot(self) -> tuple[int, bytes]:
        """Height and release id that the training is bound to."""
        return self.opening.height, self.opening.release_id

    @property
    def block_hash(self) -> bytes | None:
        """Hash of the committed block."""
        return None if self.block is None else self.block.header.hash

    @property
    def key(self) -> SigningKey:
        """Key that signs claims."""
        return SigningKey(self.reveal_secret)

    @property
    def weights(self) -> bytes:
        """Weight bytes, from disk."""
        return read_file(self.directory / "weights")

    @property
    def model(self) -> bytes:
        """Model bytes, from disk."""
        return read_file(self.directory / "model")

    def disclosure(self) -> Disclosure:
        """Return what a reveal discloses; raises as `committed` does."""
        return Disclosure(self.committed().header, self.opening, self.recipe.serialize(), self.payout)

    def committed(self) -> PodlBlock:
        """
        Return the committed block.

        Raises
        ------
        InputFileError
            Nothing was committed yet.

        """
        if self.block is None:
            raise InputFileError(f"{self.directory}: no block to reveal")
        return self.block


class JobStore:
    """
    The jobs of a data directory.

    Parameters
    ----------
    directory
        Made when missing. The roots of every checkpoint are kept in the folder `checkpoints` beside it, also
        when the job is removed: with them an auditor can name the epoch where a replay differs.

    """

    def __init__(self, directory: Path) -> None:
        make_directory(directory)
        self._directory = directory
        self._checkpoints = directory.with_name(CHECKPOINTS)
        make_directory(self._checkpoints)

    def load(self) -> list[Job]:
        """
        Read every job, lowest height first; half-written ones are removed.

        Raises
        ------
        InputFileError
            A file is damaged; without the job's folder its model is trained anew.

        """
        jobs = []
        for directory in sorted(self._directory.iterdir()):
            if (directory / _RECORD).exists():
                jobs.append(_read(directory))
            else:
                shutil.rmtree(directory)
        return jobs

    def add(
        self, opening: Opening, recipe: Recipe, payout: bytes, secret: bytes, trained: TrainedModel
    ) -> Job:
        """Write a trained model with its secrets; it is on disk when this returns."""
        directory = self._directory / f"{opening.height:010d}-{opening.release_id.hex()}"
        make_directory(directory)
        job = Job(opening, recipe, payout, secret, directory)
        write_file(directory / "model", trained.model)
        write_file(directory / "weights", trained.weights)
        write_checkpoints(self._checkpoints, trained.checkpoints)
        record = {
            "opening": opening.serialize().hex(),
            "recipe": recipe.serialize().hex(),
            "payout": payout.hex(),
            "reveal_secret": secret.hex(),
        }
        write_json(directory / _RECORD, record)
        return job

    def set_block(self, job: Job, block: PodlBlock) -> Job:
        """Write the block that is going to be committed, in place of an earlier one."""
        write_file(job.directory / _BLOCK, block.serialize())
        return replace(job, block=block)

    def remove(self, job: Job) -> None:
        """Forget a job whose height is past; what a crash leaves of it goes at the next start."""
        (job.directory / _RECORD).unlink()
        shutil.rmtree(job.directory)


def write_checkpoints(folder: Path, states: Sequence[tuple[bytes, bytes]]) -> None:
    """Keep (master root, velocity root) of every checkpoint, 64 bytes each, under their tree's root."""
    write_file(folder / checkpoints_root(states).hex(), b"".join(chain.from_iterable(states)))


def read_checkpoints(folder: Path, root: bytes) -> tuple[tuple[bytes, bytes], ...] | None:
    """Read what `write_checkpoints` kept; None when there is nothing that leads to this root."""
    path = folder / root.hex()
    if not path.exists():
        return None
    data = read_file(path)
    hashes = [data[at : at + HASH_SIZE] for at in range(0, len(data), HASH_SIZE)]
    states = tuple(zip(hashes[::2], hashes[1::2], strict=False))
    complete = len(data) == 2 * HASH_SIZE * len(states) and 0 < len(states) <= _MAX_CHECKPOINTS
    return states if complete and checkpoints_root(states) == root else None


def _read(directory: Path) -> Job:
    path = directory / _BLOCK
    try:
        record = read_json(directory / _RECORD)
        opening = Opening.parse(_hex(record, "opening"))
        recipe = Recipe.parse(_hex(record, "recipe"))
        block = parse_block(read_file(path)) if path.exists() else None
        _check(directory, opening, block)
        return Job(opening, recipe, _hex(record, "payout"), _hex(record, "reveal_secret"), directory, block)
    except (RejectError, InputFileError) as error:
        raise InputFileError(
            f"{directory} is damaged ({error}); remove the folder, and its model is trained anew"
        ) from None


def _check(directory: Path, opening: Opening, block: PodlBlock | None) -> None:
    """Demand that the files are those that the opening commits to."""
    if block is not None and block.header.model_hash != opening.model_hash:
        raise RejectError("podl-hashmodel", "the block is another model's")
    for name, root in (("model", opening.model_root), ("weights", opening.weights_root)):
        if data_root(read_file(directory / name)) != root:
            raise RejectError("podl-data-root", f"the file {name} has other bytes than were trained")


def _hex(record: dict[str, Any], name: str) -> bytes:
    try:
        return bytes.fromhex(record[name])
    except (KeyError, TypeError, ValueError):
        raise RejectError("podl-data-file", f"field {name} is missing or no hex") from None
