#!/usr/bin/env python3
"""Bad input of the RPCs for data objects, verdicts and audits.

Wrong JSON types, wrong lengths, values out of range: every call must end in the documented error or in a
named reason, and afterwards the node's state must be what it was. One height is played before, so that
getpodldata has an object of each kind to give piece by piece.
"""

from __future__ import annotations

from typing import Any

from podl_framework.actors import Miner, client
from podl_framework.bad_input import (
    DESERIALIZATION_ERROR,
    INVALID_PARAMETER,
    NOT_FOUND,
    TYPE_ERROR,
    UNKNOWN_HASH,
    BadInputTest,
)
from podl_framework.rounds import Round
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

    def set_test_params(self) -> None:
        """Use one node."""
        self.num_nodes = 1

    def run_test(self) -> None:
        """Compare the node before and after bad input."""
        self.compare()

    def prepare(self) -> None:
        """Play a height, so that the node holds one object of each kind."""
        node, miner = self.nodes[0], Miner(self.requester, "first")
        current = Round(self.requester, node, [miner]).commit().close()
        kept = current.kept[0]
        reveal = miner.reveal(kept, current.release)
        assert_equal(str(client(node).submit_reveal(reveal.serialize())), "accepted")
        self.check_assembly(kept.trained.model_root.hex(), kept.trained.model)
        miner.upload(node, kept)
        current.reveals = [reveal]
        current.judge().finish()
        assert_equal(node.getbestblockhash(), kept.hash_hex)
        trained = kept.trained
        self.objects = {
            "body": (kept.hash_hex, kept.block),
            "weights": (trained.weights_root.hex(), trained.weights),
            "model": (trained.model_root.hex(), trained.model),
            "shard": (current.release.body.test_root.hex(), self.requester.shard_data(current.release)),
        }

    def check_assembly(self, root: str, data: bytes) -> None:
        """Hand a model over in pieces, with everything that can go wrong on the way."""
        self.log.info("Pieces come in order; the object is checked when it is whole")
        half = len(data) // 2

        def put(offset: int, piece: bytes, size: int = len(data)) -> tuple[Any, ...]:
            result = self.nodes[0].submitpodldata("model", root, size, offset, piece.hex())
            return result["status"], result.get("reason"), result["received"], result["complete"]

        assert_equal(put(0, data, size=1 << 31), ("refused", "podl-data-size", 0, False))
        assert_equal(put(0, data, size=len(data) + 1), ("accepted", None, len(data), False))
        assert_equal(put(len(data), b"\x00", size=len(data) + 1), ("refused", "podl-data-size", 0, False))
        assert_equal(put(half, data[half:]), ("later", "podl-data-missing", 0, False))
        assert_equal(put(0, data[:half]), ("accepted", None, half, False))
        assert_equal(put(half + 1, data[half + 1 :]), ("refused", "podl-data-size", half, False))
        assert_equal(put(1, data[1:]), ("refused", "podl-data-size", half, False))
        wrong = bytes([data[-1] ^ 1])
        assert_equal(put(half, data[half:-1]), ("accepted", None, len(data) - 1, False))
        assert_equal(put(len(data) - 1, wrong), ("refused", "podl-data-root", 0, False))
        assert_equal(put(len(data) - 1, data[-1:]), ("later", "podl-data-missing", 0, False))
        assert_equal(put(0, data[:half]), ("accepted", None, half, False))
        assert_equal(put(0, data[:1]), ("accepted", None, 1, False))
        assert_equal(put(1, data[1:]), ("accepted", None, len(data), True))

    def check_input(self) -> None:
        """Call everything badly."""
        self.check_decoded()
        self.check_submit_data()
        self.check_get_data()
        self.check_verdicts()
        self.check_audits()

    def check_decoded(self) -> None:
        """Compare the decoded entries of the played height with the signed ones."""
        self.log.info("getpodlschedule decodes release and final")
        shown = self.nodes[0].getpodlschedule(1, 2, 1)
        assert_equal(
            (shown["total"], [entry["type"] for entry in shown["entries"]]), (3, ["release", "final"])
        )
        for shown_entry, entry in zip(shown["entries"], self.requester.log.entries[1:], strict=True):
            assert_equal(shown_entry["id"], entry.id.hex())
            assert_equal(shown_entry["prev_entry_id"], entry.prev.hex())
            assert_equal(shown_entry["signature"], entry.signature.hex())
        release, final = shown["entries"]
        block = self.objects["body"][0]
        assert_equal((release["height"], release["attempt"], release["list"]), (self.podl_height, 0, [block]))
        assert_equal(release["test_root"], self.objects["shard"][0])
        assert_equal(
            (final["height"], final["blockhash"], final["replayed"]), (self.podl_height, block, True)
        )
        assert_equal(final["header"], self.nodes[0].getblockheader(block, False))
        assert_equal(final["opening"]["model_root"], self.objects["model"][0])
        assert_equal(final["recipe"]["parent"], NULL_HASH)
        assert_equal(final["skipped"], [])

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
        self.log.info("An ordinary block is no body: no final names it")
        for kind in KINDS:
            self.refused(NOT_FOUND, method, kind, self.nodes[0].getblockhash(1), message="podl-data-missing")
        self.log.info("What the played height left, piece by piece")
        for kind, (name, data) in self.objects.items():
            self.check_pieces(kind, name, data)

    def check_pieces(self, kind: str, name: str, data: bytes) -> None:
        """Read an object in several ways."""
        method, node = "getpodldata", self.nodes[0]
        assert_equal(node.getpodldata(kind, name), {"size": len(data), "offset": 0, "hex": data.hex()})
        assert_equal(node.getpodldata(kind, name, 3, 2)["hex"], data[3:5].hex())
        assert_equal(node.getpodldata(kind, name, len(data) - 1, MAX_PIECE)["hex"], data[-1:].hex())
        assert_equal(node.getpodldata(kind, name, len(data))["hex"], "")
        self.refused(INVALID_PARAMETER, method, kind, name, len(data) + 1, message="beyond the end")
        other = KINDS[KINDS.index(kind) - 1]
        self.refused(NOT_FOUND, method, other, name, message="podl-data-missing")
        result = node.submitpodldata(kind, name, len(data), 0, data.hex())
        assert_equal((result["received"], result["complete"]), (len(data), True))

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
        self.check_reports(self.objects["body"][0])

    def check_reports(self, block: str) -> None:
        """Report on a block twice; the later report of an auditor stands."""
        self.log.info("The latest report of each auditor stands")
        node = self.nodes[0]
        first = {"auditor": "a1", "result": "replayed"}
        second = {"auditor": "a2", "result": "not replayable"}
        third = {"auditor": "a1", "result": "mismatch", "epoch": 1}
        for report in (first, second, third):
            assert_equal(node.submitpodlaudit({"blockhash": block, **report}), {"status": "accepted"})
        shown = node.getpodlaudit(block)
        assert_equal(shown["blockhash"], block)
        assert_equal(sorted(shown["reports"], key=lambda report: report["auditor"]), [third, second])


if __name__ == "__main__":
    RpcPodlDataTest(__file__).main()
