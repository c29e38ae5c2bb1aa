"""Large objects to and from a node, in pieces (RPCs submitpodldata and getpodldata)."""

from __future__ import annotations

from enum import Enum
from typing import TYPE_CHECKING, Final

from podl_tools.chain.answers import Submission
from podl_tools.merkle import data_root
from podl_tools.tool_errors import DataMissingError, NodeAnswerError, TransferError

if TYPE_CHECKING:
    from podl_tools.chain.node import Node
    from podl_tools.fetch import Fetcher

__all__ = ["PIECE", "Kind", "download", "obtain_model", "obtain_shard", "upload"]

PIECE: Final = 1 << 20


class Kind(Enum):
    """Kinds of objects a node keeps."""

    BODY = "body"
    WEIGHTS = "weights"
    MODEL = "model"
    SHARD = "shard"

    def name_of(self, key: bytes) -> str:
        """Hex under which RPCs know an object: a body by its block hash as shown, others by their root."""
        return key[::-1].hex() if self is Kind.BODY else key.hex()


def upload(node: Node, kind: Kind, key: bytes, data: bytes) -> Submission:
    """
    Hand an object to the node.

    Parameters
    ----------
    node
        Receives it.
    kind, key
        What it is; `key` is a block hash in serialised order or a Merkle root.
    data
        All its bytes.

    Returns
    -------
    Submission
        The first answer that is not `accepted`, else the last one.

    """
    name = kind.name_of(key)
    answer = Submission("accepted")
    for offset in range(0, len(data), PIECE):
        answer = node.submit_piece(kind.value, name, len(data), offset, data[offset : offset + PIECE])
        if answer.status != "accepted":
            break
    return answer


def download(node: Node, kind: Kind, key: bytes, max_size: int) -> bytes:
    """
    Get an object from the node; its root is checked here and not taken on trust.

    Parameters
    ----------
    node
        Asked.
    kind, key
        As for `upload`. A body is returned unchecked: its reader compares the block hash.
    max_size
        Longest object worth downloading, in bytes.

    Raises
    ------
    DataMissingError
        The node does not hold it.
    TransferError
        `podl-data-size` or `podl-data-root`: not what the root names.

    """
    name = kind.name_of(key)
    parts: list[bytes] = []
    size, done = -1, 0
    while size < 0 or done < size:
        piece = node.piece(kind.value, name, done, PIECE)
        if size < 0:
            size = piece.size
            if not 0 < size <= max_size:
                raise TransferError(
                    f"{kind.value} {name} has {size} bytes, at most {max_size}", reason="podl-data-size"
                )
        if piece.size != size or piece.offset != done or not 0 < len(piece.data) <= size - done:
            raise NodeAnswerError(f"getpodldata: piece of {kind.value} {name} does not fit the one before")
        parts.append(piece.data)
        done += len(piece.data)
    data = b"".join(parts)
    if kind is not Kind.BODY and data_root(data) != key:
        raise TransferError(
            f"{kind.value} {name} has other bytes than its root names", reason="podl-data-root"
        )
    return data


def obtain_shard(node: Node, fetcher: Fetcher, root: bytes, size: int) -> bytes:
    """
    Get an opened shard: from the cache, the node, or a store, whichever has it.

    Parameters
    ----------
    node
        Asked before any store.
    fetcher
        Cache and stores.
    root, size
        The shard's root and its exact length in bytes.

    Raises
    ------
    TransferError
        Nobody has it (yet).

    """
    data = fetcher.cached(root, size)
    if data is not None:
        return data
    try:
        data = download(node, Kind.SHARD, root, size)
    except DataMissingError:
        return fetcher.fetch(root, size)
    if len(data) != size:
        raise TransferError(
            f"shard {root.hex()} has {len(data)} bytes, expected {size}", reason="podl-data-size"
        )
    fetcher.keep(root, data)
    return data


def obtain_model(node: Node, fetcher: Fetcher, root: bytes, size: int) -> bytes:
    """
    Get the model bytes of an earlier final, from the cache or the node.

    Parameters
    ----------
    node
        Asked when the cache does not have it.
    fetcher
        Cache.
    root, size
        The model's root and its exact length in bytes.

    Raises
    ------
    DataMissingError
        The node does not hold it.
    TransferError
        The node gave other bytes.

    """
    data = fetcher.cached(root, size)
    if data is None:
        data = download(node, Kind.MODEL, root, size)
        fetcher.keep(root, data)
    return data
