"""Who judged: the evaluators behind each node's verdicts."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from regtest.errors import DemoError
from regtest.plan import EVALUATORS

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

INTERNAL: Final = "internal"


@dataclass(frozen=True)
class Evaluator:
    """One of a node's evaluators: its name, what it measured on, how many verdicts are its."""

    name: str
    device: str
    verdicts: int


@dataclass(frozen=True)
class Judges:
    """Whose verdicts a node judged by.

    Parameters
    ----------
    node
        Name of the node.
    mode
        Its ``-podlevaluator``.
    evaluated
        Heights whose claim they confirm.
    evaluators
        Who measured.
    """

    node: str
    mode: str
    evaluated: int
    evaluators: tuple[Evaluator, ...]

    @classmethod
    def read(cls, node: str, info: Mapping[str, Any]) -> Judges:
        """Read a node's `getpodlinfo`."""
        evaluators = (Evaluator(row["name"], row["device"], row["verdicts"]) for row in info["evaluators"])
        return cls(node, info["evaluator"], info["heights"]["evaluated"], tuple(evaluators))


def check_judges(judges: Sequence[Judges], blocks: int) -> None:
    """Demand that every node judged all blocks, and by those alone that its mode names."""
    for found, mode in zip(judges, EVALUATORS, strict=True):
        own = [one.name == INTERNAL for one in found.evaluators if one.verdicts]
        fits = {"internal": all(own), "sidecar": not any(own), "both": any(own) and not all(own)}
        if found.mode != mode or not own or not fits[mode]:
            raise DemoError(f"{found.node} shall judge by {mode}: {found}")
        if found.evaluated < blocks:
            raise DemoError(f"{found.node} judged {found.evaluated} of {blocks} blocks")
