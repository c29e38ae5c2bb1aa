"""Command line of podl-requester."""

from __future__ import annotations

import sys
import time
from contextlib import closing
from dataclasses import MISSING, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click

from podl_tools.chain.events import EventSource
from podl_tools.chain.follow import ScheduleFollower
from podl_tools.fetch import Fetcher
from podl_tools.files import ChainMark, lock_directory
from podl_tools.ml.backend import BACKENDS, Backend
from podl_tools.requester.book import CheckBook
from podl_tools.requester.checking import Checker
from podl_tools.requester.decisions import Policy
from podl_tools.requester.phase2 import PhaseTwo
from podl_tools.requester.prepare import (
    ENTRIES,
    TASK_FILE,
    TASKS,
    Ingredients,
    further_shards,
    further_task,
    new_chain,
)
from podl_tools.requester.service import Requester
from podl_tools.requester.signed import SignedEntries
from podl_tools.requester.tasks import TaskShelf, own_key, read_secret
from podl_tools.sealing import TaskOptions
from podl_tools.services import Repeater, Wakeup, run_service
from podl_tools.settings import ServiceCommand, common_options, connect, node_options, option, start_logging
from podl_tools.store import PublicObjects, serve

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["addshards", "addtask", "init", "main", "run", "task_options"]

_PROGRAM: Final = "podl-requester"
_FILE: Final = click.Path(path_type=Path, dir_okay=False)
_PHASE_DEFAULTS: Final = {"min_commit": 10, "min_reveal": 10, "max_phase": 600}
_HELP: Final = {
    "first_height": "First height at which the task is in force.",
    "min_commit": "Shortest Phase 1, in seconds.",
    "min_reveal": "Shortest Phase 2, in seconds.",
    "max_phase": "Seconds after which the next shard may be opened.",
    "b_min": "Smallest batch, as a power of two.",
    "b_max": "Largest batch, as a power of two.",
    "epochs_min": "Fewest epochs.",
    "epochs_max": "Most epochs.",
    "k_min": "Smallest k; the learning rate is 2^-k.",
    "k_max": "Largest k.",
    "max_replay_macs": "Multiply-adds that replaying one training may cost.",
    "require_replay": "Whether a final needs a replay (0 or 1).",
    "max_replays": "Failed replays after which the next shard is opened.",
    "stamp_bits": "Leading zero bits of a commitment's block hash.",
    "list_size": "Commitments in a release.",
    "pool_size": "Commitments a node keeps, those with the lowest block hashes.",
    "max_weights": "Largest number of parameters.",
    "evaluation_rate": "Multiply-adds per second expected of an evaluator.",
    "chunks_in_flight": "Chunks a node asks of one peer at once.",
    "downloads": "Candidates a node downloads at once.",
    "buffer_bytes": "Memory for a node's transfers.",
    "disk_bytes": "Disk for a height's candidates.",
}


@click.group()
def main() -> None:
    """Publish a task, run its phases, replay winners and sign the schedule."""


def task_options(function: Callable[..., Any]) -> Callable[..., Any]:
    """Declare what a task is made from; one option per field of `TaskOptions`."""
    for field in reversed(fields(TaskOptions)):
        default = _PHASE_DEFAULTS.get(field.name, None if field.default is MISSING else field.default)
        name = field.name.replace("_", "")
        declared = option(name, type=int, default=default, required=default is None, help=_HELP[field.name])
        function = declared(function)
    for add in (
        option("shardsize", type=click.IntRange(1), required=True, help="Samples in each shard."),
        option("shards", type=click.IntRange(1), required=True, help="Number of sealed test shards."),
        option("program", multiple=True, required=True, metavar="TEXT", help="Layer program; repeatable."),
        option("test", type=_FILE, required=True, help="Test set, .npz with samples and labels."),
        option("training", type=_FILE, required=True, help="Training set, .npz with samples and labels."),
    ):
        function = add(function)
    return function


def _task_settings(settings: dict[str, Any]) -> tuple[Ingredients, TaskOptions]:
    options = {field.name: settings.pop(field.name.replace("_", "")) for field in fields(TaskOptions)}
    ingredients = Ingredients(
        settings.pop("training"),
        settings.pop("test"),
        settings.pop("program"),
        settings.pop("shards"),
        settings.pop("shardsize"),
    )
    return ingredients, TaskOptions(**options)


