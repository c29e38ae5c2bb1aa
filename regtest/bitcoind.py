"""One patched bitcoind: data folder, configuration file, process."""

from __future__ import annotations

import hashlib
import hmac
import secrets
import shlex
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from regtest.process import Process

if TYPE_CHECKING:
    from pathlib import Path

VALIDATOR_RPCS = "getpodlinfo,listpodlcandidates,getpodldata,submitpodlverdict,getpodlschedule"


@dataclass(frozen=True)
class NodeConfig:
    """Where a node lives and what it listens on; all ports are on the loopback interface."""

    name: str
    datadir: Path
    binaries: Path
    p2p_port: int
    rpc_port: int
    zmq_port: int
    podl_height: int
    task_file: Path
    evaluator: str
    peers: tuple[int, ...] = ()
    validator_password: str = field(default_factory=lambda: secrets.token_hex(16), repr=False)

    @property
    def zmq_address(self) -> str:
        """Address of the PoDL notifications."""
        return f"tcp://127.0.0.1:{self.zmq_port}"

    @property
    def cookie(self) -> Path:
        """Cookie file of the node's RPC."""
        return self.datadir / "regtest" / ".cookie"


def rpcauth(user: str, password: str) -> str:
    """Return bitcoind's salted form of an RPC password (as share/rpcauth/rpcauth.py makes it)."""
    salt = secrets.token_hex(16)
    digest = hmac.new(salt.encode(), password.encode(), hashlib.sha256).hexdigest()
    return f"{user}:{salt}${digest}"


def config_text(config: NodeConfig) -> str:
    """Return the content of bitcoin.conf."""
    lines = [
        "regtest=1",
        "server=1",
        "dnsseed=0",
        "natpmp=0",
        "listenonion=0",
        "discover=0",
        "fallbackfee=0.0001",
        "debug=podl",
        "logtimemicros=1",
        f"rpcauth={rpcauth('validator', config.validator_password)}",
        f"rpcwhitelist=validator:{VALIDATOR_RPCS}",
        "rpcwhitelistdefault=0",
        f"zmqpubpodl={config.zmq_address}",
        f"podlheight={config.podl_height}",
        f"podltask={config.task_file}",
        f"podlevaluator={config.evaluator}",
        "[regtest]",
        f"bind=127.0.0.1:{config.p2p_port}",
        f"rpcbind=127.0.0.1:{config.rpc_port}",
        f"rpcport={config.rpc_port}",
        "rpcallowip=127.0.0.1",
        *(f"addnode=127.0.0.1:{port}" for port in config.peers),
    ]
    return "\n".join(lines) + "\n"


def make_node(config: NodeConfig, log: Path) -> Process:
    """Write the configuration and return the process, not yet started; its debug log goes to ``log``."""
    config.datadir.mkdir(parents=True, exist_ok=True)
    conf = config.datadir / "bitcoin.conf"
    conf.touch(mode=0o600)
    conf.write_text(config_text(config), encoding="utf-8")
    command = [str(config.binaries / "bitcoind"), f"-datadir={config.datadir}", "-printtoconsole"]
    return Process(config.name, [*command, "-nodebuglogfile"], log)


def cli_command(config: NodeConfig) -> str:
    """Return the bitcoin-cli command line that talks to the node, for a shell."""
    return shlex.join([str(config.binaries / "bitcoin-cli"), f"-datadir={config.datadir}"])
