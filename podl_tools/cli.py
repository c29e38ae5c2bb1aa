"""Command line of podl: what anybody does with a chain's models, without running a service."""

from __future__ import annotations

import click

from podl_tools.commands.float_train import float_train
from podl_tools.commands.model import model

__all__ = ["main"]


@click.group()
def main() -> None:
    """Use the models that a chain has paid for."""


main.add_command(model)
main.add_command(float_train)
