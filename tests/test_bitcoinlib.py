"""What code sees that imported python-bitcoinlib's names long before a PoDL chain was selected."""

from __future__ import annotations

import json
import subprocess
import sys
from io import BytesIO
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

import bitcoin
import bitcoin.rpc
import pytest
from bitcoin.core import (
    CBlock,
    CBlockHeader,
    CheckBlock,
    CheckBlockError,
    CheckBlockHeader,
    CheckProofOfWorkError,
    b2lx,
)
from bitcoin.core.serialize import DeserializationExtraDataError, SerializationError
from bitcoin.messages import MsgSerializable, msg_block, msg_headers
from hypothesis import given
from hypothesis import strategies as st

from dev.vector_cases.block_cases import TRANSACTIONS, block_arguments
from dev.vector_cases.fixture import make_header, named
from podl_tools.bitcoinlib import SelectPodlParams
from podl_tools.block import PodlBlock, PodlBlockHeader, make_block, podl_selected
from podl_tools.header import PODL_VERSION, Header, grind
from tests.strategies import headers, mutations

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

ROOT = Path(__file__).parent.parent
VECTORS = json.loads((ROOT / "vectors" / "block.json").read_text())
ROWS = {row["case"]: row for row in VECTORS["valid"]}
OURS = {case: row for case, row in ROWS.items() if row["podl_chain"]}
FOREIGN = bytes.fromhex(ROWS["the mark on a chain without PoDL"]["hex"])
PODL = bytes.fromhex(ROWS["witnesses"]["hex"])
ORDINARY = bytes.fromhex(ROWS["ordinary header"]["hex"])
OTHER_CHAINS = ("mainnet", "testnet", "signet", "regtest")
ROOT_OF_ALL = CBlock.build_merkle_tree_from_txs(TRANSACTIONS)[-1]


@pytest.fixture(autouse=True)
def _podl_chain() -> Iterator[None]:
    SelectPodlParams()
    yield
    bitcoin.SelectParams("mainnet")


def on_bitcoin(read: Callable[[bytes], Any], data: bytes) -> Any:
    """Read with the library's own parameters."""
    bitcoin.SelectParams("mainnet")
    try:
        return read(data)
    finally:
        SelectPodlParams()


@pytest.mark.parametrize("row", OURS.values(), ids=OURS)
def test_blocks_of_both_kinds_read_back(row: dict[str, Any]) -> None:
    data = bytes.fromhex(row["hex"])
    model = None if row["model_hash"] is None else bytes.fromhex(row["model_hash"])
    block = CBlock.deserialize(data)
    assert type(block) is PodlBlock
    assert block.hashModel == model
    assert block.serialize() == data
    assert block.GetHash().hex() == row["hash"]
    assert block.GetWeight() == row["weight"]
    assert block.hashMerkleRoot.hex() == row["merkle_root"] == block.calc_merkle_root().hex()
    assert [tx.GetTxid().hex() for tx in block.vtx] == row["txids"]
    assert block == PodlBlock.deserialize(data)
    header = CBlockHeader.deserialize(bytes.fromhex(row["header"]))
    assert type(header) is PodlBlockHeader
    assert header == block.get_header()
    assert (header.GetHash(), header.hashModel) == (block.GetHash(), model)
    assert header.serialize().hex() == row["header"] == data[: len(header.serialize())].hex()
    assert header.difficulty == block.difficulty == CBlockHeader.calc_difficulty(0x207FFFFF)


@pytest.mark.parametrize("row", VECTORS["invalid"], ids=lambda row: row["case"])
def test_bytes_that_are_no_block(row: dict[str, Any]) -> None:
    with pytest.raises(SerializationError):
        CBlock.deserialize(bytes.fromhex(row["hex"]))


@pytest.mark.parametrize("chain", OTHER_CHAINS)
def test_version_bits_mean_nothing_on_another_chain(chain: str) -> None:
    row = ROWS["the mark on a chain without PoDL"]
    with pytest.raises(SerializationError):
        CBlock.deserialize(FOREIGN)
    bitcoin.SelectParams(chain)
    assert not podl_selected()
    block = CBlock.deserialize(FOREIGN)
    assert type(block) is CBlock
    assert type(CBlockHeader.deserialize(FOREIGN[:80])) is CBlockHeader
    assert (block.GetHash().hex(), block.GetWeight()) == (row["hash"], row["weight"])
    assert block.serialize() == FOREIGN
    with pytest.raises(DeserializationExtraDataError):
        CBlockHeader.deserialize(PODL[:112])
    ours = PodlBlock.deserialize(FOREIGN)
    assert (ours.hashModel, ours.serialize()) == (None, FOREIGN)


