"""JSON-RPC: every way a node can answer or not answer, against a small HTTP server."""

from __future__ import annotations

import base64
import contextlib
import json
import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from podl_tools.chain.answers import Candidates, Commitments, Info, Submission
from podl_tools.chain.fields import Fields
from podl_tools.chain.node import Node
from podl_tools.chain.rpc import HttpTransport, Login
from podl_tools.tool_errors import (
    DataMissingError,
    NodeAnswerError,
    NodeLoginError,
    NodeUnreachableError,
    NodeWarmupError,
    PodlInactiveError,
    RpcError,
    SettingsError,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

LOGIN = Login(None, "user", "pass:word")

INFO: dict[str, Any] = {
    "podlheight": 5,
    "chain_id": "01" * 32,
    "task_id": "02" * 32,
    "height": 7,
    "phase": "reveal",
    "attempt": 1,
    "release_id": "03" * 32,
    "opening_release_id": "04" * 32,
    "prev": "05" + "00" * 31,
    "entries": 9,
    "digest": "06" * 32,
    "state": "running",
    "alarms": [],
}


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    answer: Callable[[dict[str, Any], str], tuple[int, bytes]]

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        status, data = type(self).answer(body, self.headers.get("Authorization", ""))
        self.send_response(status)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, *_: object) -> None:
        pass


@contextmanager
def node_answering(answer: Callable[[dict[str, Any], str], tuple[int, bytes]]) -> Iterator[str]:
    handler = type("Handler", (_Handler,), {"answer": staticmethod(answer)})
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{server.server_address[1]}/"
        server.shutdown()
        thread.join()


def reply(result: Any = None, error: Any = None, status: int = 200) -> Callable[..., tuple[int, bytes]]:
    return lambda *_: (status, json.dumps({"result": result, "error": error, "id": 1}).encode())


def call(answer: Callable[..., tuple[int, bytes]], *params: object) -> Any:
    with node_answering(answer) as url:
        return HttpTransport(url, LOGIN, 5).call("getpodlinfo", *params)


def test_call_sends_method_parameters_and_login() -> None:
    seen = []

    def answer(body: dict[str, Any], authorization: str) -> tuple[int, bytes]:
        seen.append((body["method"], body["params"], authorization))
        return 200, b'{"result": [1], "error": null}'

    assert call(answer, 1, "two") == [1]
    assert seen == [("getpodlinfo", [1, "two"], "Basic " + base64.b64encode(b"user:pass:word").decode())]


def test_login_is_sent_as_utf8_like_the_nodes_own_files() -> None:
    seen = []

    def answer(_: dict[str, Any], authorization: str) -> tuple[int, bytes]:
        seen.append(base64.b64decode(authorization.removeprefix("Basic ")).decode())
        return 200, b'{"result": 1}'

    with node_answering(answer) as url:
        HttpTransport(url, Login(None, "zoë", "5 €"), 5).call("uptime")
    assert seen == ["zoë:5 €"]


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        (reply(error={"code": -28, "message": "Loading block index"}, status=500), NodeWarmupError),
        (reply(error={"code": -32601, "message": "Method not found"}, status=404), PodlInactiveError),
        (
            reply(
                error={"code": -1, "message": "Proof of deep learning is not active on this chain"},
                status=500,
            ),
            PodlInactiveError,
        ),
        (reply(error={"code": -5, "message": "podl-data-missing"}, status=500), DataMissingError),
        (reply(error={"code": -5, "message": "Invalid address"}, status=500), RpcError),
        (reply(error={"code": -8, "message": "hash must be of length 64"}, status=500), RpcError),
        (reply(error="broken"), NodeAnswerError),
        (lambda *_: (401, b""), NodeLoginError),
        (lambda *_: (403, b""), NodeLoginError),
        (lambda *_: (503, b"Work queue depth exceeded"), NodeUnreachableError),
        (lambda *_: (200, b"<html>"), NodeAnswerError),
        (lambda *_: (200, b"[" * 100_000), NodeAnswerError),
        (lambda *_: (200, b"[]"), NodeAnswerError),
        (lambda *_: (200, b"{}"), NodeAnswerError),
    ],
)
def test_failures_have_names(answer: Callable[..., tuple[int, bytes]], expected: type[Exception]) -> None:
    with pytest.raises(expected) as caught:
        call(answer)
    assert type(caught.value) is expected
    assert "\n" not in str(caught.value)


