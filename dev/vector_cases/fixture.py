"""What all vectors are made of: hashes of names instead of random numbers, fixed keys, one small task."""

from __future__ import annotations

from dataclasses import fields, is_dataclass, replace
from hashlib import sha256
from typing import TYPE_CHECKING, Any, Final

from podl_tools.commitment import Opening
from podl_tools.constants import ZERO_HASH
from podl_tools.disclosure import Disclosure
from podl_tools.entry import Entry
from podl_tools.errors import PodlError, RejectError
from podl_tools.header import PODL_VERSION, Header
from podl_tools.keys import ZERO_AUX, SigningKey
from podl_tools.program import parse_program
from podl_tools.recipe import Recipe, payout_hash, recipe_hash
from podl_tools.task import Task

if TYPE_CHECKING:
    from collections.abc import Callable

Json = dict[str, Any]

START: Final = 1_900_000_000
REGTEST_BITS: Final = 0x207FFFFF


def named(name: str) -> bytes:
    """32 bytes that stand for `name`."""
    return sha256(b"PoDL vector: " + name.encode()).digest()


def key(name: str) -> SigningKey:
    """Return the key called `name`; its signatures are the same every time."""
    return SigningKey(named(f"key {name}"), aux=ZERO_AUX)


REQUESTER: Final = key("requester")
MINER: Final = key("miner")
# Pay to witness key hash; the key is a name.
PAYOUT: Final = bytes.fromhex("0014") + named("payout")[:20]
MLP: Final = parse_program("input 16, dense 8, output 4")
LINEAR: Final = parse_program("input 16, output 4")
CONV: Final = parse_program("input 4x4x1, conv2d 3x3x2, flatten, output 4")
LONG: Final = parse_program("input 512x8x1, maxpool 4, conv2d 1x1x1, maxpool 2, flatten, output 4")

TASK: Final = Task(
    arithmetic=1,
    first_height=101,
    requester_key=REQUESTER.public,
    training_root=named("training set"),
    training_n=256,
    dims=(4, 4, 1),
    classes=4,
    programs=(MLP.serialize(), LINEAR.serialize(), CONV.serialize()),
    b_min=3,
    b_max=15,
    epochs_min=1,
    epochs_max=10,
    k_min=3,
    k_max=8,
    max_replay_macs=3 * CONV.macs * 256 * 8,
    n_shards=8,
    shard_list_root=named("shard list"),
    shard_min=64,
    shard_max=128,
    min_commit=10,
    min_reveal=20,
    max_phase=60,
    require_replay=1,
    max_replays=4,
    stamp_bits=4,
    list_size=8,
    pool_size=16,
    max_weights=1000,
    evaluation_rate=1_000_000,
    chunks_in_flight=4,
    downloads=8,
    buffer_bytes=1 << 20,
    disk_bytes=1 << 24,
)
FIRST_TASK: Final = Entry.sign(REQUESTER, ZERO_HASH, ZERO_HASH, START, TASK)
RECIPE: Final = Recipe(architecture=0, b=4, epochs=5, k=5)


def make_opening(**changes: Any) -> Opening:
    """Return the opening of a first-height commitment, with `changes`."""
    opening = Opening(
        chain_id=FIRST_TASK.id,
        task_id=FIRST_TASK.id,
        height=TASK.first_height,
        release_id=FIRST_TASK.id,
        weights_root=named("weights"),
        model_root=named("model"),
        n_params=MLP.n_params,
        recipe_hash=recipe_hash(RECIPE.serialize()),
        checkpoints_root=named("checkpoints"),
        n_checkpoints=RECIPE.epochs + 1,
        payout_hash=payout_hash(PAYOUT),
        reveal_key=MINER.public,
        salt=named("opening salt"),
    )
    return replace(opening, **changes)


def make_header(model_hash: bytes, **changes: Any) -> Header:
    """Return a header that commits to `model_hash`, with `changes`; not ground."""
    header = Header(
        version=PODL_VERSION,
        prev_block=named("block 100"),
        merkle_root=named("transactions"),
        time=START + 5,
        bits=REGTEST_BITS,
        nonce=0,
        model_hash=model_hash,
    )
    return replace(header, **changes)


def make_disclosure(opening: Opening | None = None, **changes: Any) -> Disclosure:
    """Return header, opening, recipe and payout that belong together, with `changes`."""
    opening = opening or make_opening()
    disclosure = Disclosure(make_header(opening.model_hash), opening, RECIPE.serialize(), PAYOUT)
    return replace(disclosure, **changes)


def decoded(value: Any) -> Any:
    """Return `value` as JSON: bytes as hex in their order, dataclasses as objects."""
    if isinstance(value, bytes):
        return value.hex()
    if isinstance(value, tuple | list):
        return [decoded(item) for item in value]
    if isinstance(value, Header):
        return {**_object(value), "hash": value.hash.hex(), "hex": value.serialize().hex()}
    if is_dataclass(value):
        return _object(value)
    return value


def _object(value: Any) -> Json:
    return {field.name: decoded(getattr(value, field.name)) for field in fields(value)}


def outcome(action: Callable[[], object]) -> Json:
    """Return reason and detail that `action` fails with; empty strings when it passes."""
    try:
        action()
    except RejectError as error:
        return {"reason": error.reason, "detail": error.detail}
    except PodlError as error:
        return {"reason": error.reason, "detail": ""}
    return {"reason": "", "detail": ""}


def refused(case: str, data: bytes, parse: Callable[[bytes], object]) -> Json:
    """Return a case that `parse` refuses."""
    reason = outcome(lambda: parse(data))["reason"]
    if not reason:
        raise ValueError(f"case {case!r} is accepted")
    return {"case": case, "hex": data.hex(), "reason": reason}


def cut_and_extended(data: bytes, parse: Callable[[bytes], object]) -> list[Json]:
    """Return what every parser must refuse: no bytes, some, one missing, one too many."""
    return [
        refused("empty", b"", parse),
        refused("first byte only", data[:1], parse),
        refused("first half only", data[: len(data) // 2], parse),
        refused("last byte missing", data[:-1], parse),
        refused("one byte too many", data + b"\0", parse),
    ]


def patched(data: bytes, offset: int, value: bytes) -> bytes:
    """Return `data` with `value` written at `offset`."""
    return data[:offset] + value + data[offset + len(value) :]
