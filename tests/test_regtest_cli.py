"""Command line of the demonstration."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from click.testing import CliRunner

from regtest import cli
from regtest.errors import DemoError

if TYPE_CHECKING:
    from pathlib import Path


def run(*arguments: str) -> tuple[int, str]:
    result = CliRunner().invoke(cli.main, arguments)
    return result.exit_code, result.output


def test_help_names_everything() -> None:
    assert run("--help")[0] == 0
    code, text = run("demo", "--help")
    assert code == 0
    assert all(name in text for name in ("--blocks", "--directory", "--binaries", "--keep", "exit code"))


@pytest.mark.parametrize("blocks", ["0", "13", "many"])
def test_blocks_out_of_range(blocks: str) -> None:
    code, text = run("demo", "--blocks", blocks)
    assert code == 2
    assert "--blocks" in text


def test_directory_must_be_empty(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    assert run("demo", "--directory", str(tmp_path)) == (1, f"demo failed: {tmp_path} is not empty\n")


def test_directory_that_cannot_be_made(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    inside = tmp_path / "file" / "new"
    assert run("demo", "--directory", str(inside)) == (1, f"demo failed: {inside}: Not a directory\n")


def test_missing_programs(tmp_path: Path) -> None:
    code, text = run("demo", "--directory", str(tmp_path / "new"), "--binaries", str(tmp_path))
    assert code == 1
    assert f"no bitcoind in {tmp_path}: run `make build` first" in text


@pytest.mark.parametrize(
    ("error", "code", "text"),
    [
        (DemoError("height 110: claim 61, measured 60"), 1, "demo failed: height 110: claim 61, measured 60"),
        (KeyboardInterrupt(), 130, "interrupted, everything is stopped"),
    ],
)
def test_exit_codes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: BaseException, code: int, text: str
) -> None:
    class Failing:
        def __init__(self, *_: object) -> None:
            pass

        def run(self, *, keep: bool) -> None:
            assert not keep
            raise error

    monkeypatch.setattr(cli, "Demo", Failing)
    for name in ("bitcoind", "bitcoin-cli"):
        (tmp_path / name).touch()
    found = run("demo", "--directory", str(tmp_path / "new"), "--binaries", str(tmp_path))
    assert found == (code, f"{text}\n")


def test_stop_without_network(tmp_path: Path) -> None:
    code, text = run("stop", str(tmp_path))
    assert code == 1
    assert "holds no network" in text
