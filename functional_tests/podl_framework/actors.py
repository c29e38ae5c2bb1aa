"""Scripted requester, miners and evaluator: real objects and real training, driven step by step by a test."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable
from dataclasses import dataclass, replace

from test_framework.authproxy import JSONRPCException
from test_framework.test_node import TestNode

from podl_framework.toy import PROGRAMS, SHARD_SIZE, make_examples
from podl_tools.block import make_block
from podl_tools.chain.answers import Job, Submission
from podl_tools.chain.data import Kind, upload
from podl_tools.chain.node import Node
from podl_tools.chain.template import Template, draft_block
from podl_tools.chain.verdict import Verdict, verdict_key
from podl_tools.dataset import parse_examples, split
from podl_tools.disclosure import Disclosure
from podl_tools.drafting import ModelRoots, commit, draft_final, draft_opening, draft_release, sign_next
from podl_tools.entry import Entry
from podl_tools.examples import Examples
from podl_tools.keys import SigningKey
from podl_tools.measuring import measure
from podl_tools.ml.backend import Backend
from podl_tools.program import Program
from podl_tools.recipe import Recipe
from podl_tools.reveal import Reveal
from podl_tools.schedule import Schedule, Status
from podl_tools.sealing import TaskOptions, seal_task
from podl_tools.training_run import SeedParts, TrainedModel, run_training

N_SHARDS = 12
TRAINING_SIZE = 128
BACKEND = Backend("numpy")


class _NodeTransport:
    """Carries the typed client's calls over the framework's own RPC connection."""

    def __init__(self, node: TestNode) -> None:
        self._node = node

    def call(self, method: str, *params: object) -> object:
        return getattr(self._node, method)(*params)


def client(node: TestNode) -> Node:
    """Return the typed client of podl_tools for a node of the framework."""
    return Node(_NodeTransport(node))


def named_bytes(name: str) -> bytes:
    """32 bytes that stand for a name."""
    return hashlib.sha256(name.encode()).digest()


class Requester:
    """Signs a schedule on the toy task and keeps its own copy of the log.

    ``release`` and ``final`` return signed entries without appending them, so that a test can send wrong
    ones; ``publish`` appends an entry to the own log and submits it to nodes.
    """

    def __init__(
        self,
        *,
        first_height: int,
        programs: tuple[Program, ...] = PROGRAMS,
        n_shards: int = N_SHARDS,
        examples: Callable[[int], Examples] = make_examples,
        **options: int,
    ) -> None:
        self.key = SigningKey(named_bytes("requester"))
        sizes = [TRAINING_SIZE] + [SHARD_SIZE] * n_shards
        parts = split(examples(sum(sizes)), sizes)
        times = {"min_commit": 0, "min_reveal": 0, "max_phase": 60}
        self.sealed = seal_task(
            parts[0],
            parts[1:],
            programs,
            TaskOptions(first_height=first_height, **(times | options)),
            requester_key=self.key.public,
            secret=named_bytes("requester's secret"),
        )
        self.log = Schedule()
        self.task_entry = sign_next(self.log, self.key, int(time.time()) - 60, self.sealed.task)
        self.append(self.task_entry)

    @property
    def task(self):
        """Body of the task entry."""
        return self.sealed.task

    def append(self, entry: Entry) -> None:
        """Append an entry that must be right to the requester's own log."""
        result = self.log.submit(entry, int(time.time()), lambda _: self.task.first_height - 1)
        if result.status is not Status.ACCEPTED:
            raise AssertionError(f"the model of the schedule refuses the entry: {result}")

    def sign(self, body, *, at: int | None = None, **head) -> Entry:
        """Sign a body as the next entry; ``head`` replaces chain_id or prev."""
        moment = max(int(time.time()), self.log.entries[-1].time) if at is None else at
        if not head:
            return sign_next(self.log, self.key, moment, body)
        chain_id = head.get("chain_id", self.log.chain_id)
        return Entry.sign(self.key, chain_id, head.get("prev", self.log.last_id), moment, body)

    def release(self, prev_block: bytes, listed: list[bytes], *, at: int | None = None, **changes) -> Entry:
        """Sign the release that comes next, with fields of its body changed at will."""
        return self.sign(replace(draft_release(self.log, self.sealed, prev_block, listed), **changes), at=at)

    def final(self, reveal: Reveal, *, skipped=(), at: int | None = None, **changes) -> Entry:
        """Sign the final that names a reveal's block, with fields of its body changed at will."""
        release = self.log.latest_release(self.log.next_height).body
        return self.sign(
            replace(draft_final(reveal, release, replayed=True, skipped=skipped), **changes), at=at
        )

    def publish(self, entry: Entry, *nodes: TestNode) -> Submission:
        """Append to the own log and submit to nodes, which must accept it; return the last answer."""
        self.append(entry)
        answer = Submission("accepted")
        for node in nodes:
            answer = client(node).submit_entry(entry.serialize())
            if answer.status not in ("accepted", "duplicate"):
                raise AssertionError(f"node {node.index}: {answer}")
        return answer

    def shard_data(self, release: Entry) -> bytes:
        """Bytes of the shard that a release opens."""
        return self.sealed.shard(release.body.test_root).data

    def open_shard(self, release: Entry, *nodes: TestNode) -> None:
        """Hand the opened shard to nodes."""
        for node in nodes:
            upload(client(node), Kind.SHARD, release.body.test_root, self.shard_data(release))


