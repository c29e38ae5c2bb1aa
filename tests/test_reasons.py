"""Reject strings of the code are those of the protocol."""

from __future__ import annotations

import ast
import re
from fnmatch import fnmatchcase
from pathlib import Path

import pytest

from podl_tools import errors
from podl_tools.errors import FailureClass, PodlError, RejectError

# Not a string of its own in the code.
WITHIN_A_TEXT = {"podl-model-copy"}
ROOT = Path(__file__).parent.parent
# Strings of the same form that are no reasons: programs, a thread, and the base class's own default.
NO_REASONS = {
    "podl-eval",
    "podl-evaluate",
    "podl-miner",
    "podl-requester",
    "podl-store",
    "podl-validator",
    "podl-error",
}


def reasons_of_the_protocol() -> set[str]:
    """Names and patterns of section 8, short forms written out."""
    text = (ROOT / "docs" / "protocol.md").read_text()
    section = text[text.index("## 8. Reason strings") : text.index("## 9.")]
    names: list[str] = []
    for name in re.findall(r"`(-?[a-z*-]+)`", section):
        names.append(names[-1].rsplit("-", 1)[0] + name if name.startswith("-") else name)
    return set(names)


def reasons_of_the_node() -> set[str]:
    """Every string in quotation marks of the C++ files and patches that has the form of a reason."""
    found = set()
    for folder in ("overlay/src/podl", "overlay/src/rpc", "patches"):
        for path in (ROOT / "bitcoin-patch" / folder).iterdir():
            found.update(re.findall(r'"((?:bad-)?podl-[a-z-]+[a-z])[":]', path.read_text()))
    return found - NO_REASONS


def reasons_of_the_code() -> set[str]:
    """Every string constant that has the form of a reason."""
    found = set()
    for path in (ROOT / "podl_tools").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Constant) and isinstance(node.value, str):
                found.update(re.findall(r"^(?:bad-)?podl-[a-z-]+[a-z]$", node.value))
    return found - NO_REASONS


def test_every_reason_is_in_the_protocol() -> None:
    named = reasons_of_the_protocol()
    assert "podl-opening-height" in named
    found = reasons_of_the_code() | reasons_of_the_node()
    assert {"podl-reveal-sig", "podl-not-final", "bad-podl-version"} <= found
    assert [reason for reason in found if not any(fnmatchcase(reason, name) for name in named)] == []


def test_the_protocol_names_no_reason_that_nobody_gives() -> None:
    found = reasons_of_the_code() | reasons_of_the_node() | WITHIN_A_TEXT
    given = {name for name in reasons_of_the_protocol() if any(fnmatchcase(reason, name) for reason in found)}
    assert reasons_of_the_protocol() == given


@pytest.mark.parametrize(
    "kind",
    [value for value in vars(errors).values() if isinstance(value, type) and issubclass(value, PodlError)],
)
def test_every_error_is_in_the_module_tree(kind: type[PodlError]) -> None:
    assert errors.__doc__ is not None
    assert kind.__name__ in errors.__doc__


def test_a_refusal_shows_reason_detail_and_message() -> None:
    error = RejectError("podl-final-invalid", "why", failure=FailureClass.EVIDENCE, detail="podl-payout")
    assert str(error) == "podl-final-invalid (podl-payout): why"
    assert str(RejectError("podl-payout", "why")) == "podl-payout: why"
    assert RejectError("podl-payout", "why").failure is FailureClass.DATA
