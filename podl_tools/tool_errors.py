"""
Errors of the programs around a node; each knows its exit code and explains itself in one line.

::

    ToolError                       1  anything else
    ├── SettingsError               2  a command line, configuration file or environment value
    ├── InputFileError              3  task file, key file or data set missing, unreadable or wrong
    ├── WrongChainError             4  the data directory belongs to another chain
    ├── PortInUseError              5  another program listens there
    ├── NodeError                   6  the node cannot be used
    │   ├── NodeUnreachableError       no answer (the services try again)
    │   ├── NodeWarmupError            starting up (the services try again)
    │   ├── NodeLoginError             user, password or cookie refused
    │   ├── NodeAnswerError            an answer that docs/interfaces.md does not allow
    │   └── RpcError                   any other JSON-RPC error
    │       └── DataMissingError       the node does not hold the bytes
    ├── PodlInactiveError           7  the node runs without proof of deep learning
    ├── TransferError               8  bytes could not be fetched from any mirror
    └── RefusedError                9  the node refused what must not be refused
"""

from __future__ import annotations

from typing import Final

from podl_tools.errors import PodlError

__all__ = [
    "EXIT_UNEXPECTED",
    "DataMissingError",
    "InputFileError",
    "NodeAnswerError",
    "NodeError",
    "NodeLoginError",
    "NodeUnreachableError",
    "NodeWarmupError",
    "PodlInactiveError",
    "PortInUseError",
    "RefusedError",
    "RpcError",
    "SettingsError",
    "ToolError",
    "TransferError",
    "WrongChainError",
]

EXIT_UNEXPECTED: Final = 1


class ToolError(PodlError):
    """Base; programs print its text in one line and exit with `exit_code`."""

    exit_code: int = EXIT_UNEXPECTED


class SettingsError(ToolError):
    """A setting is unknown or has no sensible value."""

    exit_code = 2


class InputFileError(ToolError):
    """A file the user named is missing, unreadable or not what it should be."""

    exit_code = 3


class WrongChainError(ToolError):
    """The data directory, the task file or the key belongs to another chain than the node's."""

    exit_code = 4


class PortInUseError(ToolError):
    """The address of the HTTP store is taken or cannot be bound."""

    exit_code = 5


class NodeError(ToolError):
    """The node cannot be used."""

    exit_code = 6


class NodeUnreachableError(NodeError):
    """No connection, or no answer in time."""


class NodeWarmupError(NodeError):
    """The node is starting up (RPC code -28)."""


class NodeLoginError(NodeError):
    """The node refused user, password or cookie, or the call is not on the user's whitelist."""


class NodeAnswerError(NodeError):
    """The answer has not the shape that docs/interfaces.md gives."""


class RpcError(NodeError):
    """
    The node answered with a JSON-RPC error.

    Parameters
    ----------
    method
        The RPC that was called.
    code
        JSON-RPC error code.
    text
        The node's message.

    """

    def __init__(self, method: str, code: int, text: str) -> None:
        super().__init__(f"{method}: {text} (code {code})")
        self.code = code
        self.text = text


class DataMissingError(RpcError):
    """The node does not hold the object (yet); nobody is at fault."""

    reason = "podl-data-missing"


class PodlInactiveError(ToolError):
    """Proof of deep learning is not active on the node's chain, or the node does not know it."""

    exit_code = 7


class TransferError(ToolError):
    """No mirror gave the right bytes; `reason` says whether they were missing or wrong."""

    exit_code = 8
    reason = "podl-data-missing"


class RefusedError(ToolError):
    """The node refused something that this program alone is responsible for."""

    exit_code = 9
