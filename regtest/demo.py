"""The demonstration from the first process to the last check."""

from __future__ import annotations

import shlex
import sys
import time
from typing import TYPE_CHECKING, Final

from podl_tools.chain.follow import ScheduleFollower
from podl_tools.fetch import Fetcher
from podl_tools.ml.backend import Backend
from podl_tools.tool_errors import NodeError
from podl_tools.trainer.job import CHECKPOINTS
from regtest import chain, checks
from regtest.bitcoind import cli_command
from regtest.errors import DeadlineError
from regtest.figures import collect
from regtest.judges import Judges, check_judges
from regtest.listener import listening
from regtest.network import Network
from regtest.plan import EVALUATORS, MINERS, NODES, PODL_HEIGHT, SHARD_SIZE, SHARDS
from regtest.plot import write_plot
from regtest.process import stop_processes, uninterrupted
from regtest.replay import Replayer
from regtest.report import Result, block_table, figure_table, judge_table, write_json
from regtest.sidecars import make_task
from regtest.watching import Watcher

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from regtest.chain import Payment
    from regtest.history import Block
    from regtest.listener import Listener
    from regtest.replay import Replay
    from regtest.screen import Screen

PLOT: Final = "accuracy.png"
NUMBERS: Final = "demo.json"


class Demo:
    """One run.

    Parameters
    ----------
    directory : Path
        Empty folder for everything.
    binaries : Path
        Folder with the patched bitcoind and bitcoin-cli.
    blocks : int
        PoDL blocks to make.
    screen : Screen
        Shows what happens.
    """

    def __init__(self, directory: Path, binaries: Path, blocks: int, screen: Screen) -> None:
        self._directory = directory
        self._binaries = binaries
        self._count = blocks
        self._screen = screen

    def run(self, *, keep: bool) -> None:
        """Run to the end; the network is down afterwards unless it is to be kept.

        Raises
        ------
        DemoError
            A step or a check failed.
        """
        self._screen.line(f"everything of this run is in {self._directory}")
        started = time.monotonic()
        task_file = make_task(self._directory / "requester")
        self._screen.line(f"requester: {SHARDS} sealed test shards of {SHARD_SIZE} handwritten digits")
        for plan in MINERS:
            self._screen.line(f"miner {plan.name}, {plan.epochs} epochs per block: {plan.program}")
        network = Network(self._directory, self._binaries, task_file)
        kept = False
        try:
            result = self._play(network, started)
            self._show(result)
            checks.check_replays(result.replays, result.blocks)
            check_judges(result.judges, len(result.blocks))
            self._screen.line(f"all checks passed, {result.seconds:.0f} s")
            if keep:
                network.start(network.miners)
                self._explain(network)
                kept = True
        except NodeError:
            network.check()  # a dead node explains more than a call that it did not answer
            raise
        finally:
            if not kept:
                with uninterrupted():
                    network.stop()

    def _play(self, network: Network, started: float) -> Result:
        payment = self._start(network)
        with listening([config.zmq_address for config in network.configs]) as listener:
            watcher = Watcher(network, listener, self._screen)
            network.start(network.miners)
            blocks = watcher.run(self._count)
            self._screen.state("the miners stop")
            stop_processes(network.miners)
            view = self._agree(network, blocks)
            verdicts = _verdict_times(listener, blocks)
        replays = self._replay(network, blocks)
        checks.check_candidates(blocks, len(MINERS))
        confirmed = chain.confirmed_height(network, payment)
        network.check()
        figures = collect(
            {process.name: process.peak_rss for process in network.processes},
            {miner.name: miner.log.read_text(encoding="utf-8") for miner in network.miners},
            verdicts,
        )
        judges = [
            Judges.read(config.name, network.rpc(at, "getpodlinfo"))
            for at, config in enumerate(network.configs)
        ]
        seconds = time.monotonic() - started
        return Result(blocks, replays, figures, judges, view, payment, confirmed, seconds)

    def _start(self, network: Network) -> Payment:
        self._screen.state("the nodes start")
        chain.start_first_node(network)
        chain.start_other_nodes(network)
        self._screen.line(f"{NODES} nodes connected to each other, {PODL_HEIGHT - 1} ordinary blocks")
        self._screen.line(f"they judge by verdicts of: {', '.join(EVALUATORS)}")
        network.start([network.requester, *network.validators])
        network.add_miners(chain.new_addresses(network, len(MINERS)))
        self._screen.state("a transaction goes round")
        payment = chain.pay(network)
        self._screen.line(f"transaction {payment.txid} spends the coin of block {payment.coin_height}")
        return payment

    def _agree(self, network: Network, blocks: Sequence[Block]) -> checks.View:
        self._screen.state("all nodes reach the last block")

        found: list[checks.View] = []

        def settled() -> bool:
            # The requester may still sign entries: only what was compared counts, nothing asked for later.
            found[:] = [_view(network, at) for at in range(NODES)]
            return (
                len({(view.tip, view.digest) for view in found}) == 1 and found[0].height >= blocks[-1].height
            )

        try:
            network.wait_until("all nodes have the same tip and schedule", settled)
        except DeadlineError:
            checks.check_same_chain(found, blocks)  # names the difference
            raise
        view = checks.check_same_chain(found, blocks)
        for at in range(NODES):
            checks.check_blocks_in_chain(
                blocks, [network.rpc(at, "getblockhash", block.height) for block in blocks]
            )
        self._screen.line(
            f"all {NODES} nodes: height {view.height}, tip {view.tip}, schedule digest {view.digest}"
        )
        return view

    def _replay(self, network: Network, blocks: Sequence[Block]) -> list[Replay]:
        # Not the requester's node: the bytes came by P2P.
        node = network.node(NODES - 1)
        follower = ScheduleFollower(node)
        follower.update()
        fetcher = Fetcher(self._directory / "replay", [network.store])
        kept = [self._directory / miner.name / CHECKPOINTS for miner in network.miners]
        replayer = Replayer(node, fetcher, follower.schedule, Backend("numpy"), kept)
        replays = []
        for block in blocks:
            self._screen.state(f"height {block.height}: the winner's training is repeated")
            replays.append(replayer.replay(block.height))
            network.check()
        return replays

    def _show(self, result: Result) -> None:
        screen = self._screen
        screen.close()
        screen.table(block_table(result.blocks, result.replays))
        screen.line(f"transaction {result.payment.txid} is confirmed in PoDL block {result.confirmed}")
        screen.table(judge_table(result.judges))
        screen.table(figure_table(result.figures))
        write_plot(result.blocks, result.replays, self._directory / PLOT)
        write_json(result, self._directory / NUMBERS)
        screen.line(f"plot: {self._directory / PLOT}")
        screen.line(f"numbers: {self._directory / NUMBERS}")

    def _explain(self, network: Network) -> None:
        self._screen.line("The network stays up until its sealed shards are used up. Talk to it with")
        for config in network.configs:
            self._screen.line(f"  {cli_command(config)} getpodlinfo")
        stop = shlex.join([sys.executable, "-m", "regtest", "stop", str(self._directory)])
        self._screen.line(f"and stop it with\n  {stop}")


def _view(network: Network, index: int) -> checks.View:
    tip = network.rpc(index, "getbestblockhash")
    height = network.rpc(index, "getblockheader", tip)["height"]
    return checks.View(f"node{index}", height, tip, network.node(index).info().digest.hex())


def _verdict_times(listener: Listener, blocks: Sequence[Block]) -> dict[str, list[float]]:
    """Return the times from reveal to first verdict, by node."""
    found: dict[str, list[float]] = {}
    for at in range(NODES):
        times = [
            listener.verdict_seconds(at, entrant.hash, entrant.weights_root, block.test_root)
            for block in blocks
            for entrant in block.entrants
        ]
        found[f"node{at}"] = [seconds for seconds in times if seconds is not None]
    return found