def test_selecting_again_is_selecting_once() -> None:
    SelectPodlParams()
    assert CBlock.deserialize(PODL).serialize() == PODL
    bitcoin.SelectParams("regtest")
    assert type(CBlock.deserialize(ORDINARY)) is CBlock
    SelectPodlParams()
    assert type(CBlock.deserialize(ORDINARY)) is PodlBlock


def test_an_unknown_chain_leaves_the_selection() -> None:
    with pytest.raises(ValueError, match="Unknown chain"):
        bitcoin.SelectParams("podl")
    assert podl_selected()


def test_parameters_are_those_of_regtest_else() -> None:
    ours, theirs = bitcoin.params, bitcoin.RegTestParams()
    assert bitcoin.core.coreparams is ours
    for name in dir(theirs):
        if name.isupper():
            assert getattr(ours, name) == getattr(theirs, name)
    assert ours.GENESIS_BLOCK.hashModel is None
    assert b2lx(ours.GENESIS_BLOCK.GetHash()).startswith("0f9188f13cb7b2c7")


def test_an_object_keeps_its_bytes_when_another_chain_is_selected() -> None:
    block = CBlock.deserialize(PODL)
    header = block.get_header()
    bitcoin.SelectParams("mainnet")
    assert (block.serialize(), header.serialize()) == (PODL, PODL[:112])
    assert msg_round_trip_bytes(header)[0] == PODL[:112]


def msg_round_trip_bytes(*written: CBlockHeader) -> list[bytes]:
    """Headers as the library's message writes them."""
    message = msg_headers()
    message.headers = list(written)
    f = BytesIO()
    message.msg_ser(f)
    data = f.getvalue()
    assert data[0] == len(written)
    ends = [1]
    for header in written:
        ends.append(ends[-1] + len(header.serialize()))
    assert ends[-1] == len(data)
    return [data[begin:end] for begin, end in pairwise(ends)]


def test_messages_carry_both_kinds() -> None:
    message = msg_headers()
    message.headers = [CBlockHeader.deserialize(data) for data in (ORDINARY[:80], PODL[:112], ORDINARY[:80])]
    assert msg_round_trip_bytes(*message.headers) == [ORDINARY[:80], PODL[:112], ORDINARY[:80]]
    again = MsgSerializable.from_bytes(message.to_bytes())
    assert again.headers == message.headers
    assert [header.hashModel for header in again.headers] == [None, named("model"), None]
    for data in (ORDINARY, PODL):
        sent = msg_block()
        sent.block = CBlock.deserialize(data)
        received = MsgSerializable.from_bytes(sent.to_bytes())
        assert received.block == sent.block
        assert received.block.serialize() == data


class Connection:
    """Answers JSON-RPC as a node would."""

    def __init__(self, answers: dict[str, str]) -> None:
        self.answers = answers
        self.asked: list[tuple[str, list[Any]]] = []

    def request(self, _method: str, _path: str, body: str, _headers: dict[str, str]) -> None:
        call = json.loads(body)
        self.asked.append((call["method"], call["params"]))

    def getresponse(self) -> BytesIO:
        answer = {"result": self.answers[self.asked[-1][0]], "error": None}
        return BytesIO(json.dumps(answer).encode())

    def close(self) -> None:
        pass


@pytest.mark.parametrize("data", [ORDINARY, PODL], ids=["ordinary", "podl"])
def test_the_proxy_reads_and_submits(data: bytes) -> None:
    header = CBlock.deserialize(data).get_header()
    shown = b2lx(header.GetHash())
    connection = Connection(
        {"getblock": data.hex(), "getblockheader": header.serialize().hex(), "submitblock": ""}
    )
    proxy = bitcoin.rpc.Proxy("http://u:p@node", connection=connection)
    block = proxy.getblock(header.GetHash())
    assert block.serialize() == data
    assert proxy.getblockheader(header.GetHash()) == header
    proxy.submitblock(block)
    asked = [("getblock", [shown, False]), ("getblockheader", [shown, False]), ("submitblock", [data.hex()])]
    assert connection.asked == asked


