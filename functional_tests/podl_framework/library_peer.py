"""A peer made of python-bitcoinlib's P2P messages alone."""

from __future__ import annotations

import socket
import struct
from typing import TYPE_CHECKING, Any

from bitcoin.messages import (
    MSG_BLOCK,
    MSG_WITNESS_FLAG,
    MsgSerializable,
    msg_block,
    msg_getdata,
    msg_getheaders,
    msg_headers,
    msg_verack,
    msg_version,
)
from bitcoin.net import CInv

if TYPE_CHECKING:
    from typing import BinaryIO

    from bitcoin.core import CBlock, CBlockHeader

SOCKET_SECONDS = 60


class msg_sendpodl(MsgSerializable):  # noqa: N801 - named as the library's messages
    """The handshake, without which a peer gets no PoDL header."""

    command = b"sendpodl"

    def __init__(self, chain_id: bytes) -> None:
        super().__init__()
        self.chain_id = chain_id

    def msg_ser(self, f: BinaryIO) -> None:
        """Write version 1 and the chain."""
        f.write(struct.pack("<I", 1) + self.chain_id)


class LibraryPeer:
    """Speaks the library's P2P messages over a socket."""

    def __init__(self, port: int, chain_id: bytes) -> None:
        self.socket = socket.create_connection(("127.0.0.1", port), SOCKET_SECONDS)
        self.stream = self.socket.makefile("rb")
        self.send(msg_version())
        self.send(msg_sendpodl(chain_id))
        self.receive(msg_verack)
        self.send(msg_verack())

    def send(self, message: MsgSerializable) -> None:
        """Send a message."""
        self.socket.sendall(message.to_bytes())

    def receive(self, kind: type[MsgSerializable]) -> Any:
        """Wait for a message of a type."""
        while True:
            message = MsgSerializable.stream_deserialize(self.stream)
            if isinstance(message, kind):
                return message

    def header_behind(self, block_hash: bytes) -> CBlockHeader:
        """Fetch the only header behind a block."""
        request = msg_getheaders()
        request.locator.vHave = [block_hash]
        self.send(request)
        [header] = self.receive(msg_headers).headers
        return header

    def block(self, block_hash: bytes) -> CBlock:
        """Fetch a block with witnesses."""
        item = CInv()
        item.type, item.hash = MSG_BLOCK | MSG_WITNESS_FLAG, block_hash
        request = msg_getdata()
        request.inv = [item]
        self.send(request)
        return self.receive(msg_block).block

    def close(self) -> None:
        """Hang up."""
        self.stream.close()
        self.socket.close()
