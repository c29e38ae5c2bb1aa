"""Configuration of the demonstration's processes: what each program reads must be what it knows."""

from __future__ import annotations

import hashlib
import hmac
from typing import TYPE_CHECKING

import pytest

from podl_tools.program import parse_program
from podl_tools.requester.cli import run as requester_command
from podl_tools.trainer.cli import main as miner_command
from podl_tools.validator.cli import main as validator_command
from regtest.bitcoind import VALIDATOR_RPCS, cli_command, config_text, make_node, rpcauth
from regtest.network import make_configs
from regtest.plan import (
    EVALUATORS,
    MINERS,
    NODES,
    PODL_HEIGHT,
    SHARD_SIZE,
    SHARDS,
    VALIDATOR_BACKENDS,
)
from regtest.ports import free_ports
from regtest.sidecars import (
    conf_text,
    make_sidecar,
    miner_settings,
    requester_settings,
    validator_settings,
)

if TYPE_CHECKING:
    from pathlib import Path

    import click

    from regtest.bitcoind import NodeConfig

STORE = "http://127.0.0.1:9"
TEST_SAMPLES = 797


@pytest.fixture
def configs(tmp_path: Path) -> list[NodeConfig]:
    return make_configs(
        tmp_path, tmp_path / "bin", tmp_path / "task.hex", list(range(1000, 1000 + 3 * NODES))
    )


def test_ports_are_distinct() -> None:
    ports = free_ports(20)
    assert len(set(ports)) == 20
    assert all(1024 <= port <= 65535 for port in ports)


def test_nodes_share_no_port_and_no_password(configs: list[NodeConfig]) -> None:
    ports = [port for config in configs for port in (config.p2p_port, config.rpc_port, config.zmq_port)]
    assert len(set(ports)) == 3 * NODES
    assert len({config.validator_password for config in configs}) == NODES
    assert [len(config.peers) for config in configs] == [0, 1, 2]
    assert set(configs[2].peers) == {configs[0].p2p_port, configs[1].p2p_port}


def test_bitcoin_conf(configs: list[NodeConfig]) -> None:
    text = config_text(configs[2])
    common, section = text.split("[regtest]\n")
    assert f"podlheight={PODL_HEIGHT}\npodltask={configs[2].task_file}\npodlevaluator=both\n" in common
    assert f"rpcwhitelist=validator:{VALIDATOR_RPCS}\nrpcwhitelistdefault=0\n" in common
    assert f"zmqpubpodl=tcp://127.0.0.1:{configs[2].zmq_port}\n" in common
    assert f"bind=127.0.0.1:{configs[2].p2p_port}\n" in section
    assert f"rpcport={configs[2].rpc_port}\n" in section
    assert section.count("addnode=127.0.0.1:") == 2
    assert configs[2].validator_password not in text


def test_rpcauth_is_what_bitcoind_computes() -> None:
    user, _, salted = rpcauth("validator", "secret").partition(":")
    salt, _, digest = salted.partition("$")
    assert user == "validator"
    assert digest == hmac.new(salt.encode(), b"secret", hashlib.sha256).hexdigest()
    assert rpcauth("validator", "secret") != rpcauth("validator", "secret")


def test_node_files_are_private(configs: list[NodeConfig], tmp_path: Path) -> None:
    process = make_node(configs[0], tmp_path / "node0.log")
    conf = configs[0].datadir / "bitcoin.conf"
    assert conf.stat().st_mode & 0o777 == 0o600
    assert process.command[0].endswith("bin/bitcoind")
    assert f"-datadir={configs[0].datadir}" in cli_command(configs[0])


def check_known(settings: dict[str, object], command: click.Command) -> None:
    assert set(settings) <= {parameter.name for parameter in command.params}


def test_settings_are_options_of_the_programs(configs: list[NodeConfig]) -> None:
    check_known(requester_settings(configs[0], 9), requester_command)
    for at in VALIDATOR_BACKENDS:
        check_known(validator_settings(at, configs[at], STORE), validator_command)
    for at, config in enumerate(configs):
        check_known(miner_settings(at, config, STORE, "address"), miner_command)


def test_phases_end_by_events(configs: list[NodeConfig]) -> None:
    settings = requester_settings(configs[0], 9)
    assert settings["mincommitments"] == len(MINERS)
    assert settings["committimeout"] == settings["revealtimeout"] == 600


def test_validators_use_their_own_rpc_user(configs: list[NodeConfig]) -> None:
    for at in VALIDATOR_BACKENDS:
        settings = validator_settings(at, configs[at], STORE)
        password = configs[at].validator_password
        assert (settings["rpcuser"], settings["rpcpassword"]) == ("validator", password)
        assert "rpccookiefile" not in settings


def test_sidecar_files(tmp_path: Path) -> None:
    process = make_sidecar("podl-miner", "miner-x", tmp_path / "x", tmp_path / "x.log", {"rpcport": 5})
    conf = tmp_path / "x" / "podl-miner.conf"
    assert conf.read_text() == conf_text({"rpcport": 5}) == "rpcport = 5\n"
    assert conf.stat().st_mode & 0o777 == 0o600
    assert process.command[1:] == ["-m", "podl_tools.trainer", f"--datadir={tmp_path / 'x'}"]


def test_plan_fits_the_data() -> None:
    programs = [parse_program(plan.program) for plan in MINERS]
    assert {(program.sample_size, program.classes) for program in programs} == {(64, 10)}
    assert len({plan.name for plan in MINERS}) == len(MINERS) == NODES
    assert SHARDS * SHARD_SIZE <= TEST_SAMPLES


def test_nodes_judge_in_every_way_and_have_the_validators_for_it() -> None:
    assert len(EVALUATORS) == NODES
    assert set(EVALUATORS) == {"sidecar", "internal", "both"}
    assert set(VALIDATOR_BACKENDS) == {at for at, mode in enumerate(EVALUATORS) if mode != "internal"}