@dataclass
class Commitment:
    """What a miner keeps of one commitment: disclosure, block bytes, trained model."""

    disclosure: Disclosure
    block: bytes
    trained: TrainedModel

    @property
    def hash(self) -> bytes:
        """Block hash in the order of its bytes."""
        return self.disclosure.header.hash

    @property
    def hash_hex(self) -> str:
        """Block hash as Bitcoin shows it."""
        return self.hash[::-1].hex()


class Miner:
    """Trains on the toy task and makes commitments and reveals."""

    def __init__(
        self, requester: Requester, name: str, *, architecture: int = 0, epochs: int = 2, payout: bytes = b""
    ) -> None:
        self.requester = requester
        self.name = name
        self.architecture = architecture
        self.epochs = epochs
        self.reveal_key = SigningKey(named_bytes(f"reveal key of {name}"))
        self.payout = payout or b"\x00\x14" + named_bytes(name)[:20]

    def recipe(self, **changes) -> Recipe:
        """Recipe of the miner; ``changes`` replace fields."""
        fields = {"architecture": self.architecture, "b": 4, "epochs": self.epochs, "k": 5} | changes
        return Recipe(**fields)

    def train(self, recipe: Recipe, parent: bytes | None = None) -> TrainedModel:
        """Train for the next height."""
        log, sealed = self.requester.log, self.requester.sealed
        height = log.next_height
        parts = SeedParts(log.chain_id, log.task_for(height).id, log.opening_release_id(height), self.payout)
        task = sealed.task
        examples = parse_examples(sealed.training, task.training_n, task.dims, task.classes)
        return run_training(task, recipe, parts, examples, parent, BACKEND)

    def prepare(
        self,
        node: TestNode,
        *,
        recipe: Recipe | None = None,
        trained: TrainedModel | None = None,
        parent=None,
        make=draft_block,
    ) -> Commitment:
        """Train (unless a model is given) and build the block on the node's template; nothing is sent."""
        recipe = recipe or self.recipe()
        trained = trained or self.train(recipe, parent)
        roots = ModelRoots(trained.weights_root, trained.model_root, trained.checkpoints_root)
        log = self.requester.log
        opening = draft_opening(
            log,
            log.next_height,
            roots,
            recipe,
            self.payout,
            reveal_key=self.reveal_key.public,
            salt=named_bytes(f"salt {self.name}"),
        )
        return self.seal(node, opening, recipe, trained, make)

    def seal(
        self, node: TestNode, opening, recipe: Recipe, trained: TrainedModel, make=draft_block
    ) -> Commitment:
        """Put an opening into a header on the node's template."""
        draft = make(Template.read(client(node).block_template()), self.payout)
        stamp_bits = self.requester.task.stamp_bits
        disclosure = commit(draft.header, opening, recipe, self.payout, stamp_bits)
        return Commitment(disclosure, make_block(disclosure.header, draft.vtx).serialize(), trained)

    def commit(self, node: TestNode, **kwargs) -> Commitment:
        """Prepare a commitment and submit it."""
        commitment = self.prepare(node, **kwargs)
        answer = client(node).submit_commitment(commitment.disclosure.header.serialize())
        if answer.status != "accepted":
            raise AssertionError(f"commitment of {self.name}: {answer}")
        return commitment

    def count(self, commitment: Commitment, release: Entry) -> int:
        """Correctly classified samples of the opened shard."""
        return evaluate(self.requester, commitment.trained.weights, self.program, release).count

    @property
    def program(self) -> Program:
        """The miner's layer program."""
        return self.requester.task.loaded_programs[self.architecture]

    def reveal(self, commitment: Commitment, release: Entry, claim: int | None = None) -> Reveal:
        """Sign a claim for an attempt; the measured count when none is given."""
        claim = self.count(commitment, release) if claim is None else claim
        return Reveal.sign(self.reveal_key, commitment.disclosure, release.id, claim)

    def upload(self, node: TestNode, commitment: Commitment, *kinds: Kind) -> None:
        """Hand body, weights and model (or the given kinds) to a node."""
        objects = {
            Kind.BODY: (commitment.hash, commitment.block),
            Kind.WEIGHTS: (commitment.trained.weights_root, commitment.trained.weights),
            Kind.MODEL: (commitment.trained.model_root, commitment.trained.model),
        }
        for kind in kinds or objects:
            answer = upload(client(node), kind, *objects[kind])
            if answer.status not in ("accepted", "duplicate"):
                raise AssertionError(f"{kind.value} of {self.name}: {answer}")

    def reveal_all(
        self, node: TestNode, commitment: Commitment, release: Entry, claim: int | None = None
    ) -> Reveal:
        """Submit the reveal and all bytes."""
        reveal = self.reveal(commitment, release, claim)
        answer = client(node).submit_reveal(reveal.serialize())
        if answer.status != "accepted":
            raise AssertionError(f"reveal of {self.name}: {answer}")
        self.upload(node, commitment)
        return reveal


