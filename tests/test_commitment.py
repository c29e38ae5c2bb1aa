from __future__ import annotations

from dataclasses import fields

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dev.vector_cases.fixture import make_opening
from podl_tools.commitment import Opening, checkpoint_leaf, checkpoints_root
from podl_tools.errors import RejectError
from podl_tools.hashing import Tag, tagged_hash
from podl_tools.merkle import tree_root
from tests.strategies import check_canonical, check_exact, h32, openings


@given(opening=openings, cut=st.integers(0))
def test_openings_read_back(opening: Opening, cut: int) -> None:
    assert len(opening.serialize()) == 329
    assert opening.model_hash == tagged_hash(Tag.COMMIT, opening.serialize())
    check_exact(Opening.parse, opening, cut)


def test_offsets_are_those_of_the_protocol() -> None:
    opening = make_opening()
    data = opening.serialize()
    offsets = {
        "chain_id": 0,
        "task_id": 32,
        "height": 64,
        "release_id": 68,
        "weights_root": 100,
        "model_root": 132,
        "n_params": 164,
        "recipe_hash": 168,
        "checkpoints_root": 200,
        "n_checkpoints": 232,
        "payout_hash": 233,
        "reveal_key": 265,
        "salt": 297,
    }
    assert list(offsets) == [field.name for field in fields(Opening)]
    for name, offset in offsets.items():
        value = getattr(opening, name)
        size = 1 if name == "n_checkpoints" else 4
        expected = value if isinstance(value, bytes) else value.to_bytes(size, "little")
        assert data[offset : offset + len(expected)] == expected, name


@given(data=st.binary(max_size=700))
def test_other_bytes_are_refused_by_name(data: bytes) -> None:
    check_canonical(Opening.parse, data, "podl-opening-size")


@given(opening=openings, other=openings)
def test_different_openings_have_different_hashes(opening: Opening, other: Opening) -> None:
    assert (opening == other) == (opening.model_hash == other.model_hash)


@pytest.mark.parametrize("name", [field.name for field in fields(Opening)])
def test_every_field_is_committed_to(name: str) -> None:
    opening = make_opening()
    value = getattr(opening, name)
    other = bytes([value[0] ^ 1]) + value[1:] if isinstance(value, bytes) else value ^ 1
    assert make_opening(**{name: other}).model_hash != opening.model_hash


@pytest.mark.parametrize(
    "name", [field.name for field in fields(Opening) if field.type == "bytes" and field.name != "salt"]
)
def test_nulls_are_refused(name: str) -> None:
    make_opening().check_null()
    with pytest.raises(RejectError, match=name) as caught:
        make_opening(**{name: bytes(32)}).check_null()
    assert caught.value.reason == "podl-hashmodel-null"


def test_the_salt_may_be_anything() -> None:
    make_opening(salt=bytes(32)).check_null()


@pytest.mark.parametrize(
    "changes",
    [{"height": -1}, {"n_params": 1 << 32}, {"n_checkpoints": 256}, {"salt": b""}, {"salt": bytes(33)}],
)
def test_fields_that_do_not_fit_are_refused(changes: dict[str, int | bytes]) -> None:
    with pytest.raises(RejectError):
        make_opening(**changes).serialize()


@given(roots=st.lists(st.tuples(h32, h32), min_size=2, max_size=6, unique=True))
def test_checkpoints(roots: list[tuple[bytes, bytes]]) -> None:
    leaves = [checkpoint_leaf(index, *pair) for index, pair in enumerate(roots)]
    assert checkpoints_root(roots) == tree_root(leaves)
    assert checkpoints_root(roots) != checkpoints_root(roots[::-1])
