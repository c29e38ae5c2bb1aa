"""
A PoDL node in memory, for tests of the programs around it: docs/interfaces.md over the Python protocol model.

It answers the calls of `podl_tools.chain.rpc.Transport`. Blocks have no transactions of their own, time is
whatever the test says, and nothing goes over a network.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from hashlib import sha256
from typing import TYPE_CHECKING, Any

from podl_tools.block import parse_block
from podl_tools.coinbase import check_coinbase
from podl_tools.entry import Entry
from podl_tools.errors import FailureClass, RejectError
from podl_tools.header import check_commitment
from podl_tools.merkle import data_root
from podl_tools.recipe import Recipe
from podl_tools.reveal import Reveal
from podl_tools.schedule import Round, Schedule, Status, Submission
from podl_tools.tool_errors import DataMissingError, NodeUnreachableError, RpcError
from podl_tools.winner import Contender, Measured, add_claim, evaluation_order, winner

if TYPE_CHECKING:
    from collections.abc import Callable

    from podl_tools.disclosure import Disclosure

ACCEPTED = Submission(Status.ACCEPTED)
DUPLICATE = Submission(Status.DUPLICATE)
PIECE = 1 << 20


def later(reason: str) -> RejectError:
    return RejectError(reason, "", failure=FailureClass.LATER)


def answer(outcome: Submission, **more: Any) -> dict[str, Any]:
    reason = {"reason": outcome.reason, "detail": outcome.detail} if outcome.reason else {}
    return {"status": outcome.status.value, **reason, **more}


@dataclass
class Revealed:
    disclosure: Disclosure
    claims: tuple[int, ...] = ()
    signatures: dict[int, bytes] = field(default_factory=dict)


class FakeNode:
    """One node; every attribute may be looked at and changed by a test."""

    def __init__(self, first_task: Entry, clock: Callable[[], int]) -> None:
        self.clock = clock
        self.schedule = Schedule()
        self.first_task = first_task
        assert self.schedule.submit(first_task, first_task.time, lambda _: None) == ACCEPTED
        self.tip = sha256(b"block below the first height").digest()
        self.tip_height = self.schedule.first_height - 1
        self.commitments: dict[bytes, tuple[bytes, int]] = {}
        self.revealed: dict[bytes, Revealed] = {}
        self.objects: dict[tuple[str, bytes], bytes] = {}
        self.pieces: dict[tuple[str, bytes], bytes] = {}
        self.verdicts: dict[tuple[bytes, bytes, bytes], Measured] = {}
        self.conflicts: set[tuple[bytes, bytes, bytes]] = set()
        self.reported: list[dict[str, Any]] = []
        self.proposal_answer: str | None = None
        self.calls: list[str] = []
        self.is_down = False

    def call(self, method: str, *params: Any) -> Any:
        """Answer an RPC."""
        self.calls.append(method)
        if self.is_down:
            raise NodeUnreachableError("the node is down")
        found = getattr(self, f"rpc_{method}", None)
        if found is None:
            raise RpcError(method, -32601, "Method not found")
        result = found(*params)
        self.connect()
        return result

    def submit(self, body: Callable[[], Submission], **more: Any) -> dict[str, Any]:
        try:
            return answer(body(), **more)
        except RejectError as error:
            return answer(Submission.of_error(error), **more)

    def height_of(self, block_hash: bytes) -> int | None:
        return self.tip_height if block_hash == self.tip else None

    def round(self) -> Round | None:
        return Round.current(self.schedule)

    def expected_prev(self) -> bytes | None:
        height = self.schedule.next_height
        if height == self.schedule.first_height:
            return self.tip if self.tip_height == height - 1 else None
        return self.schedule.commit_prev(height)

    def can_commit(self) -> bool:
        return self.expected_prev() == self.tip

    def connect(self) -> None:
        """Make finals' blocks the tip once body and verdict are there."""
        final = self.schedule.final_for(self.tip_height + 1)
        while final is not None and self.may_connect(final.body.disclosure, final.body.claim):
            self.tip, self.tip_height = final.body.disclosure.header.hash, final.body.height
            final = self.schedule.final_for(self.tip_height + 1)

    def may_connect(self, disclosure: Disclosure, claim: int) -> bool:
        release = self.schedule.latest_release(disclosure.opening.height)
        if release is None or ("body", disclosure.header.hash) not in self.objects:
            return False
        key = self.verdict_key(disclosure, release.body.test_root)
        measured = self.verdicts.get(key)
        return measured is not None and measured.count == claim and key not in self.conflicts

    def verdict_key(self, disclosure: Disclosure, test_root: bytes) -> tuple[bytes, bytes, bytes]:
        task = self.schedule.task_for(disclosure.opening.height).body
        program = task.programs[Recipe.parse(disclosure.recipe).architecture]
        return sha256(program).digest(), disclosure.opening.weights_root, test_root

    def is_asked(self, key: tuple[bytes, ...]) -> bool:
        """Whether a candidate of the open round or a final has this verdict key."""
        named = [held.disclosure for held in self.revealed.values()]
        named += [final.body.disclosure for final in self.schedule.finals]
        for disclosure in named:
            release = self.schedule.latest_release(disclosure.opening.height)
            if release is not None and self.verdict_key(disclosure, release.body.test_root) == key:
                return True
        return False

    # RPC

    def rpc_getpodlinfo(self) -> dict[str, Any]:
        log = self.schedule
        height = log.next_height
        release = log.latest_release(height) if log.is_revealing else None
        prev = self.expected_prev()
        more = {"attempt": release.body.attempt, "release_id": release.id.hex()} if release else {}
        return {
            "podlheight": log.first_height,
            "chain_id": log.chain_id.hex(),
            "task_id": log.task_for(height).id.hex(),
            "height": height,
            "phase": "reveal" if release else "commit",
            "opening_release_id": (log.opening_release_id(height) or b"").hex(),
            "prev": prev[::-1].hex() if prev else "",
            "entries": len(log.entries),
            "digest": log.last_id.hex(),
            "state": "frozen" if log.is_frozen else "void" if log.void_final else "running",
            "alarms": self.alarms(),
            **more,
        }

    def alarms(self) -> list[dict[str, Any]]:
        forks = [(alarm.accepted.hex(), alarm.other.hex()) for alarm in self.schedule.alarms]
        conflicts = [(weights.hex(), test.hex()) for _, weights, test in self.conflicts]
        named = [("podl-entry-equivocation", forks), ("podl-verdict-conflict", conflicts)]
        return [{"reason": reason, "ids": list(ids)} for reason, about in named for ids in about]

    def rpc_getpodlschedule(self, start: int, count: int, _verbosity: int) -> dict[str, Any]:
        entries = [{"hex": entry.serialize().hex()} for entry in self.schedule.entries[start : start + count]]
        return {"total": len(self.schedule.entries), "entries": entries}

    def rpc_submitpodlentry(self, data: str) -> dict[str, Any]:
        def body() -> Submission:
            outcome = self.schedule.submit(Entry.parse(bytes.fromhex(data)), self.clock(), self.height_of)
            if outcome == ACCEPTED:
                self.revealed.clear()
            return outcome

        return self.submit(body, id="")

    def rpc_submitpodlcommitment(self, data: str) -> dict[str, Any]:
        def body() -> Submission:
            task = self.schedule.task_for(self.schedule.next_height).body
            header = check_commitment(bytes.fromhex(data), task.stamp_bits)
            if header.prev_block != self.expected_prev():
                raise later("podl-commit-prev")
            if header.hash in self.commitments:
                return DUPLICATE
            self.commitments[header.hash] = bytes.fromhex(data), self.clock()
            return ACCEPTED

        return self.submit(body, hash="")

    def rpc_listpodlcommitments(self) -> dict[str, Any]:
        prev = self.expected_prev()
        open_now = [
            {"hash": name[::-1].hex(), "hex": data.hex(), "time": time}
            for name, (data, time) in self.commitments.items()
            if data[4:36] == prev
        ]
        return {
            "height": self.schedule.next_height,
            "prev": prev[::-1].hex() if prev else "",
            "commitments": open_now,
        }

    def rpc_submitpodlreveal(self, data: str) -> dict[str, Any]:
        def body() -> Submission:
            reveal = Reveal.parse(bytes.fromhex(data))
            self.schedule.check_reveal(reveal)
            held = self.revealed.setdefault(reveal.disclosure.header.hash, Revealed(reveal.disclosure))
            if reveal.claim in held.claims:
                return DUPLICATE
            held.claims = add_claim(held.claims, reveal.claim)
            held.signatures[reveal.claim] = reveal.signature
            return ACCEPTED

        return self.submit(body, hash="")

    def contender(self, current: Round, name: bytes) -> Contender:
        held = self.revealed[name]
        key = self.verdict_key(held.disclosure, current.release.body.test_root)
        trusted = None if key in self.conflicts else self.verdicts.get(key)
        return Contender(current.position(name) or 0, held.claims, trusted)

    def rpc_listpodlcandidates(self) -> dict[str, Any]:
        current = self.round()
        if current is None:
            return {"height": self.schedule.next_height, "candidates": [], "jobs": []}
        release = current.release.body
        contenders = {self.contender(current, name).position: name for name in self.revealed}
        order = evaluation_order([self.contender(current, name) for name in self.revealed])
        jobs = [self.job(current, contenders[one.position]) for one in order]
        return {
            "height": current.height,
            "attempt": release.attempt,
            "release_id": current.release.id.hex(),
            "test_root": release.test_root.hex(),
            "n": release.n,
            "shard": ("shard", release.test_root) in self.objects,
            "candidates": [self.candidate(current, contenders[at]) for at in sorted(contenders)],
            "jobs": [job for job in jobs if job is not None],
        }

    def candidate(self, current: Round, name: bytes) -> dict[str, Any]:
        held = self.revealed[name]
        opening = held.disclosure.opening
        contender = self.contender(current, name)
        state = "waiting-verdict" if contender.measured is None else "false-claim"
        return {
            "hash": name[::-1].hex(),
            "position": contender.position,
            "claims": list(held.claims),
            "signatures": [held.signatures[claim].hex() for claim in held.claims],
            "opening": opening.serialize().hex(),
            "recipe": held.disclosure.recipe.hex(),
            "payout": held.disclosure.payout.hex(),
            "header": held.disclosure.header.serialize().hex(),
            "weights_root": opening.weights_root.hex(),
            "model_root": opening.model_root.hex(),
            "body": ("body", name) in self.objects,
            "weights": ("weights", opening.weights_root) in self.objects,
            "model": ("model", opening.model_root) in self.objects,
            "state": "valid" if contender.is_verified else state,
            **(asdict(contender.measured) if contender.measured else {}),
        }

    def job(self, current: Round, name: bytes) -> dict[str, Any] | None:
        disclosure = self.revealed[name].disclosure
        release, task = current.release.body, current.task.body
        weights_root = disclosure.opening.weights_root
        if ("weights", weights_root) not in self.objects or ("shard", release.test_root) not in self.objects:
            return None
        return {
            "purpose": "candidate",
            "height": current.height,
            "arithmetic": task.arithmetic,
            "program": task.programs[Recipe.parse(disclosure.recipe).architecture].hex(),
            "shape": list(task.dims),
            "classes": task.classes,
            "weights_root": weights_root.hex(),
            "test_root": release.test_root.hex(),
            "n": release.n,
            "claim": self.revealed[name].claims[0],
        }

    def best(self) -> bytes | None:
        """Block hash of the round's winner so far."""
        current = self.round()
        if current is None:
            return None
        found = winner([self.contender(current, name) for name in self.revealed])
        return None if found is None else current.release.body.listed[found.position]

    def wanted(self, kind: str, key: bytes) -> bool:
        current = self.round()
        names = {kind: set[bytes]() for kind in ("body", "weights", "model", "shard")}
        if current is not None:
            names["shard"].add(current.release.body.test_root)
        for name, held in self.revealed.items():
            names["body"].add(name)
            names["weights"].add(held.disclosure.opening.weights_root)
            names["model"].add(held.disclosure.opening.model_root)
        return key in names[kind]

    def rpc_submitpodldata(self, kind: str, name: str, size: int, offset: int, data: str) -> dict[str, Any]:
        key = bytes.fromhex(name)[:: -1 if kind == "body" else 1]
        slot, piece = (kind, key), bytes.fromhex(data)
        if slot in self.objects:
            return answer(DUPLICATE, received=size, complete=True)
        if not self.wanted(kind, key):
            return answer(Submission.of_error(later("podl-data-unwanted")), received=0, complete=False)
        so_far = self.pieces.get(slot, b"") if offset else b""
        assert (len(so_far), len(piece) <= PIECE) == (offset, True)
        whole = self.pieces[slot] = so_far + piece
        if len(whole) < size:
            return answer(ACCEPTED, received=len(whole), complete=False)
        if kind == "body":
            assert parse_block(whole).header.hash == key
        elif data_root(whole) != key:
            return answer(Submission(Status.REFUSED, "podl-data-root"), received=0, complete=False)
        self.objects[slot] = whole
        return answer(ACCEPTED, received=size, complete=True)

    def rpc_getpodldata(self, kind: str, name: str, offset: int, length: int) -> dict[str, Any]:
        key = bytes.fromhex(name)[:: -1 if kind == "body" else 1]
        data = self.objects.get((kind, key))
        if data is None:
            raise DataMissingError("getpodldata", -5, "podl-data-missing")
        return {"size": len(data), "offset": offset, "hex": data[offset : offset + length].hex()}

    def rpc_submitpodlverdict(self, verdict: dict[str, Any]) -> dict[str, Any]:
        self.reported.append(verdict)
        key = tuple(bytes.fromhex(verdict[name]) for name in ("program", "weights_root", "test_root"))
        if not self.is_asked(key):
            return answer(Submission(Status.REFUSED, "podl-verdict-key"))
        measured = Measured(verdict["count"], verdict["rank_sum"])
        held = self.verdicts.setdefault(key, measured)  # type: ignore[arg-type]  # three parts
        if held != measured:
            self.conflicts.add(key)  # type: ignore[arg-type]
            return answer(Submission(Status.REFUSED, "podl-verdict-conflict"))
        return answer(ACCEPTED)

    def rpc_getblocktemplate(self, request: dict[str, Any]) -> Any:
        if request.get("mode") == "proposal":
            block = parse_block(bytes.fromhex(request["data"]))
            held = self.revealed.get(block.header.hash)
            if held is not None:
                check_coinbase(block.vtx[0], held.disclosure.payout)
            return self.proposal_answer
        return {
            "version": 0x40000000,
            "previousblockhash": self.tip[::-1].hex(),
            "height": self.tip_height + 1,
            "curtime": self.clock(),
            "mintime": 1,
            "bits": "207fffff",
            "coinbasevalue": 50 * 10**8,
            "default_witness_commitment": "6a24aa21a9ed" + "00" * 32,
            "transactions": [],
            "podl": {"can_commit": self.can_commit()},
        }

    def rpc_validateaddress(self, address: str) -> dict[str, Any]:
        return {"isvalid": True, "scriptPubKey": "51"} if address == "good" else {"isvalid": False}
