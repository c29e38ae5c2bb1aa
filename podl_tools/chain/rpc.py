"""JSON-RPC transport: one call in, one JSON value out, every failure a named error."""

from __future__ import annotations

import json
import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Protocol

import requests
from requests.auth import HTTPBasicAuth

from podl_tools.tool_errors import (
    DataMissingError,
    NodeAnswerError,
    NodeLoginError,
    NodeUnreachableError,
    NodeWarmupError,
    PodlInactiveError,
    RpcError,
)

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["HttpTransport", "Login", "Transport"]

_NOT_FOUND: Final = -5
_IN_WARMUP: Final = -28
_METHOD_UNKNOWN: Final = -32601
_INACTIVE: Final = "proof of deep learning is not active"
_UNAUTHORIZED: Final = 401
_FORBIDDEN: Final = 403
_BUSY: Final = 503
_CONNECT_SECONDS: Final = 5.0


class Transport(Protocol):
    """Anything that answers JSON-RPC calls."""

    def call(self, method: str, *params: object) -> Any:
        """Call an RPC and return its result; raises the errors of `podl_tools.tool_errors`."""


@dataclass(frozen=True)
class Login:
    """
    How to log in: a cookie file, or user and password.

    Parameters
    ----------
    cookie_file
        Read anew at each login, since the node writes a new one at each start.
    user, password
        Used when there is no cookie file.

    """

    cookie_file: Path | None = None
    user: str = ""
    password: str = ""

    def credentials(self) -> tuple[str, str]:
        """
        User and password.

        Raises
        ------
        NodeUnreachableError
            The cookie file does not exist: the node is not running (yet).
        NodeLoginError
            The cookie file cannot be read or is malformed.

        """
        if self.cookie_file is None:
            return self.user, self.password
        try:
            text = self.cookie_file.read_text(encoding="utf-8")
        except FileNotFoundError:
            raise NodeUnreachableError(
                f"the node's cookie file {self.cookie_file} does not exist: is bitcoind running?"
            ) from None
        except OSError as error:
            raise NodeLoginError(f"the node's cookie file {self.cookie_file}: {error.strerror}") from error
        except UnicodeDecodeError:
            text = ""
        user, separator, password = text.strip().partition(":")
        if not separator:
            raise NodeLoginError(f"the node's cookie file {self.cookie_file} holds no user and password")
        return user, password


class HttpTransport:
    """
    JSON-RPC over HTTP with a kept connection.

    Every PoDL call may be repeated without harm (a repeated submission answers `duplicate`), so a call whose
    kept connection was closed by the node meanwhile is sent once more.

    Parameters
    ----------
    url
        Such as `http://127.0.0.1:18443/`.
    login
        How to log in.
    timeout
        Longest wait for an answer in seconds.

    """

    def __init__(self, url: str, login: Login, timeout: float) -> None:
        self._url = url
        self._login = login
        self._timeout = timeout
        self._local = threading.local()
        self._count = 0

    def call(self, method: str, *params: object) -> Any:
        """
        Call an RPC.

        Raises
        ------
        NodeUnreachableError, NodeWarmupError
            Try again later.
        NodeLoginError, PodlInactiveError, NodeAnswerError, DataMissingError, RpcError
            The node's answer.

        """
        self._count += 1
        request = {"jsonrpc": "1.0", "id": self._count, "method": method, "params": list(params)}
        response = self._post(json.dumps(request))
        if response.status_code == _UNAUTHORIZED:  # a restarted node has written a new cookie
            self._drop_session()
            response = self._post(json.dumps(request))
        return _result(method, response)

    def _session(self) -> requests.Session:
        session: requests.Session | None = getattr(self._local, "session", None)
        if session is None:
            session = requests.Session()
            session.trust_env = False  # never send the cookie through a proxy
            user, password = self._login.credentials()
            session.auth = HTTPBasicAuth(user.encode(), password.encode())  # text would be sent as Latin-1
            self._local.session = session
        return session

    def _drop_session(self) -> None:
        session: requests.Session | None = getattr(self._local, "session", None)
        if session is not None:
            session.close()
        self._local.session = None

    def _post(self, body: str) -> requests.Response:
        try:
            return self._send(body)
        except requests.RequestException:  # the node may have closed the kept connection
            return self._send_last(body)

    def _send(self, body: str) -> requests.Response:
        session = self._session()
        try:
            return session.post(self._url, data=body, timeout=(_CONNECT_SECONDS, self._timeout))
        except requests.Timeout as error:
            self._drop_session()
            raise self._unreachable(f"did not answer in {self._timeout:g} s") from error
        except requests.RequestException:
            self._drop_session()
            raise

    def _send_last(self, body: str) -> requests.Response:
        try:
            return self._send(body)
        except requests.RequestException as error:
            raise self._unreachable("cannot be reached") from error

    def _unreachable(self, why: str) -> NodeUnreachableError:
        return NodeUnreachableError(f"the node at {self._url} {why}")


def _result(method: str, response: requests.Response) -> Any:
    if response.status_code == _UNAUTHORIZED:
        raise NodeLoginError("the node refused user and password, or the cookie file is not its own")
    if response.status_code == _FORBIDDEN:
        raise NodeLoginError(f"the node does not allow this user or this address to call {method}")
    if response.status_code == _BUSY:
        raise NodeUnreachableError("the node's queue of RPC work is full")
    try:
        answer = response.json()
    except (ValueError, RecursionError):
        raise NodeAnswerError(f"{method}: status {response.status_code} without JSON") from None
    if not isinstance(answer, dict) or "result" not in answer:
        raise NodeAnswerError(f"{method}: an answer without a result")
    if answer.get("error") is not None:
        raise _error(method, answer["error"])
    return answer["result"]


def _error(method: str, error: object) -> Exception:
    if not isinstance(error, dict) or not isinstance(error.get("code"), int):
        return NodeAnswerError(f"{method}: an error without a code")
    code, text = error["code"], str(error.get("message", ""))
    if code == _IN_WARMUP:
        return NodeWarmupError(f"the node is starting up: {text}")
    if _INACTIVE in text.lower():
        return PodlInactiveError(
            "proof of deep learning is not active on the node's chain (-podlheight, -podltask)"
        )
    if code == _METHOD_UNKNOWN:
        return PodlInactiveError(f"the node does not know {method}: not a PoDL node, or another version")
    if code == _NOT_FOUND and "podl-data-missing" in text:
        return DataMissingError(method, code, text)
    return RpcError(method, code, text)
