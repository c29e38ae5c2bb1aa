"""Command line of podl-validator."""

from __future__ import annotations

import sys
from contextlib import closing
from typing import Any, Final

import click

from podl_tools.chain.events import EventSource
from podl_tools.fetch import Fetcher
from podl_tools.files import ChainMark, lock_directory
from podl_tools.ml.backend import BACKENDS
from podl_tools.services import Repeater, Wakeup, run_service
from podl_tools.settings import ServiceCommand, common_options, connect, node_options, option, start_logging
from podl_tools.validator.evaluator import ChildEvaluator, child_command
from podl_tools.validator.service import Validator
from podl_tools.validator.start import Start

__all__ = ["main"]

_PROGRAM: Final = "podl-validator"


@click.command(cls=ServiceCommand, program=_PROGRAM)
@option(
    "maxmemory", type=click.IntRange(1), default=4096, help="MiB that measuring may take, libraries apart."
)
@option("jobtimeout", type=click.FloatRange(0.1), default=120.0, help="Seconds until a job is given up.")
@option("name", default=_PROGRAM, help="Evaluator name in verdicts and in getpodlinfo.")
@option("threads", type=click.IntRange(1), default=1, help="CPU threads of the backend.")
@option("backend", type=click.Choice(BACKENDS), default=BACKENDS[0], help="What computes.")
@option("store", multiple=True, metavar="URL", help="HTTP store to get shards from; may be repeated.")
@node_options
@common_options(f"~/.{_PROGRAM}")
def main(**settings: Any) -> None:
    """
    Measure the models that a node asks about, and report the counts to it.

    The node decides with these counts which blocks it connects. Give this program an RPC user of its own
    whose whitelist is getpodlinfo, listpodlcandidates, getpodldata, submitpodlverdict, getpodlschedule. The
    models are evaluated in a child process that is bounded in memory and time, writes to no file and is told
    no password.
    """
    sys.exit(run_service(lambda wakeup: _run(settings, wakeup)))


def _run(settings: dict[str, Any], wakeup: Wakeup) -> None:
    start_logging(settings)
    node = connect(settings)
    directory = settings["datadir"]
    seconds = settings["jobtimeout"]
    command = child_command(settings["backend"], settings["threads"], seconds, settings["maxmemory"])
    with (
        lock_directory(directory),
        closing(EventSource(settings["zmqpubpodl"], wakeup)) as events,
        closing(ChildEvaluator(command, seconds, lambda: wakeup.stopped)) as evaluator,
    ):
        validator = Validator(
            node,
            Fetcher(directory / "shards", settings["store"], wakeup.check),
            evaluator,
            settings["name"],
            lambda: wakeup.stopped,
        )
        start = Start(node, evaluator, ChainMark(directory))

        def step() -> float | None:
            start.check()
            return validator.step()

        Repeater(wakeup, step, events.wait_for_change, settings["pollinterval"]).run()
