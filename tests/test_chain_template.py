"""From a block template to a PoDL block, and large objects in pieces."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Any

import pytest
from bitcoin.core import CTransaction
from hypothesis import given
from hypothesis import strategies as st

from podl_tools.block import parse_block
from podl_tools.chain.answers import Piece, Submission
from podl_tools.chain.data import PIECE, Kind, download, obtain_shard, upload
from podl_tools.chain.fields import Fields
from podl_tools.chain.template import Template, draft_block, height_script
from podl_tools.coinbase import check_coinbase
from podl_tools.fetch import Fetcher
from podl_tools.merkle import data_root
from podl_tools.tool_errors import DataMissingError, NodeAnswerError, TransferError

if TYPE_CHECKING:
    from pathlib import Path

PAYOUT = b"\x00\x14" + b"\x22" * 20
COMMITMENT = bytes.fromhex("6a24aa21a9ed") + b"\x07" * 32
# A transaction with a witness, as a template gives it.
TRANSACTION = (
    "02000000000101" + "11" * 32 + "0000000000ffffffff01e803000000000000015101010000000000"
)  # fmt: skip

ANSWER: dict[str, Any] = {
    "version": 0x20000000,
    "previousblockhash": "00" * 31 + "ab",
    "height": 200,
    "curtime": 1_800_000_000,
    "mintime": 1_700_000_000,
    "bits": "207fffff",
    "coinbasevalue": 25 * 10**8,
    "default_witness_commitment": COMMITMENT.hex(),
    "transactions": [{"data": TRANSACTION}],
    "podl": {"can_commit": True},
}


def template(**changes: Any) -> Template:
    return Template.read(Fields("getblocktemplate", {**ANSWER, **changes}))


def test_block_of_a_template() -> None:
    block = draft_block(template(), PAYOUT)
    assert block.header.prev_block == b"\xab" + bytes(31)
    assert (block.header.version, block.header.bits) == (0x40000000, 0x207FFFFF)
    assert parse_block(block.serialize()).serialize() == block.serialize()
    assert [transaction.serialize().hex() for transaction in block.vtx[1:]] == [TRANSACTION]


def test_coinbase_obeys_the_payout_rule() -> None:
    coinbase = draft_block(template(), PAYOUT).vtx[0]
    check_coinbase(coinbase, PAYOUT)
    assert [output.nValue for output in coinbase.vout] == [25 * 10**8, 0]
    assert bytes(coinbase.vout[1].scriptPubKey) == COMMITMENT
    assert list(coinbase.wit.vtxinwit[0].scriptWitness) == [bytes(32)]
    assert coinbase.nLockTime == 199
    assert coinbase.is_coinbase()
    assert CTransaction.deserialize(coinbase.serialize()) == coinbase


def test_coinbase_before_segwit_has_no_commitment() -> None:
    plain = {key: value for key, value in ANSWER.items() if key not in ("default_witness_commitment", "podl")}
    found = Template.read(Fields("getblocktemplate", plain))
    assert len(draft_block(found, PAYOUT).vtx[0].vout) == 1
    assert not found.can_commit


def test_time_is_never_below_the_minimum() -> None:
    assert template(mintime=1_900_000_000).time == 1_900_000_000


@pytest.mark.parametrize(
    ("height", "script"),
    [
        (1, "5100"), (16, "6000"), (17, "011100"), (127, "017f00"), (128, "02800000"), (255, "02ff0000"),
        (256, "02000100"), (32767, "02ff7f00"), (32768, "0300800000"), (500000, "0320a10700"),
    ],
)  # fmt: skip
def test_height_in_the_coinbase(height: int, script: str) -> None:
    assert height_script(height).hex() == script


@pytest.mark.parametrize("data", ["", "00", TRANSACTION + "00", TRANSACTION[:-2]])
def test_transaction_that_cannot_be_read(data: str) -> None:
    with pytest.raises(NodeAnswerError):
        draft_block(template(transactions=[{"data": data}]), PAYOUT)


@given(
    st.dictionaries(
        st.sampled_from(sorted(ANSWER)),
        st.none()
        | st.integers()
        | st.text(max_size=9)
        | st.just([{}])
        | st.just([{"data": "zz"}])
        | st.just({}),
    )
)
def test_any_template_is_read_or_named(changes: dict[str, Any]) -> None:
    with contextlib.suppress(NodeAnswerError):
        template(**changes)


class Shelf:
    """The two calls of a node that move pieces; `lie` changes what is given out."""

    def __init__(self, *answers: Submission) -> None:
        self.answers = list(answers)
        self.pieces: list[tuple[str, str, int, int, bytes]] = []
        self.held: dict[str, bytes] = {}
        self.lie: dict[str, Any] = {}

    def submit_piece(self, kind: str, name: str, size: int, offset: int, data: bytes) -> Submission:
        self.pieces.append((kind, name, size, offset, data))
        return self.answers.pop(0) if self.answers else Submission("accepted", complete=True)

    def piece(self, _kind: str, name: str, offset: int, length: int) -> Piece:
        if name not in self.held:
            raise DataMissingError("getpodldata", -5, "podl-data-missing")
        data = self.held[name]
        honest = {"size": len(data), "offset": offset, "data": data[offset : offset + length]}
        return Piece(**{**honest, **self.lie})


DATA = bytes(range(251)) * 9000
ROOT = data_root(DATA)


def test_upload_in_pieces() -> None:
    shelf = Shelf()
    assert upload(shelf, Kind.MODEL, ROOT, DATA).complete  # type: ignore[arg-type]
    assert [(kind, name, size) for kind, name, size, _, _ in shelf.pieces] == [
        ("model", ROOT.hex(), len(DATA))
    ] * 3
    assert [offset for _, _, _, offset, _ in shelf.pieces] == [0, PIECE, 2 * PIECE]
    assert b"".join(data for *_, data in shelf.pieces) == DATA


@pytest.mark.parametrize("status", ["duplicate", "later", "refused"])
def test_upload_stops_at_the_first_answer_that_is_not_accepted(status: str) -> None:
    shelf = Shelf(Submission("accepted"), Submission(status))
    assert upload(shelf, Kind.MODEL, ROOT, DATA).status == status  # type: ignore[arg-type]
    assert len(shelf.pieces) == 2


def test_names_of_objects() -> None:
    assert Kind.BODY.name_of(b"\1" + bytes(31)) == "00" * 31 + "01"
    assert Kind.SHARD.name_of(b"\1" + bytes(31)) == "01" + "00" * 31


def test_download() -> None:
    shelf = Shelf()
    with pytest.raises(DataMissingError):
        download(shelf, Kind.MODEL, ROOT, len(DATA))  # type: ignore[arg-type]
    shelf.held[ROOT.hex()] = DATA
    assert download(shelf, Kind.MODEL, ROOT, len(DATA)) == DATA  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("held", "limit", "reason"),
    [
        (DATA, len(DATA) - 1, "podl-data-size"),
        (b"", 10, "podl-data-size"),
        (DATA + b"x", 9**9, "podl-data-root"),
    ],
)
def test_download_refuses_other_bytes(held: bytes, limit: int, reason: str) -> None:
    shelf = Shelf()
    shelf.held[ROOT.hex()] = held
    with pytest.raises(TransferError) as caught:
        download(shelf, Kind.MODEL, ROOT, limit)  # type: ignore[arg-type]
    assert caught.value.reason == reason


@given(st.fixed_dictionaries({}, optional={
    "size": st.integers(-5, 2 * len(DATA)), "offset": st.integers(0, 9), "data": st.binary(max_size=9)
}))  # fmt: skip
def test_download_ends_whatever_the_node_says(lie: dict[str, Any]) -> None:
    shelf = Shelf()
    shelf.held[ROOT.hex()] = DATA[:20]
    shelf.lie = lie
    with pytest.raises((TransferError, NodeAnswerError)):
        download(shelf, Kind.MODEL, ROOT, 3 * len(DATA))  # type: ignore[arg-type]


def test_shard_comes_from_wherever_it_is(tmp_path: Path) -> None:
    shelf = Shelf()
    fetcher = Fetcher(tmp_path, [])
    with pytest.raises(TransferError):
        obtain_shard(shelf, fetcher, ROOT, len(DATA))  # type: ignore[arg-type]
    shelf.held[ROOT.hex()] = DATA
    assert obtain_shard(shelf, fetcher, ROOT, len(DATA)) == DATA  # type: ignore[arg-type]
    shelf.held.clear()
    assert obtain_shard(shelf, fetcher, ROOT, len(DATA)) == DATA  # type: ignore[arg-type]
