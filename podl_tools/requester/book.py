"""What the requester has found out about candidates; checks survive a restart, for a replay is dear."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from podl_tools.files import read_json, write_json
from podl_tools.requester.entrants import Entrant, Outcome
from podl_tools.tool_errors import InputFileError

if TYPE_CHECKING:
    from collections.abc import Callable, Collection
    from pathlib import Path

    from podl_tools.chain.answers import Candidate
    from podl_tools.winner import Measured

__all__ = ["CheckBook"]

_LASTING: Final = (Outcome.GOOD, Outcome.MISMATCH, Outcome.INVALID)
_RETRY_SECONDS: Final = 10.0
_NODE_INVALID: Final = "invalid"


class CheckBook:
    """
    Measurements and outcomes.

    Parameters
    ----------
    path
        File of the outcomes that last.
    clock
        Steady clock in seconds.

    Raises
    ------
    InputFileError
        The file is damaged.

    """

    def __init__(self, path: Path, clock: Callable[[], float]) -> None:
        self._path = path
        self._clock = clock
        self._outcomes: dict[bytes, Outcome] = {}
        self._passing: dict[bytes, float] = {}
        self._measured: dict[tuple[bytes, bytes], Measured] = {}
        if path.exists():
            self._outcomes = _read(path)

    @property
    def failed(self) -> frozenset[bytes]:
        """Block hashes that never can become a final."""
        return frozenset(name for name, outcome in self._outcomes.items() if outcome is not Outcome.GOOD)

    def note_outcome(self, block_hash: bytes, outcome: Outcome) -> None:
        """Note a check; what is not served may still be, so that lasts only a while."""
        if outcome in _LASTING:
            self._outcomes[block_hash] = outcome
            write_json(self._path, {name.hex(): found.value for name, found in self._outcomes.items()})
        else:
            self._passing[block_hash] = self._clock() + _RETRY_SECONDS

    def keep_only(self, kept: Collection[bytes], release_id: bytes) -> None:
        """Forget other block hashes than those kept, and measurements on other shards than the release's."""
        self._outcomes = {name: found for name, found in self._outcomes.items() if name in kept}
        self._passing = {name: until for name, until in self._passing.items() if name in kept}
        self._measured = {key: found for key, found in self._measured.items() if key[1] == release_id}

    def note_measured(self, weights_root: bytes, release_id: bytes, found: Measured) -> None:
        """Note a measurement on the shard of a release."""
        self._measured[weights_root, release_id] = found

    def entrant(self, candidate: Candidate, release_id: bytes) -> Entrant:
        """Join what the node says about a candidate and what is known here."""
        outcome = self._outcomes.get(candidate.hash)
        if outcome is None and candidate.state == _NODE_INVALID:
            outcome = Outcome.INVALID
        if outcome is None and self._passing.get(candidate.hash, 0.0) > self._clock():
            outcome = Outcome.NOT_SERVED
        return Entrant(
            hash=candidate.hash,
            position=candidate.position,
            claims=candidate.claims,
            weights=candidate.weights,
            complete=candidate.body and candidate.weights and candidate.model,
            measured=self._measured.get((candidate.weights_root, release_id)),
            outcome=outcome,
        )


def _read(path: Path) -> dict[bytes, Outcome]:
    try:
        return {bytes.fromhex(name): Outcome(value) for name, value in read_json(path).items()}
    except ValueError:
        raise InputFileError(f"{path}: damaged; without it candidates are checked anew") from None
