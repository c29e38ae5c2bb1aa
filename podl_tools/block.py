"""
PoDL headers and blocks in the types of python-bitcoinlib, for code that already speaks them.

Attribute names follow that library. Its own `CBlock` cuts a header off after 80 bytes and would get every
hash wrong on a PoDL chain.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, BinaryIO

from bitcoin.core import CBlock, CBlockHeader, CheckBlockError, CTransaction
from bitcoin.core.serialize import SerializationError, VectorSerializer, ser_read

from podl_tools.constants import HEADER_SIZE
from podl_tools.errors import RejectError
from podl_tools.header import Header

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["PodlBlock", "PodlBlockHeader", "make_block", "parse_block"]


def _arguments(header: Header) -> dict[str, Any]:
    """Fields of a header under the names of python-bitcoinlib."""
    return {
        "nVersion": header.version,
        "hashPrevBlock": header.prev_block,
        "hashMerkleRoot": header.merkle_root,
        "nTime": header.time,
        "nBits": header.bits,
        "nNonce": header.nonce,
    }


class PodlBlockHeader(CBlockHeader):  # type: ignore[misc]  # python-bitcoinlib has no types
    """A `CBlockHeader` of 112 bytes, with `hashModel`."""

    __slots__ = ["hashModel"]

    def __init__(self, header: Header) -> None:
        super().__init__(**_arguments(header))
        object.__setattr__(self, "hashModel", header.model_hash)

    @classmethod
    def stream_deserialize(cls, f: BinaryIO) -> PodlBlockHeader:
        """Read 112 bytes."""
        return cls(Header.parse(ser_read(f, HEADER_SIZE)))

    def stream_serialize(self, f: BinaryIO) -> None:
        """Write 112 bytes."""
        super().stream_serialize(f)
        f.write(self.hashModel)


class PodlBlock(CBlock):  # type: ignore[misc]  # python-bitcoinlib has no types
    """
    A `CBlock` with a header of 112 bytes.

    Raises
    ------
    bitcoin.core.CheckBlockError
        The transactions do not lead to the header's Merkle root.

    """

    __slots__ = ["hashModel"]

    def __init__(self, header: Header, vtx: Sequence[CTransaction]) -> None:
        super().__init__(**_arguments(header), vtx=vtx)
        # CBlock fills in a null Merkle root.
        if self.hashMerkleRoot != header.merkle_root:
            raise CheckBlockError("hashMerkleRoot is null")
        object.__setattr__(self, "hashModel", header.model_hash)

    @property
    def header(self) -> Header:
        """The header in our own type."""
        return Header(
            self.nVersion,
            self.hashPrevBlock,
            self.hashMerkleRoot,
            self.nTime,
            self.nBits,
            self.nNonce,
            self.hashModel,
        )

    @classmethod
    def stream_deserialize(cls, f: BinaryIO) -> PodlBlock:
        """Read a block."""
        header = Header.parse(ser_read(f, HEADER_SIZE))
        return cls(header, VectorSerializer.stream_deserialize(CTransaction, f))

    def stream_serialize(self, f: BinaryIO, include_witness: bool = True) -> None:
        """Write the block, by default with witnesses."""
        f.write(self.header.serialize())
        VectorSerializer.stream_serialize(CTransaction, self.vtx, f, {"include_witness": include_witness})

    def get_header(self) -> PodlBlockHeader:
        """Return the header; `GetHash` of the block is its hash."""
        return PodlBlockHeader(self.header)


def make_block(header: Header, vtx: Sequence[CTransaction]) -> PodlBlock:
    """
    Join a header and its transactions.

    Raises
    ------
    RejectError
        `podl-body-mismatch`: no transactions, or others than those under the Merkle root.

    """
    if not vtx:
        raise RejectError("podl-body-mismatch", "a block has at least its coinbase")
    try:
        return PodlBlock(header, vtx)
    except CheckBlockError:
        raise RejectError("podl-body-mismatch", "the transactions do not match the Merkle root") from None


def parse_block(data: bytes) -> PodlBlock:
    """
    Read the bytes of a PoDL block.

    Raises
    ------
    RejectError
        `podl-body-mismatch`: malformed, or transactions that do not match the header.

    """
    try:
        block: PodlBlock = PodlBlock.deserialize(data)
    except (SerializationError, CheckBlockError, ValueError) as error:
        raise RejectError("podl-body-mismatch", f"no PoDL block: {error}") from None
    if not block.vtx or block.serialize() != data:
        raise RejectError("podl-body-mismatch", "no transactions, or not the one canonical encoding")
    return block
