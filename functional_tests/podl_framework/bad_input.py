"""What the tests of bad RPC input share."""

from __future__ import annotations

from typing import Any

from test_framework.util import assert_equal, assert_raises_rpc_error

from podl_framework.base import PodlTestFramework

MISC_ERROR = -1  # also: an argument is missing
TYPE_ERROR = -3
NOT_FOUND = -5
INVALID_PARAMETER = -8
DESERIALIZATION_ERROR = -22

UNKNOWN_HASH = "ab" * 32


class BadInputTest(PodlTestFramework):
    """A node whose state must be the same after any amount of bad input.

    A subclass gives bad input in ``check_input``, and calls ``compare`` in ``run_test``.
    """

    def set_test_params(self) -> None:
        """Use one node."""
        self.num_nodes = 1

    def prepare(self) -> None:
        """Bring the node where bad input is to meet it."""

    def check_input(self) -> None:
        """Call the node badly."""
        raise NotImplementedError

    def run_test(self) -> None:
        """Leave this to the subclass: Core's framework insists on it."""
        raise NotImplementedError

    def compare(self) -> None:
        """Compare the node's state before and after."""
        self.mine_to_podl()
        self.prepare()
        before = self.state()
        self.check_input()
        assert self.nodes[0].syncpodl() is None
        assert_equal(self.state(), before)

    def state(self) -> tuple[Any, ...]:
        """Return what bad input must not change."""
        info = self.nodes[0].getpodlinfo()
        return info, self.nodes[0].listpodlcommitments(), self.nodes[0].listpodlcandidates()

    def refused(self, code: int, method: str, *params: Any, message: str = "") -> None:
        """Expect an ordinary RPC error."""
        assert_raises_rpc_error(code, message, getattr(self.nodes[0], method), *params)

    def submission(self, status: str, reason: str, method: str, *params: Any) -> dict[str, Any]:
        """Expect a submission's result, and return it."""
        result = getattr(self.nodes[0], method)(*params)
        assert_equal((result["status"], result["reason"]), (status, reason))
        assert isinstance(result["detail"], str)
        return result
