"""From `getblocktemplate` to a PoDL block: coinbase, Merkle root, header (protocol sections 3 and 4)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from bitcoin.core import (
    CBlock,
    COutPoint,
    CTransaction,
    CTxIn,
    CTxInWitness,
    CTxOut,
    CTxWitness,
)
from bitcoin.core.script import OP_0, CScript, CScriptWitness
from bitcoin.core.serialize import SerializationError

from podl_tools.block import PodlBlock, make_block
from podl_tools.constants import ZERO_HASH
from podl_tools.header import PODL_VERSION, Header
from podl_tools.tool_errors import NodeAnswerError

if TYPE_CHECKING:
    from podl_tools.chain.fields import Fields

__all__ = ["Template", "draft_block", "height_script", "make_coinbase", "read_transaction"]

_WITNESS_NONCE: Final = bytes(32)
# Leaves the lock time of the coinbase in force (BIP 54).
_COINBASE_SEQUENCE: Final = 0xFFFF_FFFE
_COINBASE_VERSION: Final = 2
_SMALL_INTEGER_MAX: Final = 16
_OP_1_MINUS_1: Final = 0x50
_VERSION_BITS: Final = 0x1FFF_FFFF


@dataclass(frozen=True)
class Template:
    """
    What a block template says, as far as a PoDL block needs it.

    Parameters
    ----------
    version
        Signed 32-bit version.
    prev_block
        Block to build on, in the order of its bytes.
    height
        Height of the new block.
    time, bits
        For the header.
    value
        Subsidy and fees in satoshi.
    witness_commitment
        Script of the output that commits to the witnesses; empty before segwit.
    transactions
        Serialised transactions without the coinbase.
    can_commit
        Whether the node takes commitments for this height now.

    """

    version: int
    prev_block: bytes
    height: int
    time: int
    bits: int
    value: int
    witness_commitment: bytes
    transactions: tuple[bytes, ...]
    can_commit: bool

    @classmethod
    def read(cls, fields: Fields) -> Template:
        """Read the answer to `getblocktemplate`."""
        podl = fields.fields("podl") if "podl" in fields else None
        return cls(
            version=fields.integer("version"),
            prev_block=fields.block_hash("previousblockhash"),
            height=fields.integer("height"),
            time=max(fields.integer("curtime"), fields.integer("mintime")),
            bits=int.from_bytes(fields.data("bits", 4), "big"),
            value=fields.integer("coinbasevalue"),
            witness_commitment=(
                fields.data("default_witness_commitment") if "default_witness_commitment" in fields else b""
            ),
            transactions=tuple(item.data("data") for item in fields.objects("transactions")),
            can_commit=podl is not None and podl.flag("can_commit"),
        )


def height_script(height: int) -> CScript:
    """
    Input script of the coinbase: the height as BIP 34 wants it, and OP_0 so that it never is too short.

    Parameters
    ----------
    height
        At least 1.

    """
    if height <= _SMALL_INTEGER_MAX:
        return CScript(bytes([_OP_1_MINUS_1 + height, OP_0]))
    number = height.to_bytes(height.bit_length() // 8 + 1, "little")  # a byte more keeps the sign bit clear
    return CScript(bytes([len(number)]) + number + bytes([OP_0]))


def make_coinbase(template: Template, payout: bytes) -> CTransaction:
    """
    Build the only coinbase the payout rule allows: everything to the payout, and the witness commitment.

    Parameters
    ----------
    template
        Gives height, value and witness commitment.
    payout
        Payout script.

    """
    outputs = [CTxOut(template.value, CScript(payout))]
    witness = CTxWitness()
    if template.witness_commitment:
        outputs.append(CTxOut(0, CScript(template.witness_commitment)))
        witness = CTxWitness([CTxInWitness(CScriptWitness([_WITNESS_NONCE]))])
    spend = CTxIn(COutPoint(), height_script(template.height), _COINBASE_SEQUENCE)
    return CTransaction([spend], outputs, template.height - 1, _COINBASE_VERSION, witness)


def read_transaction(data: bytes) -> CTransaction:
    """
    Read a transaction of the template.

    Raises
    ------
    NodeAnswerError
        The bytes are no transaction.

    """
    try:
        return CTransaction.deserialize(data)
    except (SerializationError, ValueError) as error:
        raise NodeAnswerError(f"getblocktemplate: a transaction that cannot be read ({error})") from None


def draft_block(template: Template, payout: bytes) -> PodlBlock:
    """
    Make the block that a commitment will stand for; `hashModel` and stamp are still missing.

    Parameters
    ----------
    template
        What the node wants in it.
    payout
        Payout script of the opening.

    """
    transactions = [make_coinbase(template, payout), *map(read_transaction, template.transactions)]
    header = Header(
        version=(template.version & _VERSION_BITS) | PODL_VERSION,
        prev_block=template.prev_block,
        merkle_root=CBlock.build_merkle_tree_from_txs(transactions)[-1],
        time=template.time,
        bits=template.bits,
        nonce=0,
        model_hash=ZERO_HASH,
    )
    return make_block(header, transactions)