@main.command(cls=ServiceCommand, program=_PROGRAM, reads_file=False)
@option("keyfile", type=_FILE, help="Secret key in hex to use instead of a new one.")
@task_options
@common_options(f"~/.{_PROGRAM}")
def init(**settings: Any) -> None:
    """
    Make a data directory: key, sealed shards, and the signed task that starts a chain.

    Start every node of the chain with -podlheight=<firstheight> and -podltask=<datadir>/task.hex.
    """

    def body(_wakeup: Wakeup) -> None:
        start_logging(settings)
        keyfile = settings["keyfile"]
        secret = None if keyfile is None else read_secret(keyfile)
        with lock_directory(settings["datadir"]):
            chain_id = new_chain(settings["datadir"], *_task_settings(settings), secret, int(time.time()))
        click.echo(f"chain {chain_id.hex()}\ntask file {settings['datadir'] / TASK_FILE}")

    sys.exit(run_service(body))


@main.command(cls=ServiceCommand, program=_PROGRAM, reads_file=False)
@task_options
@common_options(f"~/.{_PROGRAM}")
def addtask(**settings: Any) -> None:
    """Prepare a further task of the same chain; a running requester publishes it behind a final."""

    def body(_wakeup: Wakeup) -> None:
        start_logging(settings)
        name = further_task(settings["datadir"], *_task_settings(settings))
        click.echo(f"task with shard list {name.hex()}")

    sys.exit(run_service(body))


@main.command(cls=ServiceCommand, program=_PROGRAM, reads_file=False)
@option(
    "firstheight", type=int, help="First height of the task they continue; the latest one when not given."
)
@option("shardsize", type=click.IntRange(1), required=True, help="Samples in each shard.")
@option("shards", type=click.IntRange(1), required=True, help="Number of sealed test shards.")
@option("test", type=_FILE, required=True, help="Test set, .npz with samples and labels.")
@common_options(f"~/.{_PROGRAM}")
def addshards(**settings: Any) -> None:
    """Seal further test shards for a task; a running requester publishes them when its own run out."""

    def body(_wakeup: Wakeup) -> None:
        start_logging(settings)
        options = (settings["test"], settings["shards"], settings["shardsize"], settings["firstheight"])
        click.echo(f"shard list {further_shards(settings['datadir'], *options).hex()}")

    sys.exit(run_service(body))


@main.command(cls=ServiceCommand, program=_PROGRAM)
@option("threads", type=click.IntRange(1), default=1, help="CPU threads of the backend.")
@option("backend", type=click.Choice(BACKENDS), default=BACKENDS[0], help="What computes.")
@option("reportverdicts/--no-reportverdicts", default=True, help="Report own measurements to the node.")
@option("revealtimeout", type=click.IntRange(0), default=60, help="Seconds listed miners have to reveal.")
@option("committimeout", type=click.IntRange(0), default=60, help="Seconds after which Phase 1 ends.")
@option("mincommitments", type=click.IntRange(1), default=1, help="Commitments that end Phase 1 early.")
@option("storeport", type=click.IntRange(0, 65535), default=18480, help="Port of the HTTP store.")
@option("storehost", default="127.0.0.1", help="Address the HTTP store listens on.")
@node_options
@common_options(f"~/.{_PROGRAM}")
def run(**settings: Any) -> None:
    """
    Run the chain's phases until stopped.

    What is signed is on disk before a node sees it, so a restart never signs two entries for one slot. Of too
    many commitments those with the lowest block hashes are listed.
    """
    sys.exit(run_service(lambda wakeup: _run(settings, wakeup)))


def _run(settings: dict[str, Any], wakeup: Wakeup) -> None:
    start_logging(settings)
    directory = settings["datadir"]
    key = own_key(directory)
    node = connect(settings)
    shelf = TaskShelf(directory / TASKS, key.public)
    public = PublicObjects(directory / "public")
    with (
        lock_directory(directory),
        serve(public, settings["storehost"], settings["storeport"]) as port,
        closing(EventSource(settings["zmqpubpodl"], wakeup)) as events,
    ):
        click.echo(f"HTTP store on http://{settings['storehost']}:{port}", err=True)
        signed = SignedEntries(directory / ENTRIES, key)
        signed.first_task()
        backend = Backend(settings["backend"], threads=settings["threads"])
        checker = Checker(node, Fetcher(directory / "data", []), backend, wakeup.check)
        book = CheckBook(directory / "checked.json", time.monotonic)
        policy = Policy(settings["mincommitments"], settings["committimeout"], settings["revealtimeout"])
        requester = Requester(
            node,
            ScheduleFollower(node),
            ChainMark(directory),
            shelf,
            signed,
            public,
            PhaseTwo(node, checker, book, reports=settings["reportverdicts"]),
            policy,
            lambda: int(time.time()),
        )
        Repeater(wakeup, requester.step, events.wait_for_change, settings["pollinterval"]).run()
