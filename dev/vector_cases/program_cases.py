"""Layer programs and model bytes of arithmetic.json: good ones and what follows from them, refused ones."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, Any, Final

from podl_tools.errors import PodlError
from podl_tools.ml.model import parse_model, parse_weights
from podl_tools.program import Program, format_program, parse_program

if TYPE_CHECKING:
    from collections.abc import Callable

    from dev.vector_cases.fixture import Json

DIGITS: Final = (
    "input 64, dense 64, dense 64, output 10",
    "input 8x8x1, conv2d 3x3x16, maxpool 2, conv2d 3x3x32, maxpool 2, flatten, dense 64, output 10",
    "input 8x8, rnn 64, output 10",
    "input 8x8, mgru 64, output 10",
)
WIDEST: Final = "input 2x256x256, flatten, output 2"
# Small programs that together use every layer kind: name, text, largest weight drawn.
SMALL: Final = (
    ("dense", "input 6, dense 5, dense 4, output 3", 40),
    ("output alone", "input 7, output 4", 127),
    ("conv2d 3x3", "input 4x4x2, conv2d 3x3x3, flatten, output 3", 30),
    (
        "conv2d 1x1 and 5x5, wider than the image",
        "input 2x3x2, conv2d 1x1x3, conv2d 5x5x2, flatten, output 2",
        30,
    ),
    ("maxpool", "input 4x4x2, conv2d 3x3x2, maxpool 2, flatten, output 3", 30),
    ("maxpool on the input, window 3", "input 3x6x2, maxpool 3, flatten, output 3", 60),
    ("avgpool 2", "input 4x4x2, conv2d 3x3x2, avgpool 2, flatten, output 3", 30),
    (
        "global avgpool with gain",
        "input 4x4x1, conv2d 3x3x4, avgpool 4 gain 2, flatten, dense 4, output 3",
        30,
    ),
    ("simple RNN", "input 4x3, rnn 5, output 3", 60),
    ("simple RNN, then dense", "input 3x2, rnn 4, dense 4, output 2", 60),
    ("minimal gated cell", "input 4x3, mgru 5, output 3", 60),
    (
        "conv, two pools, dense",
        "input 8x8x1, conv2d 3x3x3, maxpool 2, conv2d 3x3x4, avgpool 2, flatten, dense 6, output 4",
        25,
    ),
    ("conv1d 3 and 5", "input 6x2, conv1d 3x3, conv1d 5x2, flatten, output 3", 40),
    ("conv1d below a gated cell", "input 5x3, conv1d 3x4, mgru 3, output 3", 60),
    ("two simple RNN", "input 4x3, rnn 4, rnn 3, output 3", 60),
    ("two gated cells", "input 4x3, mgru 3, mgru 4, output 3", 60),
    ("mixed stack, then dense", "input 4x2, mgru 3, rnn 3, mgru 2, dense 4, output 3", 60),
    ("fan_in 1041", "input 1041, dense 3, output 3", 20),
    (
        "deep",
        (
            "input 8x8x1, conv2d 3x3x3, conv2d 3x3x3, maxpool 2, conv2d 3x3x4, avgpool 2, conv2d 1x1x5, "
            "flatten, dense 6, dense 5, output 4"
        ),
        30,
    ),
)


def program_case(text: str) -> Json:
    """Return a program's bytes and what follows from them."""
    program = parse_program(text)
    layers = []
    for plan in program.plans:
        row: dict[str, Any] = {"in": plan.in_shape, "out": plan.out_shape, "x": plan.error_scale}
        if plan.weights is not None:
            names = ("fan_in", "columns", "positions", "scale")
            row |= {name: getattr(plan.weights, name) for name in names}
        layers.append(row)
    return {
        "text": format_program(program),
        "bytes": program.serialize().hex(),
        "n_params": program.n_params,
        "macs": program.macs,
        "layers": layers,
    }


