"""Cases of block.json."""

from __future__ import annotations

from typing import Any, Final

from bitcoin.core import (
    CBlock,
    COutPoint,
    CTransaction,
    CTxIn,
    CTxInWitness,
    CTxOut,
    CTxWitness,
)
from bitcoin.core.script import CScript, CScriptWitness

from dev.vector_cases.fixture import PAYOUT, REGTEST_BITS, START, Json, cut_and_extended, named, refused
from podl_tools.block import PodlBlock, parse_block
from podl_tools.constants import ZERO_HASH
from podl_tools.hashing import sha256d
from podl_tools.header import PODL_VERSION, is_podl_version

_SUBSIDY: Final = 50 * 100_000_000
_HEIGHT_SCRIPT: Final = CScript(b"\x01\x65\x00")
_TOP_BITS: Final = 0x6000_0000


def _spend(value: int, *witness: bytes) -> CTransaction:
    """Return a transaction that spends an output called after its value."""
    wit = CTxWitness([CTxInWitness(CScriptWitness(witness))]) if witness else CTxWitness()
    return CTransaction(
        [CTxIn(COutPoint(named(f"spent {value}"), value))], [CTxOut(value, CScript(PAYOUT))], witness=wit
    )


def _coinbase(*others: CTransaction) -> CTransaction:
    """Return a coinbase that commits to the witnesses of `others`."""
    root = CBlock.build_merkle_tree_from_txids([ZERO_HASH, *(tx.GetHash() for tx in others)])[-1]
    commitment = CScript(bytes.fromhex("6a24aa21a9ed") + sha256d(root + ZERO_HASH))
    return CTransaction(
        [CTxIn(COutPoint(), _HEIGHT_SCRIPT)],
        [CTxOut(_SUBSIDY, CScript(PAYOUT)), CTxOut(0, commitment)],
        witness=CTxWitness([CTxInWitness(CScriptWitness([ZERO_HASH]))]),
    )


# A coinbase with its commitment, a payment with witness, one without.
_PAYMENTS: Final = [_spend(10, b"signature", b"key"), _spend(1)]
TRANSACTIONS: Final = [_coinbase(*_PAYMENTS), *_PAYMENTS]
_PLAIN: Final = [CTransaction([CTxIn(COutPoint(), _HEIGHT_SCRIPT)], [CTxOut(_SUBSIDY, CScript(PAYOUT))])]


def block_arguments(version: int) -> dict[str, Any]:
    """Return a header's fields under the names of python-bitcoinlib; the Merkle root is left out."""
    return {
        "nVersion": version,
        "hashPrevBlock": named("block 100"),
        "nTime": START + 5,
        "nBits": REGTEST_BITS,
        "nNonce": 7,
    }


def build() -> Json:
    """Blocks of both kinds, and bytes that are none."""
    podl = _block(PODL_VERSION, TRANSACTIONS, podl_chain=True)
    data = podl.serialize()
    cut = data[:80] + data[112:]
    return {
        "valid": [
            _case("no witness", PODL_VERSION, _PLAIN),
            _case("witnesses", PODL_VERSION, TRANSACTIONS),
            _case("all version bits below the mark", 0x5FFF_FFFF, TRANSACTIONS),
            _case("ordinary header", 0x2000_0000, TRANSACTIONS),
            _case("ordinary header without witness", 4, _PLAIN),
            _case("both top bits of the version are no mark", _TOP_BITS, TRANSACTIONS),
            _case("a sign bit is no mark", PODL_VERSION - (1 << 31), TRANSACTIONS),
            _case("the mark on a chain without PoDL", PODL_VERSION, TRANSACTIONS, podl_chain=False),
        ],
        "invalid": [
            *cut_and_extended(data, parse_block),
            refused("header without hashModel", cut, parse_block),
            refused("header alone", data[:112], parse_block),
        ],
    }


def _block(version: int, vtx: list[CTransaction], *, podl_chain: bool) -> PodlBlock:
    model = named("model") if podl_chain and is_podl_version(version) else None
    return PodlBlock(**block_arguments(version), vtx=vtx, hashModel=model)


def _case(case: str, version: int, vtx: list[CTransaction], *, podl_chain: bool = True) -> Json:
    block = _block(version, vtx, podl_chain=podl_chain)
    data = block.serialize()
    return {
        "case": case,
        "podl_chain": podl_chain,
        "hex": data.hex(),
        "header": block.get_header().serialize().hex(),
        "model_hash": None if block.hashModel is None else block.hashModel.hex(),
        "hash": block.GetHash().hex(),
        "merkle_root": block.hashMerkleRoot.hex(),
        "txids": [tx.GetTxid().hex() for tx in vtx],
        "weight": block.GetWeight(),
    }
