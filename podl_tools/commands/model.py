"""`podl model`: fetch, inspect and use the model of a block."""

from __future__ import annotations

import json
import sys
from functools import wraps
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click
import numpy as np
from rich.console import Console

from podl_tools.chain.won import fetch_won
from podl_tools.commands.opening import model_options, open_model
from podl_tools.commands.report import as_json, as_table
from podl_tools.example_files import load_samples
from podl_tools.files import PUBLIC, write_file
from podl_tools.ml.backend import BACKENDS, Backend
from podl_tools.ml.evaluation import score
from podl_tools.services import run_service
from podl_tools.settings import ServiceCommand, connect, option, rpc_options
from podl_tools.stored_model import write_folder
from podl_tools.tool_errors import SettingsError

if TYPE_CHECKING:
    from collections.abc import Callable

    from podl_tools.stored_model import StoredModel

__all__ = ["export", "fetch", "inspect", "model", "predict"]

_PROGRAM: Final = "podl"
_FORMATS: Final = ("onnx", "keras")
_FILE: Final = click.Path(path_type=Path, dir_okay=False)
_DIRECTORY: Final = click.Path(path_type=Path, file_okay=False)


@click.group()
def model() -> None:
    """
    Use a model that won a block.

    MODEL is a folder that `podl model fetch` made, or a file of weight bytes or model bytes, such as miners
    keep; a file needs its layer program, from --program or from --task and --architecture.
    """


def _in_one_line(function: Callable[..., None]) -> Callable[..., None]:
    """Let a command end with the exit code of its error, which it explains in one line."""

    @wraps(function)
    def run(**settings: Any) -> None:
        sys.exit(run_service(lambda _: function(**settings)))

    return run


@model.command(cls=ServiceCommand, program=_PROGRAM, reads_file=False)
@rpc_options
@option("out", type=_DIRECTORY, required=True, help="New folder for the model.")
@option("height", type=click.IntRange(1), help="Height of the block.  [default: the latest final]")
@_in_one_line
def fetch(height: int | None, out: Path, **settings: Any) -> None:
    """
    Fetch the model that won a block from a node, and check it.

    Signatures and Merkle roots are checked here, the node is not trusted. The folder then holds model.json
    (layer program, roots, height, block, claim), weights (one int8 per parameter) and model (the master
    weights, int32, that a further training starts from).
    """
    stored = fetch_won(connect(settings), height)
    write_folder(out, stored)
    if stored.model is None:
        click.echo("the node holds the weights alone: nobody can train on from here", err=True)
    if stored.origin is not None:
        click.echo(f"model of height {stored.origin.height} in {out}")


@model.command(cls=ServiceCommand, program=_PROGRAM, reads_file=False)
@option("json", is_flag=True, help="Print JSON instead of a table.")
@model_options
@_in_one_line
def inspect(*, json: bool, **which: Any) -> None:
    """Show layers, shapes, scales, sizes, ranges and roots of a model."""
    found = as_json(open_model(**which))
    if json:
        click.echo(_dumps(found))
    else:
        Console(width=None if sys.stdout.isatty() else 120).print(as_table(found))


@model.command(cls=ServiceCommand, program=_PROGRAM, reads_file=False)
@option("json", is_flag=True, help="Print one JSON object instead of lines.")
@option("threads", type=click.IntRange(1), default=1, help="CPU threads of the backend.")
@option(
    "backend", type=click.Choice(BACKENDS), default=BACKENDS[1], help="What computes; both give the same."
)
@model_options
@click.argument("samples", metavar="SAMPLES", type=_FILE)
@_in_one_line
def predict(samples: Path, *, backend: str, threads: int, json: bool, **which: Any) -> None:
    """
    Print the class of every sample, one a line.

    SAMPLES is a .npy file of samples (int8, -127 to 127), or a .npz file with `samples` and, if there are
    any, `labels` (uint8); with labels the count of correct classes and the rank sum follow on standard error.
    """
    stored = open_model(**which)
    examples, labelled = load_samples(samples)
    examples.check_fit(stored.program)
    network = Backend(backend, threads=threads).network(stored.program)
    logits = network.logits(stored.matrices, examples.samples)
    found: dict[str, Any] = {"classes": np.argmax(logits, axis=1).tolist(), "device": network.device}
    if labelled:
        scored = score(logits, examples.labels)
        found |= {"count": scored.count, "rank_sum": scored.rank_sum, "samples": scored.samples}
    if json:
        click.echo(_dumps(found))
        return
    click.echo("\n".join(map(str, found["classes"])))
    if labelled:
        click.echo(f"{scored.count} of {scored.samples} correct, rank sum {scored.rank_sum}", err=True)


@model.command(cls=ServiceCommand, program=_PROGRAM, reads_file=False)
@option("out", type=_FILE, required=True, help="File to write, ending in .onnx or .keras.")
@option("format", type=click.Choice(_FORMATS), required=True, help="What to write.")
@model_options
@_in_one_line
def export(*, format: str, out: Path, **which: Any) -> None:  # noqa: A002  the option's name
    """
    Write a model for ONNX runtimes or for Keras; its logits are the evaluator's, integer for integer.

    Its input is float32, (n, ...) in the shape of the program's `input`, with the integers -127 to 127 of a
    data set; its output int32 logits, of which the lowest index of the largest is the class. A Keras file of
    a network with recurrent layers needs `import podl_tools.ml.keras_cells` before it is loaded.
    """
    stored = open_model(**which)
    if out.suffix != f".{format}":
        raise SettingsError(f"--out must end in .{format}, received {out}")
    if format == "keras":
        from podl_tools.ml.keras_export import save_keras  # noqa: PLC0415  takes seconds to load

        save_keras(stored.program, stored.matrices, out)
    else:
        write_file(out, _onnx(stored), PUBLIC)
    click.echo(f"model with weights root {stored.weights_root.hex()} in {out}")


def _onnx(stored: StoredModel) -> bytes:
    try:
        from podl_tools.ml.onnx_export import export_onnx  # noqa: PLC0415  onnx is an extra
    except ModuleNotFoundError as error:
        if error.name != "onnx":
            raise
        raise SettingsError("--format onnx needs the package onnx: pip install 'podl[onnx]'") from None
    return export_onnx(stored.program, stored.matrices, stored.weights_root)


def _dumps(value: dict[str, Any]) -> str:
    return json.dumps(value, indent=1)
