"""Command line: `python -m regtest demo`, `python -m regtest stop`."""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path
from typing import Final

import click

from podl_tools.errors import PodlError
from regtest.demo import Demo
from regtest.errors import DemoError
from regtest.plan import DEFAULT_BLOCKS, SHARDS
from regtest.process import interruptible
from regtest.record import stop_network
from regtest.screen import open_screen

_ROOT: Final = Path(__file__).resolve().parent.parent
_BINARIES: Final = _ROOT / "build" / "bitcoin-build" / "bin"
_PROGRAMS: Final = ("bitcoind", "bitcoin-cli")
_INTERRUPTED: Final = 130


@click.group()
def main() -> None:
    """Run a Proof-of-Deep-Learning network on this machine."""


@main.command()
@click.option(
    "--blocks",
    type=click.IntRange(1, SHARDS),
    default=DEFAULT_BLOCKS,
    show_default=True,
    help="PoDL blocks to make; each one uses up a sealed shard.",
)
@click.option(
    "--directory",
    type=click.Path(path_type=Path, file_okay=False),
    help="Empty folder for everything of this run.  [default: a fresh one for temporary files]",
)
@click.option(
    "--binaries",
    type=click.Path(path_type=Path, file_okay=False),
    default=_BINARIES,
    show_default="build/bitcoin-build/bin",
    help="Folder with the patched bitcoind and bitcoin-cli.",
)
@click.option("--keep", is_flag=True, help="Leave the network up when all checks have passed.")
def demo(blocks: int, directory: Path | None, binaries: Path, *, keep: bool) -> None:
    """Let three miners compete for blocks with models of handwritten digits.

    Three nodes with a validator each, a requester, and a miner for each of three kinds of models. At the end
    every winner's training is repeated, all nodes are compared, and a table, a plot and the raw numbers are
    given. The exit code is 0 when every check passed, else 1 with the reason;
    130 when interrupted.
    """
    try:
        with interruptible():
            folder = _fresh_directory(directory)
            _check_binaries(binaries)
            with open_screen(blocks) as screen:
                Demo(folder, binaries.resolve(), blocks, screen).run(keep=keep)
    except (DemoError, PodlError) as error:
        click.echo(f"demo failed: {error}", err=True)
        sys.exit(1)
    except OSError as error:  # a folder that cannot be written, a full disk
        click.echo(f"demo failed: {error.filename or 'system'}: {error.strerror or error}", err=True)
        sys.exit(1)
    except KeyboardInterrupt:
        click.echo("interrupted, everything is stopped", err=True)
        sys.exit(_INTERRUPTED)


@main.command()
@click.argument("directory", type=click.Path(path_type=Path, file_okay=False, exists=True))
def stop(directory: Path) -> None:
    """Stop the network that a demonstration left up in DIRECTORY."""
    try:
        names = stop_network(directory)
    except DemoError as error:
        click.echo(f"stop: {error}", err=True)
        sys.exit(1)
    click.echo(f"stopped: {', '.join(names)}" if names else "nothing was running")


def _fresh_directory(directory: Path | None) -> Path:
    if directory is None:
        return Path(tempfile.mkdtemp(prefix="podl-demo-"))
    directory.mkdir(parents=True, exist_ok=True)
    if any(directory.iterdir()):
        raise DemoError(f"{directory} is not empty")
    return directory.resolve()


def _check_binaries(binaries: Path) -> None:
    for name in _PROGRAMS:
        if not (binaries / name).is_file():
            raise DemoError(f"no {name} in {binaries}: run `make build` first")