def invalid_programs() -> list[Json]:
    """Bytes that are no program; each must be refused with `podl-model-range`."""
    good = parse_program("input 4x4x2, conv2d 3x3x3, avgpool 2, flatten, output 3").serialize()
    row = 9  # the first layer's bytes
    rows = [
        ("empty", b""),
        ("version 2", b"\x02" + good[1:]),
        ("no dimensions", b"\x01\x00\x01" + good[-8:]),
        ("four dimensions", bytes.fromhex("01040100010001000100") + b"\x01" + good[-8:]),
        ("a dimension of zero", good[:2] + b"\0\0" + good[4:]),
        ("one byte missing", good[:-1]),
        ("one byte too many", good + b"\0"),
        ("layer count too large", good[:8] + b"\x05" + good[9:]),
        ("kind 0", _with(good, row, 0)),
        ("kind 10", _with(good, row, 10)),
        ("conv1d on an image", _with(good, row, 3)),
        ("even kernel", _with(good, row + 1, 2)),
        ("kernel 0", _with(good, row + 1, 0)),
        ("units 0", _with(good, row + 2, 0)),
        ("gain of a convolution", _with(good, row + 4, 1)),
        ("padding byte set", _with(good, row + 7, 1)),
        ("pool 1", _with(good, row + 9, 1)),
        ("average pool 3", _with(good, row + 9, 3)),
        ("pool with units", _with(good, row + 10, 1)),
        ("average gain above the window", _with(good, row + 12, 3)),
        ("output with one class", _with(good, row + 26, 1)),
        ("no output", _with(good, row + 24, 1)),
        ("fan_in 2^17 + 1", _raw((1, 43691, 3), (6, 0, 0, 0), (9, 0, 2, 0))),
        ("no layers", _raw((4,))),
        ("two outputs", _raw((4,), (9, 0, 3, 0), (9, 0, 2, 0))),
        ("pool 3 does not divide 4", _raw((4, 3, 2), (4, 3, 0, 0), (6, 0, 0, 0), (9, 0, 2, 0))),
        ("recurrent layer after a dense one", _raw((4,), (1, 0, 3, 0), (7, 0, 2, 0), (9, 0, 2, 0))),
        ("recurrent layer after flatten", _raw((4, 2), (6, 0, 0, 0), (7, 0, 2, 0), (9, 0, 2, 0))),
        ("flatten of a last state", _raw((4, 2), (8, 0, 3, 0), (6, 0, 0, 0), (9, 0, 2, 0))),
        ("conv1d on a last state", _raw((4, 2), (7, 0, 3, 0), (3, 3, 2, 0), (6, 0, 0, 0), (9, 0, 2, 0))),
        ("even conv1d", _raw((4, 2), (3, 2, 3, 0), (6, 0, 0, 0), (9, 0, 2, 0))),
        ("conv1d on a flat input", _raw((4,), (3, 3, 3, 0), (6, 0, 0, 0), (9, 0, 2, 0))),
        ("dense on a sequence", _raw((4, 2), (3, 3, 3, 0), (1, 0, 3, 0), (9, 0, 2, 0))),
        ("pool on a sequence", _raw((4, 2), (3, 3, 3, 0), (4, 2, 0, 0), (6, 0, 0, 0), (9, 0, 2, 0))),
        ("recurrent layer on an image", _raw((4, 2, 1), (7, 0, 3, 0), (9, 0, 2, 0))),
        ("convolution on a sequence", _raw((4, 2), (2, 3, 3, 0), (6, 0, 0, 0), (9, 0, 2, 0))),
        ("pool on a flat input", _raw((4,), (4, 2, 0, 0), (9, 0, 2, 0))),
        ("dense on an image", _raw((4, 2, 1), (1, 0, 2, 0), (9, 0, 2, 0))),
        ("flatten of a flat input", _raw((4,), (6, 0, 0, 0), (9, 0, 2, 0))),
        ("fan_in of a convolution", _raw((1, 1, 14564), (2, 3, 1, 0), (6, 0, 0, 0), (9, 0, 2, 0))),
        ("fan_in of a conv1d", _raw((1, 43691), (3, 3, 1, 0), (6, 0, 0, 0), (9, 0, 2, 0))),
        ("fan_in of a recurrent layer", _raw((1, 65535), (7, 0, 65535, 0), (7, 0, 3, 0), (9, 0, 2, 0))),
        ("terms of an input error", _raw((1, 1, 1), (2, 31, 8730, 0), (6, 0, 0, 0), (9, 0, 2, 0))),
        (
            "positions of a convolution",
            _raw((4096, 1025, 1), (2, 1, 1, 0), (4, 16, 0, 0), (6, 0, 0, 0), (9, 0, 2, 0)),
        ),
        ("values that a convolution reads", _raw((1025, 1024, 1), (2, 9, 1, 0), (6, 0, 0, 0), (9, 0, 2, 0))),
        ("values that a recurrent layer reads", _raw((65535, 2), (8, 0, 1023, 0), (9, 0, 2, 0))),
        ("257 classes", _raw((4,), (9, 0, 257, 0))),
        ("values of a sample", _raw((65535, 257, 1), (6, 0, 0, 0), (9, 0, 2, 0))),
        ("values of an activation", _raw((64, 64, 1), (2, 1, 4097, 0), (6, 0, 0, 0), (9, 0, 2, 0))),
        ("parameters", _raw((4095,), *[(1, 0, 4095, 0)], (9, 0, 2, 0))),
    ]
    return [
        {"case": case, "bytes": data.hex(), "reason": refusal(case, Program.parse, data)}
        for case, data in rows
    ]


def _raw(dims: tuple[int, ...], *layers: tuple[int, int, int, int]) -> bytes:
    """Encode rows of kind, size, units and gain without any check."""
    head = struct.pack(f"<BB{len(dims)}HB", 1, len(dims), *dims, len(layers))
    return head + b"".join(struct.pack("<BBHB3x", *layer) for layer in layers)


def _with(data: bytes, at: int, value: int) -> bytes:
    return data[:at] + bytes([value]) + data[at + 1 :]


def invalid_models() -> list[Json]:
    """Weight and model bytes that must be refused."""
    program = parse_program("input 2, output 2")
    weights = bytes([127, 0x81, 0, 1, 2, 3])
    rows: list[tuple[str, str, Callable[[Program, bytes], object], bytes]] = [
        ("weight -128", "weights", parse_weights, weights[:5] + b"\x80"),
        ("a weight missing", "weights", parse_weights, weights[:5]),
        ("a weight too many", "weights", parse_weights, weights + b"\0"),
        ("master above 127 * 2**16", "model", parse_model, bytes(20) + (8_323_073).to_bytes(4, "little")),
        ("master of -2**31", "model", parse_model, bytes(20) + b"\0\0\0\x80"),
        ("half a master", "model", parse_model, bytes(22)),
    ]
    return [
        {
            "case": case,
            "program": program.serialize().hex(),
            "kind": kind,
            "bytes": data.hex(),
            "reason": refusal(case, parse, program, data),
        }
        for case, kind, parse, data in rows
    ]


def refusal(case: str, parse: Callable[..., object], *arguments: object) -> str:
    """Return the reason with which `parse` refuses."""
    try:
        parse(*arguments)
    except PodlError as error:
        return error.reason
    raise ValueError(f"case {case!r} is accepted")
