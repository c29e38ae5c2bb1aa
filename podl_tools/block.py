"""
Headers and blocks in the types of python-bitcoinlib, for code that already speaks them.

Attribute names follow that library, `hashModel` is added. Its own `CBlock` cuts a header off after 80 bytes
and would get every hash wrong on a PoDL chain. The classes here read both kinds of header: 112 bytes where
the version bits mark a PoDL header *and* the parameters of `podl_tools.bitcoinlib` are selected, else 80
(protocol section 3). Only reading asks for the parameters; an object keeps its bytes and its hash.
"""

from __future__ import annotations

from io import BytesIO
from typing import TYPE_CHECKING, Any, BinaryIO, Final

import bitcoin.core
from bitcoin.core import CBlock, CBlockHeader, CheckBlockError, CTransaction, b2x
from bitcoin.core.serialize import SerializationError, VectorSerializer, ser_read

from podl_tools.constants import HASH_SIZE, HEADER_SIZE
from podl_tools.errors import RejectError
from podl_tools.header import Header, is_podl_version

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = [
    "PodlBlock",
    "PodlBlockHeader",
    "make_block",
    "parse_block",
    "podl_selected",
    "read_header",
    "write_header",
]

# The library's own, whatever `podl_tools.bitcoinlib` puts in their place later.
_read_ordinary: Final = CBlockHeader.stream_deserialize.__func__
_write_ordinary: Final = CBlockHeader.stream_serialize


def podl_selected() -> bool:
    """Whether the parameters of a PoDL chain are selected; elsewhere version bits mean nothing."""
    return bool(getattr(bitcoin.core.coreparams, "PODL", False))


def read_header(cls: Any, f: BinaryIO) -> Any:
    """
    Read a header of either kind.

    Parameters
    ----------
    cls
        `CBlockHeader` or a subclass, for the result; one without `hashModel` takes ordinary headers only.
    f
        Stream of bytes.

    Raises
    ------
    bitcoin.core.serialize.SerializationError
        Too few bytes, or a PoDL header for a class that cannot hold it.

    """
    header = _read_ordinary(cls, f)
    if podl_selected() and is_podl_version(header.nVersion):
        if not isinstance(header, PodlBlockHeader):
            raise SerializationError(
                f"{cls.__name__} has no hashModel: derive it from PodlBlock or PodlBlockHeader"
            )
        object.__setattr__(header, "hashModel", ser_read(f, HASH_SIZE))
    return header


def write_header(header: Any, f: BinaryIO) -> None:
    """
    Write a header of either kind, 112 bytes when it has a `hashModel`, else 80.

    Raises
    ------
    bitcoin.core.serialize.SerializationError
        The version marks a PoDL header on a PoDL chain, but `hashModel` is missing.

    """
    model = getattr(header, "hashModel", None)
    if model is None and podl_selected() and is_podl_version(header.nVersion):
        raise SerializationError("a PoDL header needs hashModel: make it a PodlBlock or PodlBlockHeader")
    _write_ordinary(header, f)
    f.write(model or b"")


def _check_model(version: int, model: bytes | None) -> None:
    if model is None:
        return
    if len(model) != HASH_SIZE:
        raise ValueError(f"hashModel has {HASH_SIZE} bytes, received {len(model)}")
    if not is_podl_version(version):
        raise ValueError(f"version {version:#x} is not that of a PoDL header, which hashModel belongs to")


class PodlBlockHeader(CBlockHeader):  # type: ignore[misc]  # python-bitcoinlib has no types
    """
    A `CBlockHeader` of either kind.

    Parameters
    ----------
    nVersion, hashPrevBlock, hashMerkleRoot, nTime, nBits, nNonce
        As in `CBlockHeader`.
    hashModel
        The commitment, 32 bytes in their order; None in an ordinary header.

    Raises
    ------
    ValueError
        `hashModel` has another length, or the version does not mark a PoDL header.

    """

    # A named slot would clash with those of CBlock in PodlBlock.
    __slots__ = ("__dict__",)
    hashModel: bytes | None

    def __init__(
        self,
        nVersion: int = 2,
        hashPrevBlock: bytes = b"\x00" * 32,
        hashMerkleRoot: bytes = b"\x00" * 32,
        nTime: int = 0,
        nBits: int = 0,
        nNonce: int = 0,
        hashModel: bytes | None = None,
    ) -> None:
        _check_model(nVersion, hashModel)
        super().__init__(nVersion, hashPrevBlock, hashMerkleRoot, nTime, nBits, nNonce)
        object.__setattr__(self, "hashModel", hashModel)

    @classmethod
    def stream_deserialize(cls, f: BinaryIO) -> PodlBlockHeader:
        """Read a header; raises as `read_header` does."""
        header: PodlBlockHeader = read_header(cls, f)
        return header

    def stream_serialize(self, f: BinaryIO) -> None:
        """Write the header; raises as `write_header` does."""
        write_header(self, f)

    def __repr__(self) -> str:
        """Show `hashModel` behind the library's fields."""
        shown: str = super().__repr__()
        return shown if self.hashModel is None else f"{shown[:-1]}, hashModel=x({b2x(self.hashModel)}))"


