"""The command `podl float-train`, on a small task."""

from __future__ import annotations

from typing import TYPE_CHECKING
from unittest.mock import patch

import pytest
from click.testing import CliRunner, Result

from podl_tools.cli import main
from podl_tools.requester.prepare import new_chain
from tests.ml_helpers import backend
from tests.world import OPTIONS, PROGRAMS, START, write_examples, write_ingredients

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def home(tmp_path: Path) -> Path:
    new_chain(tmp_path / "home", write_ingredients(tmp_path), OPTIONS, None, START)
    return tmp_path / "home"


def run(*args: object) -> Result:
    settings = ("--epochs", "4", "--batch", "3", "--rate", "4")
    with patch("podl_tools.commands.float_train.Backend", return_value=backend("tensorflow")):
        return CliRunner().invoke(main, ["float-train", *settings, *map(str, args)])


def files(home: Path) -> tuple[object, ...]:
    return "--training", home.parent / "training.npz", "--test", home.parent / "test.npz"


def counts(result: Result) -> list[int]:
    """Correct samples of the exact and the float32 side."""
    assert result.exit_code == 0, result.output
    rows = [line.replace("│", " ").split() for line in result.output.splitlines()]
    found = {
        row[0]: int(row[1]) for row in rows if row and row[0] in {"exact", "float32"} and row[2] == "256"
    }
    return [found["exact"], found["float32"]]


def test_all_three_sources_give_the_same_training(home: Path) -> None:
    """The shards hold the test set in another order."""
    (sealed,) = (home / "tasks").iterdir()
    found = counts(run("--sealed", sealed))
    assert min(found) > 0.8 * 256
    assert counts(run("--task", home / "task.hex", *files(home))) == found
    assert counts(run("--program", PROGRAMS[0], *files(home))) == found


def test_architecture_and_seed_make_other_trainings(home: Path) -> None:
    given = ("--task", home / "task.hex", *files(home))
    found = [
        counts(run(*given)),
        counts(run(*given, "--architecture", 1)),
        counts(run(*given, "--seed", "x")),
    ]
    assert found[0] != found[1]
    assert found[0] != found[2]


def test_refusals(home: Path) -> None:
    (sealed,) = (home / "tasks").iterdir()
    task = ("--task", home / "task.hex", *files(home))
    other = write_examples(home.parent / "other.npz", 3, 256)
    cases = {
        "give --sealed alone": run("--sealed", sealed, *files(home)),
        "give --sealed": run("--program", PROGRAMS[0]),
        "another training set": run(*task, "--training", other),
        "epochs must be 1..50": run(*task, "--epochs", 60),
        "architecture 2": run(*task, "--architecture", 2),
        "expected a task entry": run("--task", sealed / "shards.json", *files(home)),
        "samples must have 7 values": run("--program", "input 7, output 3", *files(home)),
    }
    for message, result in cases.items():
        assert result.exit_code == 1, message
        assert message in " ".join(result.output.split())
