"""The coinbase rule: a block's reward goes to the committed script and nowhere else (protocol section 4)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from podl_tools.errors import RejectError

if TYPE_CHECKING:
    from bitcoin.core import CTransaction

__all__ = ["check_coinbase", "is_witness_commitment"]

_COMMITMENT_PREFIX: Final = bytes.fromhex("6a24aa21a9ed")
_COMMITMENT_SIZE: Final = 38
# The payout and the witness commitment.
_MAX_OUTPUTS: Final = 2


def is_witness_commitment(script: bytes) -> bool:
    """Whether Bitcoin reads an output with this script as a block's witness commitment (BIP141)."""
    return len(script) >= _COMMITMENT_SIZE and script.startswith(_COMMITMENT_PREFIX)


def check_coinbase(coinbase: CTransaction, payout: bytes) -> None:
    """
    Hold a coinbase to the committed payout script.

    Raises
    ------
    RejectError
        `podl-payout`: vout[0] pays another script, or there is a further output that is not a witness
        commitment of value 0, or there are two of those.

    """
    outputs = coinbase.vout
    if not outputs or bytes(outputs[0].scriptPubKey) != payout:
        raise RejectError("podl-payout", "vout[0] does not pay the committed script")
    if len(outputs) > _MAX_OUTPUTS:
        raise RejectError("podl-payout", f"at most {_MAX_OUTPUTS} outputs, received {len(outputs)}")
    for output in outputs[1:]:
        if output.nValue != 0 or not is_witness_commitment(bytes(output.scriptPubKey)):
            raise RejectError("podl-payout", "the second output is not a witness commitment of value 0")