def test_checks_of_the_library() -> None:
    header = grind(make_header(named("model"), merkle_root=ROOT_OF_ALL), 0)
    block = CBlock.deserialize(make_block(header, TRANSACTIONS).serialize())
    CheckBlockHeader(block.get_header(), cur_time=header.time)
    CheckBlock(block, cur_time=header.time)
    # Another model: the same 80 bytes and another proof of work.
    missing = next(
        found
        for found in (PodlBlockHeader(**header_fields(header), hashModel=named(str(i))) for i in range(100))
        if found.GetHash()[31] & 0x80
    )
    with pytest.raises(CheckProofOfWorkError):
        CheckBlockHeader(missing, cur_time=header.time)
    unsigned = [TRANSACTIONS[0], *TRANSACTIONS[2:]]
    other = PodlBlock(**block_arguments(PODL_VERSION), vtx=unsigned, hashModel=named("model"))
    with pytest.raises(CheckBlockError, match="segwit commitment"):
        CheckBlock(other, fCheckPoW=False, cur_time=header.time)


def header_fields(header: Header) -> dict[str, Any]:
    """Return a header's fields but the model under the library's names."""
    values = header.version, header.prev_block, header.merkle_root, header.time, header.bits, header.nonce
    return dict(zip(CBlockHeader.__slots__, values, strict=True))


def test_what_cannot_hold_a_model_says_so() -> None:
    """A hash of 80 bytes would be wrong, silently."""
    for lacking in (CBlockHeader(nVersion=PODL_VERSION), PodlBlockHeader(nVersion=PODL_VERSION)):
        with pytest.raises(SerializationError, match="hashModel"):
            lacking.GetHash()

    class OldBlock(CBlock):  # type: ignore[misc]  # python-bitcoinlib has no types
        __slots__ = ()

    class NewBlock(PodlBlock):
        __slots__ = ()

    assert OldBlock.deserialize(ORDINARY).serialize() == ORDINARY
    with pytest.raises(SerializationError, match="OldBlock has no hashModel"):
        OldBlock.deserialize(PODL)
    assert type(NewBlock.deserialize(PODL)) is NewBlock
    assert NewBlock.deserialize(PODL).serialize() == PODL


@pytest.mark.parametrize("data", [ORDINARY, PODL], ids=["ordinary", "podl"])
def test_no_cut_block_or_header_is_read(data: bytes) -> None:
    header = CBlock.deserialize(data).get_header().serialize()
    for size in range(len(header)):
        with pytest.raises(SerializationError):
            CBlockHeader.deserialize(data[:size])
    for size in range(len(data)):
        with pytest.raises(SerializationError):
            CBlock.deserialize(data[:size])


@given(header=headers, extra=st.binary(min_size=1, max_size=40))
def test_headers_of_any_version(header: Header, extra: bytes) -> None:
    data = header.serialize() if header.is_podl else header.serialize()[:80]
    found = CBlockHeader.deserialize(data)
    assert found.serialize() == data
    assert found.hashModel == (header.model_hash if header.is_podl else None)
    with pytest.raises(DeserializationExtraDataError):
        CBlockHeader.deserialize(data + extra)
    f = BytesIO(data + extra)
    assert CBlockHeader.stream_deserialize(f) == found
    assert f.read() == extra


def outcome(data: bytes) -> Any:
    """Fields and transactions of a block, or the class of the error."""
    try:
        block = CBlock.deserialize(data)
    except (SerializationError, ValueError) as error:
        return type(error)
    fields = [getattr(block, name) for name in CBlockHeader.__slots__]
    return fields, block.vtx, block.vMerkleTree, block.vWitnessMerkleTree


@given(
    data=mutations(st.sampled_from([ORDINARY, PODL]))
    | st.binary(max_size=300)
    | st.binary(max_size=300).map(lambda data: PODL[:4] + data)
)
def test_any_bytes_are_read_as_the_library_reads_them_without_the_model(data: bytes) -> None:
    is_podl = len(data) >= 4 and data[3] >> 5 == 2
    assert outcome(data) == on_bitcoin(outcome, data[:80] + data[112:] if is_podl else data)


def test_importing_changes_nothing_in_the_library() -> None:
    lines = (
        "from bitcoin.core import CBlock, CBlockHeader",
        "before = [dict(vars(c)) for c in (CBlock, CBlockHeader)]",
        "import podl_tools.bitcoinlib",
        "assert before == [dict(vars(c)) for c in (CBlock, CBlockHeader)]",
        "podl_tools.bitcoinlib.SelectPodlParams()",
        "after = [dict(vars(c)) for c in (CBlock, CBlockHeader)]",
        "print(after[0] == before[0], sorted(k for k in after[1] if after[1][k] is not before[1].get(k)))",
    )
    done = subprocess.run(
        [sys.executable, "-c", "\n".join(lines)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    assert done.stdout.strip() == "True ['stream_deserialize', 'stream_serialize']"
