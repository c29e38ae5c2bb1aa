"""Cases of coinbase.json."""

from __future__ import annotations

from bitcoin.core import CMutableTransaction, CTransaction, CTxIn, CTxOut
from bitcoin.core.script import CScript

from dev.vector_cases.fixture import PAYOUT, Json, named, outcome
from podl_tools.coinbase import check_coinbase

_SUBSIDY = 50 * 100_000_000
_WITNESS = bytes.fromhex("6a24aa21a9ed") + named("witness root")
_OTHER = b"\x51"

_ROWS: tuple[tuple[str, list[tuple[int, bytes]]], ...] = (
    ("payout alone", [(_SUBSIDY, PAYOUT)]),
    ("payout of value 0", [(0, PAYOUT)]),
    ("payout and witness commitment", [(_SUBSIDY, PAYOUT), (0, _WITNESS)]),
    ("witness commitment with bytes behind it", [(_SUBSIDY, PAYOUT), (0, _WITNESS + b"\x00")]),
    ("no outputs", []),
    ("another script", [(_SUBSIDY, _OTHER)]),
    ("payout with one byte more", [(_SUBSIDY, PAYOUT + b"\x00")]),
    ("payout not first", [(0, _WITNESS), (_SUBSIDY, PAYOUT)]),
    ("witness commitment with value", [(_SUBSIDY, PAYOUT), (1, _WITNESS)]),
    ("second output of value 0 that is no witness commitment", [(_SUBSIDY, PAYOUT), (0, _OTHER)]),
    ("witness commitment one byte short", [(_SUBSIDY, PAYOUT), (0, _WITNESS[:-1])]),
    ("second payout", [(_SUBSIDY // 2, PAYOUT), (_SUBSIDY // 2, PAYOUT)]),
    ("two witness commitments", [(_SUBSIDY, PAYOUT), (0, _WITNESS), (0, _WITNESS)]),
    ("a third output of value 0", [(_SUBSIDY, PAYOUT), (0, _WITNESS), (0, _OTHER)]),
)


def build() -> Json:
    """Coinbase transactions against the committed payout script."""
    return {"payout": PAYOUT.hex(), "cases": [_case(case, outputs) for case, outputs in _ROWS]}


def _case(case: str, outputs: list[tuple[int, bytes]]) -> Json:
    coinbase = CTransaction.from_tx(
        CMutableTransaction(
            vin=[CTxIn(scriptSig=CScript(b"\x01\x65\x00"))],
            vout=[CTxOut(value, CScript(script)) for value, script in outputs],
        )
    )
    return {
        "case": case,
        "tx": coinbase.serialize().hex(),
        "reason": outcome(lambda: check_coinbase(coinbase, PAYOUT))["reason"],
    }
