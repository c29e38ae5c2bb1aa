#!/usr/bin/env python3
"""Bad input of the RPCs for data objects, verdicts and audits.

Wrong JSON types, wrong lengths, values out of range: every call must end in the documented error or in a
named reason, and afterwards the node's state must be what it was. The blocks of the active chain are the only
objects that this node holds; getpodldata must give them piece by piece.
"""

from __future__ import annotations

from typing import Any

from podl_framework.bad_input import (
    DESERIALIZATION_ERROR,
    INVALID_PARAMETER,
    NOT_FOUND,
    TYPE_ERROR,
    UNKNOWN_HASH,
    BadInputTest,
)
from test_framework.util import assert_equal

NULL_HASH = "00" * 32
MAX_PIECE = 1 << 20
KINDS = ("body", "weights", "model", "shard")

VERDICT = {
    "arithmetic": 1,
    "program": UNKNOWN_HASH,
    "weights_root": UNKNOWN_HASH,
    "test_root": UNKNOWN_HASH,
    "count": 1,
    "rank_sum": 1,
    "device": "cpu",
    "evaluator": "e1",
}
AUDIT = {"blockhash": UNKNOWN_HASH, "result": "replayed", "auditor": "a1"}


class RpcPodlDataTest(BadInputTest):
    """Bad input of the RPCs for data objects, verdicts and audits."""

    def check_input(self) -> None:
        """Call everything badly."""
        self.check_submit_data()
        self.check_get_data()
        self.check_verdicts()
        self.check_audits()

    def check_object_arguments(self, method: str, rest: list[Any]) -> None:
        """Kind and hash, which both data methods have."""
        for bad in ("", "Body", "bodies", "weights ", UNKNOWN_HASH):
            self.refused(INVALID_PARAMETER, method, bad, UNKNOWN_HASH, *rest, message="kind must be one of")
        for kind in KINDS:
            for bad in ("", "ab", UNKNOWN_HASH[1:], UNKNOWN_HASH + "ab", "0x" + UNKNOWN_HASH[2:] + "0"):
                self.refused(INVALID_PARAMETER, method, kind, bad, *rest, message="hash must be")
            code = INVALID_PARAMETER if kind == "body" else DESERIALIZATION_ERROR
            self.refused(code, method, kind, "zz" * 32, *rest)
            self.refused(TYPE_ERROR, method, kind, 0, *rest)
        self.refused(TYPE_ERROR, method, 1, UNKNOWN_HASH, *rest)

    def check_submit_data(self) -> None:
        """Arguments of submitpodldata."""
        self.log.info("submitpodldata")
        method = "submitpodldata"
        self.check_object_arguments(method, [1, 0, "00"])
        for bad in (0, -1, 1.5, 1 << 32):
            self.refused(
                INVALID_PARAMETER,
                method,
                "model",
                UNKNOWN_HASH,
                bad,
                0,
                "00",
                message="size must be an integer",
            )
        for bad in (-1, 1, 1.5, 1 << 32, 1 << 64):
            self.refused(
                INVALID_PARAMETER,
                method,
                "model",
                UNKNOWN_HASH,
                1,
                bad,
                "00",
                message="offset must be an integer",
            )
        self.refused(TYPE_ERROR, method, "model", UNKNOWN_HASH, "1", 0, "00")
        self.refused(TYPE_ERROR, method, "model", UNKNOWN_HASH, 1, "0", "00")
        self.refused(TYPE_ERROR, method, "model", UNKNOWN_HASH, 1, 0, 0)
        for size, offset, piece in ((1, 0, 2), (1, 0, 0), (10, 9, 2), (MAX_PIECE + 1, 0, MAX_PIECE + 1)):
            self.refused(
                INVALID_PARAMETER,
                method,
                "model",
                UNKNOWN_HASH,
                size,
                offset,
                "00" * piece,
                message="hex must be the hex of",
            )
        self.refused(DESERIALIZATION_ERROR, method, "model", UNKNOWN_HASH, 1, 0, "0g")
        for kind in KINDS:
            result = self.submission(
                "later", "podl-data-unwanted", method, kind, UNKNOWN_HASH, 100, 0, "00" * 10
            )
            assert_equal((result["received"], result["complete"]), (0, False))

    def check_get_data(self) -> None:
        """Arguments of getpodldata."""
        self.log.info("getpodldata")
        method = "getpodldata"
        self.check_object_arguments(method, [])
        for bad in (-1, 1.5, 1 << 32):
            self.refused(
                INVALID_PARAMETER, method, "model", UNKNOWN_HASH, bad, message="offset must be an integer"
            )
        for bad in (-1, 0, 1.5, MAX_PIECE + 1, 1 << 64):
            self.refused(
                INVALID_PARAMETER, method, "model", UNKNOWN_HASH, 0, bad, message="length must be an integer"
            )
        for kind in KINDS:
            for unknown in (UNKNOWN_HASH, NULL_HASH):
                self.refused(NOT_FOUND, method, kind, unknown, message="podl-data-missing")
        self.log.info("A block of the active chain is a body that the node holds")
        tip = self.nodes[0].getbestblockhash()
        block = bytes.fromhex(self.nodes[0].getblock(tip, 0))
        whole = self.nodes[0].getpodldata("body", tip)
        assert_equal(whole, {"size": len(block), "offset": 0, "hex": block.hex()})
        assert_equal(self.nodes[0].getpodldata("body", tip, 80, 3)["hex"], block[80:83].hex())
        assert_equal(self.nodes[0].getpodldata("body", tip, len(block))["hex"], "")
        self.refused(INVALID_PARAMETER, method, "body", tip, len(block) + 1, message="beyond the end")
        self.refused(NOT_FOUND, method, "model", tip, message="podl-data-missing")

    def check_verdicts(self) -> None:
        """Fields of submitpodlverdict."""
        self.log.info("submitpodlverdict")
        method = "submitpodlverdict"
        for bad in ("", [], 1, "verdict"):
            self.refused(TYPE_ERROR, method, bad)
        for key in VERDICT:
            self.refused(TYPE_ERROR, method, {k: v for k, v in VERDICT.items() if k != key})
            for bad in ([], {}, None, True):
                self.refused(TYPE_ERROR, method, VERDICT | {key: bad})
        self.refused(TYPE_ERROR, method, VERDICT | {"extra": 1}, message="Unexpected key extra")
        limits = {"arithmetic": 1 << 8, "count": 1 << 32, "rank_sum": 1 << 64}
        for key, limit in limits.items():
            for bad in (-1, 1.5, limit):
                self.refused(
                    INVALID_PARAMETER, method, VERDICT | {key: bad}, message=f"{key} must be an integer"
                )
            self.refused(TYPE_ERROR, method, VERDICT | {key: "1"})
        for key in ("program", "weights_root", "test_root"):
            for bad in ("", "ab" * 31, "ab" * 33, "ab" * 31 + "a"):
                self.refused(
                    INVALID_PARAMETER,
                    method,
                    VERDICT | {key: bad},
                    message=f"{key} must be the hex of 32 bytes",
                )
            self.refused(DESERIALIZATION_ERROR, method, VERDICT | {key: "zz" * 32})
        for key in ("device", "evaluator"):
            for bad in ("", "a\nb", "\u00e9", "a\x00b"):
                self.refused(
                    INVALID_PARAMETER, method, VERDICT | {key: bad}, message=f"{key} must be printable ASCII"
                )
        self.submission("refused", "podl-verdict-key", method, VERDICT)

    def check_audits(self) -> None:
        """Fields of submitpodlaudit and getpodlaudit."""
        self.log.info("submitpodlaudit, getpodlaudit")
        method = "submitpodlaudit"
        for key in AUDIT:
            self.refused(TYPE_ERROR, method, {k: v for k, v in AUDIT.items() if k != key})
            for bad in (1, [], None):
                self.refused(TYPE_ERROR, method, AUDIT | {key: bad})
        self.refused(TYPE_ERROR, method, AUDIT | {"extra": 1}, message="Unexpected key extra")
        self.refused(INVALID_PARAMETER, method, AUDIT | {"result": "fine"}, message="result must be one of")
        self.refused(INVALID_PARAMETER, method, AUDIT | {"epoch": 1}, message="epoch belongs to a mismatch")
        self.refused(
            INVALID_PARAMETER, method, AUDIT | {"result": "mismatch"}, message="epoch belongs to a mismatch"
        )
        for bad in (-1, 255, 1.5):
            self.refused(
                INVALID_PARAMETER,
                method,
                AUDIT | {"result": "mismatch", "epoch": bad},
                message="epoch must be an integer",
            )
        self.refused(TYPE_ERROR, method, AUDIT | {"result": "mismatch", "epoch": "1"})
        self.refused(INVALID_PARAMETER, method, AUDIT | {"auditor": ""})
        for bad in ("", "ab", "zz" * 32, UNKNOWN_HASH + "0"):
            self.refused(INVALID_PARAMETER, method, AUDIT | {"blockhash": bad})
            self.refused(INVALID_PARAMETER, "getpodlaudit", bad)
        self.refused(TYPE_ERROR, "getpodlaudit", 1)
        result = self.nodes[0].submitpodlaudit(AUDIT)
        assert result["status"] in ("refused", "later"), result
        assert result["reason"].startswith("podl-")
        assert_equal(self.nodes[0].getpodlaudit(UNKNOWN_HASH), {"blockhash": UNKNOWN_HASH, "reports": []})


if __name__ == "__main__":
    RpcPodlDataTest(__file__).main()
