"""Requester, miners and validators: data folder, configuration file, process."""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING, Final

import numpy as np

from podl_tools.digits import load_digits_split
from regtest.errors import DemoError
from regtest.plan import (
    BATCH,
    MINERS,
    PHASE_SECONDS,
    PODL_HEIGHT,
    REQUESTER_BACKEND,
    SHARD_SIZE,
    SHARDS,
    VALIDATOR_BACKENDS,
)
from regtest.process import Process

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from regtest.bitcoind import NodeConfig

_COMMANDS: Final = {
    "podl-requester": ("podl_tools.requester", "run"),
    "podl-miner": ("podl_tools.trainer",),
    "podl-validator": ("podl_tools.validator",),
}
# News come as notifications; looking again after this time only helps when one was lost.
_POLL_SECONDS: Final = 1


def conf_text(settings: Mapping[str, object]) -> str:
    """Return the content of a program's configuration file."""
    return "".join(f"{name} = {value}\n" for name, value in settings.items())


def _node_settings(node: NodeConfig) -> dict[str, object]:
    return {"rpcport": node.rpc_port, "zmqpubpodl": node.zmq_address, "pollinterval": _POLL_SECONDS}


def requester_settings(node: NodeConfig, store_port: int) -> dict[str, object]:
    """Return the settings of the requester: a phase ends when every miner has done its part."""
    return {
        **_node_settings(node),
        "rpccookiefile": node.cookie,
        "backend": REQUESTER_BACKEND,
        "storeport": store_port,
        "mincommitments": len(MINERS),
        "committimeout": PHASE_SECONDS,
        "revealtimeout": PHASE_SECONDS,
    }


def miner_settings(index: int, node: NodeConfig, store: str, address: str) -> dict[str, object]:
    """Return the settings of miner ``index``."""
    plan = MINERS[index]
    return {
        **_node_settings(node),
        "rpccookiefile": node.cookie,
        "store": store,
        "backend": plan.backend,
        "architecture": index,
        "epochs": plan.epochs,
        "rate": plan.rate,
        "batch": BATCH,
        "payoutaddress": address,
    }


def validator_settings(index: int, node: NodeConfig, store: str) -> dict[str, object]:
    """Return the settings of validator ``index``, with the node's restricted RPC user."""
    return {
        **_node_settings(node),
        "rpcuser": "validator",
        "rpcpassword": node.validator_password,
        "store": store,
        "backend": VALIDATOR_BACKENDS[index],
        "name": f"validator{index}",
    }


def make_task(directory: Path) -> Path:
    """Prepare the requester's data folder with the command a user would type.

    Returns
    -------
    Path
        The signed first task, for the nodes.

    Raises
    ------
    DemoError
        The command failed; the message holds what it printed.
    """
    directory.mkdir(parents=True)
    files = []
    for name, examples in zip(("training", "test"), load_digits_split(), strict=True):
        path = directory / f"{name}.npz"
        np.savez(path, samples=examples.samples, labels=examples.labels)
        files.append(f"--{name}={path}")
    command = [sys.executable, "-m", "podl_tools.requester", "init", f"--datadir={directory}", *files]
    command += [f"--program={plan.program}" for plan in MINERS]
    command += [f"--shards={SHARDS}", f"--shardsize={SHARD_SIZE}", f"--firstheight={PODL_HEIGHT}"]
    command += ["--mincommit=1", "--minreveal=1", f"--maxphase={PHASE_SECONDS}"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603 - built here
    if done.returncode != 0:
        raise DemoError(f"the requester could not prepare its task: {done.stderr.strip()}")
    return directory / "task.hex"


def make_sidecar(
    program: str, name: str, directory: Path, log: Path, settings: Mapping[str, object]
) -> Process:
    """Write the configuration of a program and return its process, not yet started.

    Parameters
    ----------
    program : str
        ``podl-requester``, ``podl-miner`` or ``podl-validator``.
    name : str
        What the process is called.
    directory, log : Path
        Data folder, and file for all output.
    settings : mapping
        What goes into the configuration file.
    """
    conf = directory / f"{program}.conf"
    directory.mkdir(parents=True, exist_ok=True)
    conf.touch(mode=0o600)
    conf.write_text(conf_text(settings), encoding="utf-8")
    command = [sys.executable, "-m", *_COMMANDS[program], f"--datadir={directory}"]
    return Process(name, command, log)
