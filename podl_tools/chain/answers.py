"""
The node's answers as records (docs/interfaces.md, RPC).

Block hashes are kept in serialised order (the reverse of what JSON shows); ids and roots as they are.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from podl_tools.tool_errors import NodeAnswerError

if TYPE_CHECKING:
    from podl_tools.chain.fields import Fields

__all__ = [
    "ACCEPTED",
    "DUPLICATE",
    "LATER",
    "REFUSED",
    "Alarm",
    "Candidate",
    "Candidates",
    "Commitments",
    "Info",
    "Job",
    "Piece",
    "PooledCommitment",
    "Submission",
]

ACCEPTED: Final = "accepted"
DUPLICATE: Final = "duplicate"
LATER: Final = "later"
REFUSED: Final = "refused"
_STATUSES: Final = frozenset({ACCEPTED, DUPLICATE, LATER, REFUSED})


@dataclass(frozen=True)
class Submission:
    """
    Outcome of a submission.

    Parameters
    ----------
    status
        `accepted`, `duplicate`, `later` (nobody is at fault, try again) or `refused`.
    reason, detail
        Only for `later` and `refused`.
    complete
        For data: whether the node now holds the whole object.

    """

    status: str
    reason: str = ""
    detail: str = ""
    complete: bool = False

    @property
    def held(self) -> bool:
        """Whether the node has it now."""
        return self.status in (ACCEPTED, DUPLICATE)

    @property
    def refused(self) -> bool:
        """Whether sending the same bytes again is pointless."""
        return self.status == REFUSED

    def __str__(self) -> str:
        """Show the outcome and, if there is one, the reason."""
        reason = f"{self.reason}: {self.detail}" if self.detail else self.reason
        return f"{self.status} ({reason})" if reason else self.status

    @classmethod
    def read(cls, fields: Fields) -> Submission:
        """Read the object every submission returns."""
        status = fields.text("status")
        if status not in _STATUSES:
            raise NodeAnswerError(f"unknown submission status {status!r:.40}")
        return cls(
            status,
            fields.text("reason") if "reason" in fields else "",
            fields.text("detail") if "detail" in fields else "",
            fields.flag("complete") if "complete" in fields else False,
        )


@dataclass(frozen=True)
class Alarm:
    """One of `getpodlinfo.alarms`: its reason, and what it is about as JSON shows it."""

    reason: str
    ids: tuple[str, ...]

    @classmethod
    def read(cls, fields: Fields) -> Alarm:
        """Read one element of `getpodlinfo.alarms`."""
        return cls(fields.text("reason"), fields.texts("ids"))


@dataclass(frozen=True)
class Info:
    """`getpodlinfo`, as far as the programs here need it; field names as in docs/interfaces.md."""

    podl_height: int
    chain_id: bytes
    task_id: bytes
    height: int
    phase: str
    attempt: int
    release_id: bytes | None
    opening_release_id: bytes
    prev: bytes | None
    entries: int
    digest: bytes
    state: str
    alarms: tuple[Alarm, ...]

    @property
    def committing(self) -> bool:
        """Whether the height is in Phase 1."""
        return self.phase == "commit"

    @classmethod
    def read(cls, fields: Fields) -> Info:
        """Read `getpodlinfo`."""
        phase = fields.text("phase")
        if phase not in ("commit", "reveal"):
            raise NodeAnswerError(f"getpodlinfo: unknown phase {phase!r:.40}")
        return cls(
            podl_height=fields.integer("podlheight"),
            chain_id=fields.root("chain_id"),
            task_id=fields.root("task_id"),
            height=fields.integer("height"),
            phase=phase,
            attempt=fields.integer("attempt") if "attempt" in fields else 0,
            release_id=fields.root_or_none("release_id"),
            opening_release_id=fields.root("opening_release_id"),
            prev=fields.block_hash_or_none("prev"),
            entries=fields.integer("entries"),
            digest=fields.root("digest"),
            state=fields.text("state"),
            alarms=tuple(Alarm.read(item) for item in fields.objects("alarms")),
        )


@dataclass(frozen=True)
class PooledCommitment:
    """One commitment the node holds: block hash, 112 header bytes, time of arrival in seconds."""

    hash: bytes
    header: bytes
    time: int


@dataclass(frozen=True)
class Commitments:
    """`listpodlcommitments`: height and block that are open for commitments, and those that have arrived."""

    height: int
    prev: bytes | None
    commitments: tuple[PooledCommitment, ...]

    @classmethod
    def read(cls, fields: Fields) -> Commitments:
        """Read `listpodlcommitments`."""
        return cls(
            fields.integer("height"),
            fields.block_hash_or_none("prev"),
            tuple(
                PooledCommitment(item.block_hash("hash"), item.data("hex"), item.integer("time"))
                for item in fields.objects("commitments")
            ),
        )


@dataclass(frozen=True)
class Candidate:
    """A listed header whose reveal the node has accepted; field names as in docs/interfaces.md."""

    hash: bytes
    position: int
    claims: tuple[int, ...]
    signatures: tuple[bytes, ...]
    opening: bytes
    recipe: bytes
    payout: bytes
    header: bytes
    weights_root: bytes
    model_root: bytes
    body: bool
    weights: bool
    model: bool
    state: str
    reason: str
    count: int | None
    rank_sum: int | None

    @classmethod
    def read(cls, fields: Fields) -> Candidate:
        """Read one element of `listpodlcandidates.candidates`."""
        return cls(
            hash=fields.block_hash("hash"),
            position=fields.integer("position"),
            claims=fields.integers("claims"),
            signatures=fields.hexes("signatures"),
            opening=fields.data("opening"),
            recipe=fields.data("recipe"),
            payout=fields.data("payout"),
            header=fields.data("header"),
            weights_root=fields.root("weights_root"),
            model_root=fields.root("model_root"),
            body=fields.flag("body"),
            weights=fields.flag("weights"),
            model=fields.flag("model"),
            state=fields.text("state"),
            reason=fields.text("reason") if "reason" in fields else "",
            count=fields.integer("count") if "count" in fields else None,
            rank_sum=fields.integer("rank_sum") if "rank_sum" in fields else None,
        )


@dataclass(frozen=True)
class Job:
    """Something the node wants measured: weights under `weights_root`, samples under `test_root`."""

    purpose: str
    height: int
    arithmetic: int
    program: bytes
    shape: tuple[int, ...]
    classes: int
    weights_root: bytes
    test_root: bytes
    n: int
    claim: int

    @classmethod
    def read(cls, fields: Fields) -> Job:
        """Read one element of `listpodlcandidates.jobs`."""
        return cls(
            purpose=fields.text("purpose"),
            height=fields.integer("height"),
            arithmetic=fields.integer("arithmetic"),
            program=fields.data("program"),
            shape=fields.integers("shape"),
            classes=fields.integer("classes"),
            weights_root=fields.root("weights_root"),
            test_root=fields.root("test_root"),
            n=fields.integer("n"),
            claim=fields.integer("claim"),
        )


@dataclass(frozen=True)
class Candidates:
    """`listpodlcandidates`: the round in its reveal phase, if there is one, and what is to be measured."""

    height: int
    attempt: int
    release_id: bytes | None
    shard: bool
    candidates: tuple[Candidate, ...]
    jobs: tuple[Job, ...]

    @classmethod
    def read(cls, fields: Fields) -> Candidates:
        """Read `listpodlcandidates`."""
        return cls(
            height=fields.integer("height"),
            attempt=fields.integer("attempt") if "attempt" in fields else 0,
            release_id=fields.root_or_none("release_id"),
            shard=fields.flag("shard") if "shard" in fields else False,
            candidates=tuple(Candidate.read(item) for item in fields.objects("candidates")),
            jobs=tuple(Job.read(item) for item in fields.objects("jobs")),
        )


@dataclass(frozen=True)
class Piece:
    """Part of an object: size of the whole in bytes, where the part begins, its bytes."""

    size: int
    offset: int
    data: bytes
