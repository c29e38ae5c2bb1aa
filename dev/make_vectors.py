"""
Write the test vectors that the C++ and the Python tests share.

Run from the project's root: `python -m dev.make_vectors [--out FOLDER]`. The result depends on nothing but
the code: keys and salts are hashes of names, signatures use no randomness. vectors/README.md has the formats.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Final

import click

from dev.vector_cases import (
    arithmetic_cases,
    block_cases,
    coinbase_cases,
    dataset_cases,
    entry_cases,
    hashing_cases,
    merkle_cases,
    opening_cases,
    recipe_cases,
    reveal_cases,
    schedule_cases,
    task_cases,
    winner_cases,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from dev.vector_cases.fixture import Json

BUILDERS: Final[dict[str, Callable[[], Json]]] = {
    "arithmetic": arithmetic_cases.build,
    "block": block_cases.build,
    "coinbase": coinbase_cases.build,
    "dataset": dataset_cases.build,
    "entries": entry_cases.build,
    "hashing": hashing_cases.build,
    "merkle": merkle_cases.build,
    "opening": opening_cases.build,
    "recipe": recipe_cases.build,
    "reveal": reveal_cases.build,
    "schedule": schedule_cases.build,
    "task": task_cases.build,
    "winner": winner_cases.build,
}


def render(cases: Json) -> str:
    """Return the text of one file."""
    return json.dumps(cases, indent=1) + "\n"


@click.command()
@click.option("--out", type=click.Path(path_type=Path), default=Path("vectors"), show_default=True)
def main(out: Path) -> None:
    """Write every file of vectors to the folder OUT."""
    texts = {name: render(build()) for name, build in BUILDERS.items()}
    out.mkdir(parents=True, exist_ok=True)
    for name, text in texts.items():
        (out / f"{name}.json").write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