def test_nobody_there(tmp_path: Path) -> None:
    with node_answering(reply()) as url:
        pass
    with pytest.raises(NodeUnreachableError, match="cannot be reached"):
        HttpTransport(url, LOGIN, 5).call("getpodlinfo")
    with pytest.raises(NodeUnreachableError, match="is bitcoind running"):
        HttpTransport(url, Login(tmp_path / ".cookie"), 5).call("getpodlinfo")


def test_slow_node_is_not_waited_for_forever() -> None:
    release = threading.Event()

    def answer(*_: object) -> tuple[int, bytes]:
        release.wait(5)
        return 200, b"{}"

    with node_answering(answer) as url:
        with pytest.raises(NodeUnreachableError, match=r"did not answer in 0\.2 s"):
            HttpTransport(url, LOGIN, 0.2).call("getpodlinfo")
        release.set()


def test_new_cookie_after_a_restart(tmp_path: Path) -> None:
    cookie = tmp_path / ".cookie"
    cookie.write_text("__cookie__:old")
    wanted = ["old"]

    def answer(_: dict[str, Any], authorization: str) -> tuple[int, bytes]:
        good = "Basic " + base64.b64encode(f"__cookie__:{wanted[0]}".encode()).decode()
        return (200, b'{"result": 1}') if authorization == good else (401, b"")

    with node_answering(answer) as url:
        transport = HttpTransport(url, Login(cookie), 5)
        assert transport.call("uptime") == 1
        wanted[0] = "new"
        cookie.write_text("__cookie__:new")
        assert transport.call("uptime") == 1
        wanted[0] = "newer"
        for nonsense in (b"nonsense", b"\xff:\xfe"):
            cookie.write_bytes(nonsense)
            with pytest.raises(NodeLoginError, match="no user and password"):
                transport.call("uptime")


def test_info() -> None:
    info = Info.read(Fields("getpodlinfo", INFO))
    assert info.prev == bytes(31) + b"\5"
    assert (info.height, info.attempt, info.committing, info.release_id) == (7, 1, False, b"\3" * 32)
    commit = {**INFO, "phase": "commit", "prev": ""}
    del commit["attempt"], commit["release_id"]
    info = Info.read(Fields("getpodlinfo", commit))
    assert (info.committing, info.prev, info.release_id, info.attempt) == (True, None, None, 0)


def test_submissions() -> None:
    assert Submission.read(Fields("x", {"status": "duplicate", "id": "00"})).held
    later = Submission.read(
        Fields("x", {"status": "later", "reason": "podl-commit-full", "detail": "64 held"})
    )
    assert (later.held, later.refused, str(later)) == (False, False, "later (podl-commit-full: 64 held)")
    assert str(Submission("refused", "podl-reveal-sig")) == "refused (podl-reveal-sig)"
    with pytest.raises(NodeAnswerError):
        Submission.read(Fields("x", {"status": "ok"}))


JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.text(max_size=70)
    | st.sampled_from(["00" * 32, "", "commit"]),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(sorted(INFO)), inner, max_size=14)
    ),
    max_leaves=20,
)


@pytest.mark.parametrize("read", [Info.read, Submission.read, Candidates.read, Commitments.read])
@given(value=JSON)
def test_any_answer_is_read_or_named(read: Callable[[Fields], object], value: Any) -> None:
    with contextlib.suppress(NodeAnswerError):
        read(Fields("method", value))


@pytest.mark.parametrize("name", sorted(set(INFO) - {"attempt", "release_id", "prev"}))
def test_info_needs_its_fields(name: str) -> None:
    with pytest.raises(NodeAnswerError):
        Info.read(Fields("getpodlinfo", {key: value for key, value in INFO.items() if key != name}))


class Recorded:
    def __init__(self, answer: Any) -> None:
        self.answer = answer

    def call(self, method: str, *params: object) -> Any:
        self.request = (method, *params)
        return self.answer


def test_payout_addresses() -> None:
    assert Node(Recorded({"isvalid": True, "scriptPubKey": "51"})).payout_script("x") == b"\x51"
    with pytest.raises(SettingsError, match="'x' is not valid"):
        Node(Recorded({"isvalid": False})).payout_script("x")


def test_proposals() -> None:
    transport = Recorded(None)
    assert Node(transport).propose(b"\1") is None
    assert transport.request[1] == {"mode": "proposal", "data": "01", "rules": ["segwit"]}
    assert Node(Recorded("bad-cb-amount")).propose(b"\1") == "bad-cb-amount"
    with pytest.raises(NodeAnswerError):
        Node(Recorded(1)).propose(b"\1")
