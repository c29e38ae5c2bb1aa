"""Command line of podl-miner."""

from __future__ import annotations

import sys
from contextlib import closing
from typing import TYPE_CHECKING, Any, Final

import click

from podl_tools.chain.events import EventSource
from podl_tools.chain.follow import ScheduleFollower
from podl_tools.constants import MAX_PAYOUT_SIZE
from podl_tools.fetch import Fetcher
from podl_tools.files import ChainMark, lock_directory
from podl_tools.ml.backend import BACKENDS, Backend
from podl_tools.services import Repeater, Wakeup, run_service
from podl_tools.settings import ServiceCommand, common_options, connect, node_options, option, start_logging
from podl_tools.tool_errors import SettingsError
from podl_tools.trainer.job import JobStore
from podl_tools.trainer.material import Material
from podl_tools.trainer.service import Choices, Miner
from podl_tools.trainer.submission import Submitter
from podl_tools.trainer.worker import TrainingWorker

if TYPE_CHECKING:
    from podl_tools.chain.node import Node

__all__ = ["main", "payout_script"]

_PROGRAM: Final = "podl-miner"


@click.command(cls=ServiceCommand, program=_PROGRAM)
@option("threads", type=click.IntRange(1), default=1, help="CPU threads of the backend.")
@option("backend", type=click.Choice(BACKENDS), default=BACKENDS[0], help="What computes.")
@option("store", multiple=True, metavar="URL", help="HTTP store or mirror; repeatable.")
@option("warmstart/--no-warmstart", default=True, help="Start from the latest final model.")
@option("trial", type=click.IntRange(0, 65535), default=0, help="Makes another seed for the same payout.")
@option("drop/--no-drop", default=False, help="Lower the rate after 6 and 8 tenths of the epochs.")
@option("rate", type=click.IntRange(0, 16), default=5, help="k: the learning rate is 2^-k.")
@option("epochs", type=click.IntRange(1, 254), default=5, help="Passes over the training set.")
@option("batch", type=click.IntRange(1, 15), default=5, help="b: a batch has 2^b samples.")
@option("architecture", type=click.IntRange(0, 15), default=0, help="Index of the task's layer program.")
@option("payoutscript", metavar="HEX", help="Payout script, instead of an address.")
@option("payoutaddress", metavar="ADDRESS", help="Address that blocks pay to.")
@node_options
@common_options(f"~/.{_PROGRAM}")
def main(**settings: Any) -> None:
    """
    Train models for the chain's task, commit to them, and reveal those that are listed.

    What a reveal needs (model, salt, reveal key, block) is on disk before the node hears of the commitment:
    the program can be restarted at any time.
    """
    sys.exit(run_service(lambda wakeup: _run(settings, wakeup)))


def payout_script(node: Node, settings: dict[str, Any]) -> bytes:
    """
    Find the payout script from the settings.

    Raises
    ------
    SettingsError
        Neither or both settings are given, or the script is no hex of 1 to 128 bytes.

    """
    address, text = settings["payoutaddress"], settings["payoutscript"]
    if (address is None) == (text is None):
        raise SettingsError("give either --payoutaddress or --payoutscript")
    if address is not None:
        return node.payout_script(address)
    try:
        script = bytes.fromhex(text)
    except ValueError:
        script = b""
    if not 1 <= len(script) <= MAX_PAYOUT_SIZE:
        raise SettingsError(f"--payoutscript is 1 to {MAX_PAYOUT_SIZE} bytes in hex, received {text!r:.60}")
    return script


def _run(settings: dict[str, Any], wakeup: Wakeup) -> None:
    start_logging(settings)
    node = connect(settings)
    with (
        lock_directory(settings["datadir"]),
        closing(EventSource(settings["zmqpubpodl"], wakeup)) as events,
    ):
        backend = Backend(settings["backend"], threads=settings["threads"])
        miner: list[Miner] = []

        def step() -> float | None:
            if not miner:
                miner.append(_miner(settings, node, backend, wakeup))
            return miner[0].step()

        try:
            Repeater(wakeup, step, events.wait_for_change, settings["pollinterval"]).run()
        finally:
            for started in miner:
                started.stop()


def _miner(settings: dict[str, Any], node: Node, backend: Backend, wakeup: Wakeup) -> Miner:
    directory = settings["datadir"]
    fetcher = Fetcher(directory / "data", settings["store"], wakeup.check)
    store = JobStore(directory / "jobs")
    choices = Choices(
        architecture=settings["architecture"],
        b=settings["batch"],
        epochs=settings["epochs"],
        k=settings["rate"],
        drop=int(settings["drop"]),
        trial=settings["trial"],
        warm_start=settings["warmstart"],
        payout=payout_script(node, settings),
    )
    return Miner(
        ScheduleFollower(node),
        ChainMark(directory),
        store,
        choices,
        Material(node, fetcher),
        Submitter(node, store, fetcher, backend),
        TrainingWorker(wakeup.wake),
        backend,
    )
