#!/usr/bin/env python3
"""Bad input of the RPCs for schedule, commitments and reveals, and what an ordinary node says.

Node 0 follows a PoDL chain, node 1 is an ordinary regtest node. Node 0 is given malformed hex, wrong JSON
types, wrong lengths and objects that are none. Every call must end in the documented error or in a named
reason, and afterwards the node's state must be what it was. Node 1 must answer every PoDL RPC with the same
plain error.
"""

from __future__ import annotations

from typing import Any

from podl_framework.bad_input import (
    DESERIALIZATION_ERROR,
    INVALID_PARAMETER,
    MISC_ERROR,
    TYPE_ERROR,
    UNKNOWN_HASH,
    BadInputTest,
)
from test_framework.util import assert_equal, assert_raises_rpc_error

NULL_HASH = "00" * 32
HEADER_SIZE = 112

# One call of each method that an ordinary node understands well enough to get to the manager.
CALLS = {
    "getpodlinfo": [],
    "getpodlschedule": [],
    "submitpodlentry": ["00"],
    "submitpodlcommitment": ["00" * HEADER_SIZE],
    "listpodlcommitments": [],
    "submitpodlreveal": ["00"],
    "listpodlcandidates": [],
    "submitpodldata": ["weights", UNKNOWN_HASH, 1, 0, "00"],
    "getpodldata": ["weights", UNKNOWN_HASH],
    "submitpodlverdict": [{}],
    "submitpodlaudit": [{}],
    "getpodlaudit": [UNKNOWN_HASH],
    "syncpodl": [],
}