def evaluate(requester: Requester, weights: bytes, program: Program, release: Entry):
    """Measure weights on the shard that a release opens."""
    task, body = requester.task, release.body
    examples = parse_examples(requester.shard_data(release), body.n, task.dims, task.classes)
    return measure(program, weights, examples, BACKEND)


def _is_over(rpc: Node, job: Job) -> bool:
    """Whether a final or a verdict from elsewhere has ended a job since it was read."""
    return job not in rpc.candidates().jobs


def judge(node: TestNode, requester: Requester, *, name: str = "scripted", limit: int = 1000) -> int:
    """Do the node's evaluation jobs until it has none; return how many were done."""
    rpc = client(node)
    done = 0
    while done < limit:
        jobs = rpc.candidates().jobs
        if not jobs:
            return done
        job = jobs[0]
        release = next(
            e for e in requester.log.entries if getattr(e.body, "test_root", None) == job.test_root
        )
        try:
            weights = node.getpodldata("weights", job.weights_root.hex())
        except JSONRPCException:
            if _is_over(rpc, job):
                continue
            raise
        found = evaluate(requester, bytes.fromhex(weights["hex"]), Program.parse(job.program), release)
        key = verdict_key(job.arithmetic, job.program, job.weights_root, job.test_root)
        answer = rpc.submit_verdict(Verdict(key, found.count, found.rank_sum, "NumPy on CPU", name))
        if answer.status != "accepted":
            if _is_over(rpc, job):
                continue
            raise AssertionError(f"verdict: {answer}")
        done += 1
        node.syncpodl()
    raise AssertionError(f"node {node.index} still has jobs after {limit} verdicts")
