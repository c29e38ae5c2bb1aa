"""Command `podl float-train`: what a task's training reaches, exactly and in ordinary float32."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click
import numpy as np
from rich.console import Console
from rich.table import Table

from podl_tools.commands.opening import read_task_file
from podl_tools.dataset import parse_examples, serialize_examples
from podl_tools.errors import PodlError
from podl_tools.example_files import load_examples
from podl_tools.examples import Examples
from podl_tools.merkle import data_root
from podl_tools.ml.backend import Backend
from podl_tools.ml.training import Hyperparameters, Training
from podl_tools.program import format_program, parse_program
from podl_tools.recipe import Recipe, check_recipe
from podl_tools.requester.tasks import read_task
from podl_tools.settings import option
from podl_tools.tool_errors import InputFileError, SettingsError

if TYPE_CHECKING:
    from podl_tools.ml.comparison import Comparison
    from podl_tools.program import Program
    from podl_tools.task import Task

__all__ = ["float_train"]

_FILE: Final = click.Path(path_type=Path, dir_okay=False)
_PERCENT: Final = 100


@click.command("float-train")
@option(
    "sealed",
    type=click.Path(path_type=Path, file_okay=False),
    help="A requester's task with its data: <datadir>/tasks/<root of its shard list>.",
)
@option("task", type=_FILE, help="A task file (task.hex), for --training and --test.")
@option("program", metavar="TEXT", help="A layer program without a task, for --training and --test.")
@option("training", type=_FILE, help="Training set, .npz with samples and labels.")
@option("test", type=_FILE, help="Test set, .npz with samples and labels.")
@option("architecture", type=click.IntRange(0, 15), default=0, help="Index of the task's layer program.")
@option("batch", type=click.IntRange(1, 15), default=5, help="b: a batch has 2^b samples.")
@option("epochs", type=click.IntRange(1, 254), default=20, help="Passes over the training set.")
@option("rate", type=click.IntRange(0, 16), default=5, help="k: the learning rate is 2^-k.")
@option("drop/--no-drop", default=True, help="Lower the rate after 6 and 8 tenths of the epochs.")
@option("seed", default="s0", help="First weights and batch order follow from it.")
@option("threads", type=click.IntRange(1), default=1, help="CPU threads of TensorFlow.")
def float_train(**settings: Any) -> None:
    """
    Train a task's network exactly and in ordinary float32, and compare what they learned.

    Both sides start from the same weights and see the same batches at the same rates. Give one of --sealed,
    --task and --program.
    """
    try:
        training, test = _prepare(settings)
        found = _compare(training, test, settings["threads"])
    except PodlError as error:
        raise click.ClickException(str(error)) from None
    Console().print(_table(training.program, found))


def _compare(training: Training, test: Examples, threads: int) -> Comparison:
    from podl_tools.ml.comparison import compare  # noqa: PLC0415  loads TensorFlow only when it is needed

    return compare(training, test, Backend("tensorflow", threads=threads))


def _table(program: Program, found: Comparison) -> Table:
    table = Table(title=f"{format_program(program)}: {program.n_params} parameters")
    for column in ("", "correct", "of", "accuracy in %"):
        table.add_column(column, justify="right" if column else "left")
    for name, count in (("exact", found.exact), ("float32", found.float32)):
        table.add_row(name, str(count), str(found.samples), f"{_PERCENT * count / found.samples:.2f}")
    return table


def _prepare(settings: dict[str, Any]) -> tuple[Training, Examples]:
    given = [name for name in ("sealed", "task", "program") if settings[name] is not None]
    files = [settings[name] for name in ("training", "test")]
    if len(given) != 1 or [file is None for file in files] != [given == ["sealed"]] * 2:
        raise SettingsError("give --sealed alone, or --task or --program with --training and --test")
    if settings["sealed"] is not None:
        task, examples, test = _read_sealed(settings["sealed"])
        program = _choose(task, settings)
    else:
        examples, test = (load_examples(file) for file in files)
        if settings["task"] is not None:
            program = _choose(_read_task(settings["task"], examples), settings)
        else:
            program = parse_program(settings["program"])
    numbers = Hyperparameters(
        settings["batch"], settings["epochs"], settings["rate"], drop=bool(settings["drop"])
    )
    test.check_fit(program)
    if not len(test):
        raise SettingsError("the test set is empty")
    return Training(program, numbers, settings["seed"].encode(), examples), test


def _choose(task: Task, settings: dict[str, Any]) -> Program:
    """Layer program of a recipe that the task allows."""
    architecture, b, epochs, k = (settings[name] for name in ("architecture", "batch", "epochs", "rate"))
    return check_recipe(Recipe(architecture, b, epochs, k, int(settings["drop"])), task)


def _read_sealed(directory: Path) -> tuple[Task, Examples, Examples]:
    """Task, training set, and all sealed shards as one test set."""
    sealed = read_task(directory)
    task = sealed.task
    training = parse_examples(sealed.training, task.training_n, task.dims, task.classes)
    shards = [parse_examples(shard.data, shard.n, task.dims, task.classes) for shard in sealed.shards]
    samples = np.concatenate([shard.samples for shard in shards])
    return task, training, Examples(samples, np.concatenate([shard.labels for shard in shards]))


def _read_task(path: Path, training: Examples) -> Task:
    """Task of a file, whose training set is `training`."""
    body = read_task_file(path)
    if data_root(serialize_examples(training)) != body.training_root:
        raise InputFileError(f"{path}: the task names another training set")
    return body