class RpcPodlTest(BadInputTest):
    """Bad input of the RPCs for schedule, commitments and reveals."""

    def set_test_params(self) -> None:
        """Use one node with PoDL and one without."""
        self.num_nodes = 2

    def setup_nodes(self) -> None:
        """Give PoDL's options to node 0 only."""
        self.add_nodes(2, [self.podl_args(), []])
        self.start_nodes()

    def run_test(self) -> None:
        """Compare the node before and after bad input."""
        self.compare()

    def check_input(self) -> None:
        """Call everything badly."""
        self.check_start(self.nodes[0].getpodlinfo())
        self.check_inactive()
        self.check_hex_arguments()
        self.check_entries()
        self.check_commitments()
        self.check_reveals()
        self.check_schedule()
        self.check_template()

    def check_start(self, info: dict[str, Any]) -> None:
        """Look at a fresh chain's answers."""
        self.log.info("State of a chain that has only its task")
        task_id = self.requester.task_entry.id.hex()
        expected = {
            "podlheight": self.podl_height,
            "chain_id": task_id,
            "task_id": task_id,
            "height": self.podl_height,
            "phase": "commit",
            "opening_release_id": task_id,
            "prev": self.nodes[0].getbestblockhash(),
            "entries": 1,
            "digest": task_id,
            "finals": 0,
            "commitments": 0,
            "candidates": 0,
            "state": "running",
            "alarms": [],
            "accuracywork": "0",
            "heights": {"evaluated": 0},
            "evaluator": "sidecar",
            "evaluators": [],
        }
        assert_equal({key: info[key] for key in expected}, expected)
        assert "attempt" not in info
        assert "release_id" not in info

    def check_inactive(self) -> None:
        """Ask a node without PoDL."""
        self.log.info("Every method on an ordinary chain")
        for method, params in CALLS.items():
            message = "Proof of deep learning is not active on this chain"
            assert_raises_rpc_error(MISC_ERROR, message, getattr(self.nodes[1], method), *params)
            assert_raises_rpc_error(
                MISC_ERROR, method, getattr(self.nodes[1], method), *params, 1, 2, 3, 4, 5, 6
            )
        assert "podl" not in self.nodes[1].getblocktemplate({"rules": ["segwit"]})

    def check_hex_arguments(self) -> None:
        """Malformed hex never reaches a parser of objects."""
        self.log.info("Malformed hex")
        methods = {"submitpodlentry": 65536, "submitpodlreveal": 4096, "submitpodlcommitment": HEADER_SIZE}
        for method, limit in methods.items():
            size = HEADER_SIZE if method == "submitpodlcommitment" else 40
            for bad in ("zz" * size, "0x" + "00" * (size - 1), " 0" * size, "0\n" * size, "\u00e9" * size):
                self.refused(DESERIALIZATION_ERROR, method, bad, message="hex is not hex")
            for bad in ("", "00" * (limit + 1), "0" * (2 * limit + 1)):
                self.refused(INVALID_PARAMETER, method, bad, message="hex must be the hex of")
            for bad in (0, 1.5, True, ["00"], {"hex": "00"}):
                self.refused(TYPE_ERROR, method, bad, message="not of expected type string")
            self.refused(MISC_ERROR, method)
            self.refused(MISC_ERROR, method, "00", "00")
        for method in ("submitpodlentry", "submitpodlreveal"):
            self.refused(DESERIALIZATION_ERROR, method, "abc")
        for size in (0, 1, 80, HEADER_SIZE - 1, HEADER_SIZE + 1):
            self.refused(INVALID_PARAMETER, "submitpodlcommitment", "00" * size)

    def check_entries(self) -> None:
        """Well-formed hex of things that are no entries."""
        self.log.info("Bytes that are no entry")
        task = self.requester.task_entry.serialize()
        for bad in (
            b"\x00",
            b"\xff" * 65536,
            task[:1],
            task[:-1],
            task + b"\x00",
            task[1:],
            task[:200],
            b"\x02" + task[1:],
            task[:1] + b"\x05" + task[2:],
        ):
            result = self.submission("refused", "podl-entry-noncanonical", "submitpodlentry", bad.hex())
            assert "id" not in result
        self.log.info("The first entry, bit by bit")
        for position in range(0, len(task), 7):
            bad = bytearray(task)
            bad[position] ^= 1 << position % 8
            result = self.nodes[0].submitpodlentry(bytes(bad).hex())
            assert result["status"] in ("refused", "later") or position >= len(task) - 64, (position, result)
        assert_equal(
            self.nodes[0].submitpodlentry(task.hex().upper()),
            {"status": "duplicate", "id": self.requester.task_entry.id.hex()},
        )

    def check_commitments(self) -> None:
        """Headers that cannot be commitments."""
        self.log.info("Bytes that are no commitment")
        self.submission("refused", "podl-commit-version", "submitpodlcommitment", "00" * HEADER_SIZE)
        self.submission("refused", "podl-commit-version", "submitpodlcommitment", "ff" * HEADER_SIZE)
        header = bytearray(HEADER_SIZE)
        header[3] = 0x40
        assert_equal(self.nodes[0].submitpodlcommitment(bytes(header).hex())["status"], "refused")

    def check_reveals(self) -> None:
        """Well-formed hex of things that are no reveals."""
        self.log.info("Bytes that are no reveal")
        for bad in (b"\x00", b"\x01" * 4096, b"\x01" + bytes(HEADER_SIZE), bytes(700)):
            result = self.nodes[0].submitpodlreveal(bad.hex())
            assert_equal(result["status"], "refused")
            assert result["reason"] in (
                "podl-reveal-noncanonical",
                "podl-commit-version",
                "podl-reveal-size",
            ), result

    def check_schedule(self) -> None:
        """Arguments of getpodlschedule, and its decoded form."""
        self.log.info("getpodlschedule")
        node = self.nodes[0]
        for position in range(3):
            for bad in (-1, 1.5, 1 << 32, 1e30):
                self.refused(
                    INVALID_PARAMETER,
                    "getpodlschedule",
                    *[0] * position,
                    bad,
                    message="must be an integer from 0",
                )
            for bad in ("0", [], {}, True):
                self.refused(TYPE_ERROR, "getpodlschedule", *[0] * position, bad)
        task = self.requester.task_entry
        entry = {
            "index": 0,
            "id": task.id.hex(),
            "type": "task",
            "time": task.time,
            "hex": task.serialize().hex(),
        }
        assert_equal(node.getpodlschedule(), {"total": 1, "entries": [entry]})
        assert_equal(node.getpodlschedule(1), {"total": 1, "entries": []})
        assert_equal(node.getpodlschedule((1 << 32) - 1, (1 << 32) - 1), {"total": 1, "entries": []})
        assert_equal(node.getpodlschedule(0, 0), {"total": 1, "entries": []})
        decoded = node.getpodlschedule(verbosity=1)["entries"][0]
        assert_equal({key: decoded[key] for key in entry}, entry)
        assert_equal((decoded["chain_id"], decoded["prev_entry_id"]), (NULL_HASH, NULL_HASH))
        assert_equal(decoded["requester_key"], task.body.requester_key.hex())
        assert_equal(decoded["first_height"], self.podl_height)
        assert_equal(decoded["signature"], task.signature.hex())
        assert "height" not in decoded

    def check_template(self) -> None:
        """Look at what a miner is told."""
        self.log.info("getblocktemplate")
        template = self.nodes[0].getblocktemplate({"rules": ["segwit"]})
        chain_id = self.requester.task_entry.id.hex()
        assert_equal(
            template["podl"],
            {
                "phase": "commit",
                "height": self.podl_height,
                "opening_release_id": chain_id,
                "can_commit": True,
            },
        )
        assert_equal(template["version"] >> 29, 2)


if __name__ == "__main__":
    RpcPodlTest(__file__).main()
