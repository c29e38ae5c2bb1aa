"""Typed calls to a PoDL node."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from podl_tools.chain.answers import Candidates, Commitments, Info, Piece, Submission
from podl_tools.chain.fields import Fields
from podl_tools.tool_errors import NodeAnswerError, SettingsError

if TYPE_CHECKING:
    from podl_tools.chain.rpc import Transport
    from podl_tools.chain.verdict import Verdict

__all__ = ["PAGE", "Node"]

PAGE: Final = 100  # schedule entries a call


class Node:
    """
    A node, reached through a transport.

    Parameters
    ----------
    transport
        Carries the calls; all its errors pass through.

    """

    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    def _fields(self, method: str, *params: object) -> Fields:
        return Fields(method, self._transport.call(method, *params))

    def info(self) -> Info:
        """`getpodlinfo`."""
        return Info.read(self._fields("getpodlinfo"))

    def schedule(self, start: int) -> list[bytes]:
        """
        Signed entries from index `start` on.

        Parameters
        ----------
        start
            Index of the first entry wanted.

        Returns
        -------
        list of bytes
            One page, at most `PAGE`; empty when there is none.

        """
        fields = self._fields("getpodlschedule", start, PAGE, 0)
        return [entry.data("hex") for entry in fields.objects("entries")]

    def submit_entry(self, data: bytes) -> Submission:
        """`submitpodlentry`: a signed schedule entry."""
        return Submission.read(self._fields("submitpodlentry", data.hex()))

    def submit_commitment(self, header: bytes) -> Submission:
        """`submitpodlcommitment`: a 112-byte header."""
        return Submission.read(self._fields("submitpodlcommitment", header.hex()))

    def commitments(self) -> Commitments:
        """`listpodlcommitments`."""
        return Commitments.read(self._fields("listpodlcommitments"))

    def submit_reveal(self, data: bytes) -> Submission:
        """`submitpodlreveal`: the bytes of a signed reveal."""
        return Submission.read(self._fields("submitpodlreveal", data.hex()))

    def candidates(self) -> Candidates:
        """`listpodlcandidates`."""
        return Candidates.read(self._fields("listpodlcandidates"))

    def submit_verdict(self, verdict: Verdict) -> Submission:
        """`submitpodlverdict`: a measurement."""
        return Submission.read(self._fields("submitpodlverdict", verdict.fields()))

    def submit_piece(self, kind: str, name: str, size: int, offset: int, data: bytes) -> Submission:
        """`submitpodldata`: one piece of an object."""
        return Submission.read(self._fields("submitpodldata", kind, name, size, offset, data.hex()))

    def piece(self, kind: str, name: str, offset: int, length: int) -> Piece:
        """
        `getpodldata`: one piece of an object.

        Raises
        ------
        DataMissingError
            The node does not hold the object.

        """
        fields = self._fields("getpodldata", kind, name, offset, length)
        return Piece(fields.integer("size"), fields.integer("offset"), fields.data("hex"))

    def block_template(self) -> Fields:
        """`getblocktemplate` with the rules every current node wants."""
        return self._fields("getblocktemplate", {"rules": ["segwit"]})

    def propose(self, block: bytes) -> str | None:
        """
        Let the node check a block without proof (BIP 23 proposal).

        Returns
        -------
        str or None
            Reject reason; None when the block is good.

        """
        answer = self._transport.call(
            "getblocktemplate", {"mode": "proposal", "data": block.hex(), "rules": ["segwit"]}
        )
        if answer is not None and not isinstance(answer, str):
            raise NodeAnswerError("getblocktemplate: a proposal answers with a string or null")
        return answer

    def payout_script(self, address: str) -> bytes:
        """
        Ask for the scriptPubKey of an address.

        Raises
        ------
        SettingsError
            The address is not valid on the node's chain.

        """
        fields = self._fields("validateaddress", address)
        if not fields.flag("isvalid"):
            raise SettingsError(f"the payout address {address!r} is not valid on the node's chain")
        return fields.data("scriptPubKey")
