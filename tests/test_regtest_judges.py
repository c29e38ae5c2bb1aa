"""Who judged: what is read from the nodes, what the demonstration demands and shows."""

from __future__ import annotations

from dataclasses import replace

import pytest

from regtest.errors import DemoError
from regtest.judges import Evaluator, Judges, check_judges
from regtest.plan import EVALUATORS
from regtest.report import judge_rows

OWN = Evaluator("internal", "C++ on CPU (avx2)", 5)
IDLE = replace(OWN, verdicts=0)
SIDE = Evaluator("validator0", "TensorFlow on CPU", 6)
JUDGES = [
    Judges("node0", "sidecar", 2, (SIDE,)),
    Judges("node1", "internal", 2, (OWN,)),
    Judges("node2", "both", 3, (OWN, SIDE)),
]


def test_read() -> None:
    info = {
        "evaluator": "both",
        "heights": {"evaluated": 3},
        "evaluators": [
            {"name": one.name, "device": one.device, "verdicts": one.verdicts, "last": 1}
            for one in (OWN, SIDE)
        ],
    }
    assert Judges.read("node2", info) == JUDGES[2]


def test_good_judges() -> None:
    assert tuple(found.mode for found in JUDGES) == EVALUATORS
    check_judges(JUDGES, 2)


@pytest.mark.parametrize(
    ("at", "evaluators"),
    [(0, ()), (0, (OWN, SIDE)), (1, (SIDE,)), (1, (IDLE,)), (2, (SIDE,)), (2, (OWN,)), (2, (IDLE, SIDE))],
)
def test_wrong_judges(at: int, evaluators: tuple[Evaluator, ...]) -> None:
    judges = list(JUDGES)
    judges[at] = replace(judges[at], evaluators=evaluators)
    with pytest.raises(DemoError, match=f"node{at} shall judge by {EVALUATORS[at]}"):
        check_judges(judges, 2)


def test_another_mode_and_missing_blocks() -> None:
    with pytest.raises(DemoError, match="node1 shall judge by internal"):
        check_judges([JUDGES[0], replace(JUDGES[1], mode="auto"), JUDGES[2]], 2)
    with pytest.raises(DemoError, match="node0 judged 2 of 3 blocks"):
        check_judges(JUDGES, 3)


def test_rows() -> None:
    assert judge_rows(JUDGES)[1:] == [
        ["node1", "internal", "2", "internal", "C++ on CPU (avx2)", "5"],
        ["node2", "both", "3", "internal", "C++ on CPU (avx2)", "5"],
        ["", "", "", "validator0", "TensorFlow on CPU", "6"],
    ]