class PodlBlock(CBlock, PodlBlockHeader):  # type: ignore[misc]  # python-bitcoinlib has no types
    """
    A `CBlock` with a header of either kind.

    Parameters
    ----------
    nVersion, hashPrevBlock, hashMerkleRoot, nTime, nBits, nNonce, vtx
        As in `CBlock`, which puts the root of `vtx` in the place of a null Merkle root.
    hashModel
        As in `PodlBlockHeader`.

    Raises
    ------
    ValueError
        As `PodlBlockHeader` does.
    bitcoin.core.CheckBlockError
        The transactions do not lead to the header's Merkle root.

    """

    __slots__ = ()

    def __init__(
        self,
        nVersion: int = 2,
        hashPrevBlock: bytes = b"\x00" * 32,
        hashMerkleRoot: bytes = b"\x00" * 32,
        nTime: int = 0,
        nBits: int = 0,
        nNonce: int = 0,
        vtx: Sequence[CTransaction] = (),
        hashModel: bytes | None = None,
    ) -> None:
        _check_model(nVersion, hashModel)
        CBlock.__init__(self, nVersion, hashPrevBlock, hashMerkleRoot, nTime, nBits, nNonce, vtx)
        object.__setattr__(self, "hashModel", hashModel)

    def get_header(self) -> PodlBlockHeader:
        """Return the header; `GetHash` of the block is its hash."""
        return PodlBlockHeader(
            self.nVersion,
            self.hashPrevBlock,
            self.hashMerkleRoot,
            self.nTime,
            self.nBits,
            self.nNonce,
            self.hashModel,
        )

    @property
    def header(self) -> Header:
        """
        The header in our own type.

        Raises
        ------
        RejectError
            `podl-commit-size`: it is an ordinary one.

        """
        return Header.parse(self.get_header().serialize())


def make_block(header: Header, vtx: Sequence[CTransaction]) -> PodlBlock:
    """
    Join a PoDL header and its transactions.

    Raises
    ------
    RejectError
        `podl-body-mismatch`: no transactions, others than those under the Merkle root, or not a PoDL version.

    """
    if not vtx:
        raise RejectError("podl-body-mismatch", "a block has at least its coinbase")
    try:
        block = PodlBlock(
            header.version,
            header.prev_block,
            header.merkle_root,
            header.time,
            header.bits,
            header.nonce,
            vtx,
            header.model_hash,
        )
    except (CheckBlockError, ValueError) as error:
        raise RejectError("podl-body-mismatch", str(error)) from None
    # CBlock fills in a null Merkle root.
    if block.hashMerkleRoot != header.merkle_root:
        raise RejectError("podl-body-mismatch", "the Merkle root is null")
    return block


def parse_block(data: bytes) -> PodlBlock:
    """
    Read the bytes of a PoDL block, whatever chain parameters are selected.

    Raises
    ------
    RejectError
        `podl-body-mismatch`: malformed, or transactions that do not match the header.

    """
    try:
        header = Header.parse(data[:HEADER_SIZE])
        vtx = VectorSerializer.stream_deserialize(CTransaction, BytesIO(data[HEADER_SIZE:]))
    except (RejectError, SerializationError, ValueError) as error:
        raise RejectError("podl-body-mismatch", f"no PoDL block: {error}") from None
    block = make_block(header, vtx)
    if block.serialize() != data:
        raise RejectError("podl-body-mismatch", "not the one canonical encoding")
    return block
