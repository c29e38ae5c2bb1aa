"""What happened at each height, put together from the schedule and from what was seen on the way."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from podl_tools.recipe import Recipe
from regtest.plan import miner_name

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from podl_tools.chain.answers import Candidate
    from podl_tools.entry import FinalBody, ReleaseBody
    from podl_tools.schedule import Placed, ScheduleLog


@dataclass(frozen=True)
class Entrant:
    """A revealed candidate.

    Parameters
    ----------
    hash, weights_root
        Block hash in the order of its bytes; root of its weights.
    architecture
        Index of its layer program.
    claim
        Its highest claim.
    """

    hash: bytes
    weights_root: bytes
    architecture: int
    claim: int

    @classmethod
    def of(cls, candidate: Candidate) -> Entrant:
        """Take what matters from the node's answer."""
        architecture = Recipe.parse(candidate.recipe).architecture
        return cls(candidate.hash, candidate.weights_root, architecture, max(candidate.claims))


@dataclass(frozen=True)
class Block:
    """A height that is decided.

    Parameters
    ----------
    height, hash
        Of the block; the hash in the order of its bytes.
    architecture, claim, samples
        The winner's layer program and correct samples, out of so many.
    model_root, test_root
        Roots of the winner's model and of the opened shard.
    shard, attempts
        Number of the shard that decided, and of attempts.
    listed, skipped
        Number of candidates that were listed and passed over.
    entrants
        Candidates that were seen with a claim.
    commit_seconds, reveal_seconds
        Duration of the phases.
    """

    height: int
    hash: bytes
    architecture: int
    claim: int
    samples: int
    model_root: bytes
    test_root: bytes
    shard: int
    attempts: int
    listed: int
    skipped: int
    entrants: tuple[Entrant, ...]
    commit_seconds: float
    reveal_seconds: float

    def line(self) -> str:
        """Describe the block in one line."""
        claims = ", ".join(f"{miner_name(entrant.architecture)} {entrant.claim}" for entrant in self.entrants)
        text = (
            f"height {self.height}: {self.listed} commitments, shard {self.shard} opened, claims {claims}; "
            f"winner {miner_name(self.architecture)} with {self.claim} of {self.samples}, "
            f"{self.commit_seconds + self.reveal_seconds:.1f} s"
        )
        return text if self.attempts == 1 else f"{text}, {self.attempts} attempts"


@dataclass
class History:
    """Collects candidates and times while the network runs."""

    candidates: dict[int, dict[bytes, Entrant]] = field(default_factory=dict)

    def see(self, height: int, candidates: Sequence[Candidate]) -> None:
        """Note revealed candidates of a height; later claims replace earlier ones."""
        seen = self.candidates.setdefault(height, {})
        for candidate in candidates:
            if candidate.claims:
                seen[candidate.hash] = Entrant.of(candidate)

    def entrants(self, height: int) -> tuple[Entrant, ...]:
        """Return the candidates seen at a height, by layer program and claim."""
        seen = self.candidates.get(height, {}).values()
        return tuple(sorted(seen, key=lambda entrant: (entrant.architecture, -entrant.claim)))

    def block(self, log: ScheduleLog, height: int, times: Mapping[bytes, float], started: float) -> Block:
        """Build the record of a height that has a final.

        Parameters
        ----------
        log : ScheduleLog
            The schedule.
        height : int
            Has a final.
        times : mapping
            Arrival of entries by their id, in seconds of any steady clock.
        started : float
            When miners could begin at the first height, on the same clock.
        """
        final, releases = log.final_for(height), log.releases_for(height)
        if final is None:
            raise LookupError(f"height {height} has no final")
        below = log.final_for(height - 1)
        opened = started if below is None else times[below.id]
        return _block(final, releases, self.entrants(height), opened, times)


def _block(
    final: Placed[FinalBody],
    releases: Sequence[Placed[ReleaseBody]],
    entrants: tuple[Entrant, ...],
    opened: float,
    times: Mapping[bytes, float],
) -> Block:
    body, last = final.body, releases[-1].body
    opening = body.disclosure.opening
    return Block(
        height=body.height,
        hash=body.disclosure.header.hash,
        architecture=Recipe.parse(body.disclosure.recipe).architecture,
        claim=body.claim,
        samples=last.n,
        model_root=opening.model_root,
        test_root=last.test_root,
        shard=last.shard_index,
        attempts=len(releases),
        listed=len(last.listed),
        skipped=len(body.skipped),
        entrants=entrants,
        commit_seconds=times[releases[0].id] - opened,
        reveal_seconds=times[final.id] - times[releases[0].id],
    )
