"""Hypothesis strategies for the protocol's objects, and what every parser must obey."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol, TypeVar

from hypothesis import strategies as st

from podl_tools.commitment import Opening
from podl_tools.disclosure import Disclosure
from podl_tools.entry import Entry, FinalBody, ReleaseBody, ShardsBody, Skipped
from podl_tools.errors import PodlError
from podl_tools.header import Header
from podl_tools.recipe import Recipe
from podl_tools.reveal import Reveal
from podl_tools.task import Task

if TYPE_CHECKING:
    from collections.abc import Callable

u8 = st.integers(0, 0xFF)
u16 = st.integers(0, 0xFFFF)
u32 = st.integers(0, 0xFFFF_FFFF)
u64 = st.integers(0, 0xFFFF_FFFF_FFFF_FFFF)
h32 = st.binary(min_size=32, max_size=32)
signatures = st.binary(min_size=64, max_size=64)
payouts = st.binary(min_size=1, max_size=128)

headers = st.builds(
    Header,
    version=st.integers(-(1 << 31), (1 << 31) - 1),
    prev_block=h32,
    merkle_root=h32,
    time=u32,
    bits=u32,
    nonce=u32,
    model_hash=h32,
)
openings = st.builds(
    Opening,
    chain_id=h32,
    task_id=h32,
    height=u32,
    release_id=h32,
    weights_root=h32,
    model_root=h32,
    n_params=u32,
    recipe_hash=h32,
    checkpoints_root=h32,
    n_checkpoints=u8,
    payout_hash=h32,
    reveal_key=h32,
    salt=h32,
)
recipes = st.builds(
    Recipe,
    architecture=u8,
    b=u8,
    epochs=st.integers(1, 254),
    k=u8,
    drop=st.integers(0, 1),
    trial=u16,
    parent=h32,
)
disclosures = st.builds(
    Disclosure,
    header=headers,
    opening=openings,
    recipe=st.binary(min_size=96, max_size=96),
    payout=payouts,
)
reveals = st.builds(Reveal, disclosure=disclosures, release_id=h32, claim=u32, signature=signatures)
tasks = st.builds(
    Task,
    arithmetic=u8,
    first_height=u32,
    requester_key=h32,
    training_root=h32,
    training_n=u32,
    dims=st.lists(u16, min_size=1, max_size=3).map(tuple),
    classes=u16,
    programs=st.lists(st.binary(max_size=40), min_size=1, max_size=16).map(tuple),
    b_min=u8,
    b_max=u8,
    epochs_min=u8,
    epochs_max=u8,
    k_min=u8,
    k_max=u8,
    max_replay_macs=u64,
    n_shards=u32,
    shard_list_root=h32,
    shard_min=u32,
    shard_max=u32,
    min_commit=u32,
    min_reveal=u32,
    max_phase=u32,
    require_replay=u8,
    max_replays=u8,
    stamp_bits=u8,
    list_size=u16,
    pool_size=u16,
    max_weights=u32,
    evaluation_rate=u64,
    chunks_in_flight=u8,
    downloads=u8,
    buffer_bytes=u32,
    disk_bytes=u32,
)
releases = st.builds(
    ReleaseBody,
    height=u32,
    attempt=u16,
    prev_block=h32,
    shard_index=u32,
    test_root=h32,
    n=u32,
    salt=h32,
    path=st.lists(h32, max_size=17).map(tuple),
    listed=st.lists(h32, max_size=64).map(tuple),
)
finals = st.builds(
    FinalBody,
    height=u32,
    attempt=u16,
    disclosure=disclosures,
    claim=u32,
    reveal_signature=signatures,
    replayed=st.booleans(),
    skipped=st.lists(st.builds(Skipped, index=u16, reason=u8), max_size=8).map(tuple),
)
entries = st.builds(
    Entry,
    chain_id=h32,
    prev=h32,
    time=u64,
    body=st.one_of(tasks, releases, finals, st.builds(ShardsBody, shard_list_root=h32, n_shards=u32)),
    signature=signatures,
)


class Serialisable(Protocol):
    """Anything with canonical bytes."""

    def serialize(self) -> bytes:
        """Return the bytes."""


ParsedT = TypeVar("ParsedT", bound=Serialisable)


@st.composite
def mutations(draw: st.DrawFn, originals: st.SearchStrategy[bytes]) -> bytes:
    """Valid bytes with some overwritten, taken away or put in."""
    data = bytearray(draw(originals))
    for _ in range(draw(st.integers(1, 4))):
        at = draw(st.integers(0, max(len(data) - 1, 0)))
        patch = draw(st.binary(max_size=4))
        data[at : at + draw(st.integers(0, 4))] = patch
    return bytes(data)


def check_canonical(parse: Callable[[bytes], ParsedT], data: bytes, family: str) -> None:
    """Demand that bytes are either refused with a reason of the family or come back as they were."""
    try:
        parsed = parse(data)
    except PodlError as error:
        refusal = error
    else:
        assert parsed.serialize() == data
        return
    assert refusal.reason.startswith(family), refusal.reason
    assert str(refusal)


def check_exact(parse: Callable[[bytes], ParsedT], value: ParsedT, cut: int) -> None:
    """Demand that a value's bytes read back, and that no shorter or longer ones do."""
    data = value.serialize()
    assert parse(data) == value
    for wrong in (data[: cut % len(data)], data + b"\0"):
        try:
            parse(wrong)
        except PodlError:
            continue
        raise AssertionError(wrong.hex())
