"""Command line of podl: what anybody does with a chain's models, without running a service."""

from __future__ import annotations

import click

__all__ = ["main"]


@click.group()
def main() -> None:
    """Use the models that a chain has paid for."""
