from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from bitcoin.core import CTransaction
from hypothesis import given
from hypothesis import strategies as st

from podl_tools.coinbase import check_coinbase, is_witness_commitment
from podl_tools.errors import RejectError

VECTORS = json.loads((Path(__file__).parent.parent / "vectors" / "coinbase.json").read_text())
PAYOUT = bytes.fromhex(VECTORS["payout"])
MARK = bytes.fromhex("6a24aa21a9ed")


@pytest.mark.parametrize("row", VECTORS["cases"], ids=lambda row: row["case"])
def test_vectors(row: dict[str, Any]) -> None:
    coinbase = CTransaction.deserialize(bytes.fromhex(row["tx"]))
    if not row["reason"]:
        check_coinbase(coinbase, PAYOUT)
        return
    with pytest.raises(RejectError) as caught:
        check_coinbase(coinbase, PAYOUT)
    assert caught.value.reason == row["reason"] == "podl-payout"


@given(rest=st.binary(max_size=80))
def test_a_witness_commitment_has_its_mark_and_32_bytes(rest: bytes) -> None:
    assert is_witness_commitment(MARK + rest) is (len(rest) >= 32)
    assert not is_witness_commitment(b"\x6a" + rest)
