"""Layer programs: encoding, text, derived numbers, bounds and refusals."""

from __future__ import annotations

from math import isqrt, prod

import pytest
from hypothesis import given
from hypothesis import strategies as st

from podl_tools.errors import HyperparameterError, ProgramError
from podl_tools.program import (
    Layer,
    LayerKind,
    Program,
    WeightPlan,
    check_batch,
    format_program,
    parse_program,
    update_shifts,
)
from podl_tools.program.plan import MAX_BACKWARD_TERMS, MAX_FAN_IN, MAX_GRADIENT_TERMS, MAX_SMALL_TERMS
from tests.ml_helpers import SMALL

CNN = "input 8x8x1, conv2d 3x3x16, maxpool 2, conv2d 3x3x32, maxpool 2, flatten, dense 64, output 10"


@st.composite
def programs(draw: st.DrawFn) -> Program:
    """Draw any program of at most a few layers."""
    hidden = [
        Layer(LayerKind.DENSE, units=draw(st.integers(1, 2000))) for _ in range(draw(st.integers(0, 2)))
    ]
    output = Layer(LayerKind.OUTPUT, units=draw(st.integers(2, 256)))
    head = draw(st.sampled_from(["flat", "sequence", "image"]))
    if head == "flat":
        return Program((draw(st.integers(1, 6000)),), (*hidden, output))
    if head == "sequence":
        kinds = draw(st.lists(st.sampled_from([LayerKind.RNN, LayerKind.MGRU]), min_size=1, max_size=3))
        cells = [Layer(kind, units=draw(st.integers(1, 300))) for kind in kinds]
        filters = [
            Layer(LayerKind.CONV1D, 3, draw(st.integers(1, 100))) for _ in range(draw(st.integers(0, 2)))
        ]
        dims = (draw(st.integers(1, 65535 if len(cells + filters) == 1 else 2000)), draw(st.integers(1, 100)))
        return Program(dims, (*filters, *cells, *hidden, output))
    pool = draw(
        st.sampled_from(
            [Layer(LayerKind.MAXPOOL, size=4), *(Layer(LayerKind.AVGPOOL, 4, 0, g) for g in range(5))]
        )
    )
    convolution = Layer(LayerKind.CONV2D, draw(st.sampled_from([1, 3, 5])), draw(st.integers(1, 25)))
    layers = (convolution, pool, Layer(LayerKind.FLATTEN), *hidden, output)
    return Program((8, 8, draw(st.integers(1, 41))), layers)


@st.composite
def pooled_images(draw: st.DrawFn) -> Program:
    """Draw convolutions between average pools: what moves the error's scale."""
    high, wide = 2 ** draw(st.integers(0, 7)), 2 ** draw(st.integers(0, 8))
    height, width, layers = high, wide, [Layer(LayerKind.CONV2D, 1, draw(st.integers(1, 4)))]
    for _ in range(draw(st.integers(0, 4))):
        most = min(height, width, 128).bit_length() - 1
        if most:
            bits = draw(st.integers(1, most))
            layers.append(Layer(LayerKind.AVGPOOL, 2**bits, gain=draw(st.integers(0, 2 * bits))))
            height, width = height >> bits, width >> bits
        layers.append(Layer(LayerKind.CONV2D, draw(st.sampled_from([1, 3])), draw(st.integers(1, 100))))
    layers.append(Layer(LayerKind.CONV2D, 1, 1))
    if min(height, width) > 1:
        layers.append(Layer(LayerKind.MAXPOOL, min(height, width)))
    layers += [Layer(LayerKind.FLATTEN), Layer(LayerKind.OUTPUT, units=2)]
    return Program((high, wide, 1), tuple(layers))


def parsed(data: bytes) -> Program | None:
    """The program, None when it is refused; any other error is a bug."""
    try:
        return Program.parse(data)
    except ProgramError:
        return None


@given(programs())
def test_bytes_and_text_round_trip(program: Program) -> None:
    data = program.serialize()
    assert len(data) == 3 + 2 * len(program.dims) + 8 * len(program.layers)
    assert Program.parse(data) == program
    assert parse_program(format_program(program)) == program


@given(programs(), st.data())
def test_only_one_encoding(program: Program, data: st.DataObject) -> None:
    encoded = bytearray(program.serialize())
    at = data.draw(st.integers(0, len(encoded) - 1))
    encoded[at] = data.draw(st.integers(0, 255))
    found = parsed(bytes(encoded))
    assert found is None or found.serialize() == encoded


@given(st.binary(max_size=80))
def test_parse_any_bytes(data: bytes) -> None:
    found = parsed(data)
    assert found is None or found.serialize() == data


@given(programs(), st.integers(1, 40))
def test_cut_and_trailing_bytes_are_refused(program: Program, count: int) -> None:
    data = program.serialize()
    for broken in (data[:-count], data + bytes(count)):
        with pytest.raises(ProgramError):
            Program.parse(broken)


@given(programs())
def test_bounds_hold(program: Program) -> None:
    for plan in program.weights:
        # A gate is rounded by f + 2.
        container = 2**31 - 1 if plan.split else 2**24
        assert plan.fan_in * 127 * 127 + 64 * 127 + 2 ** (plan.scale + 1) <= container
        assert isqrt(plan.gain * 4**plan.scale // plan.fan_in) <= 48
        assert isqrt(plan.gain * 4 ** (plan.scale + 1) // plan.fan_in) > 48
        assert plan.init_limit < 2**23
        assert 4 <= plan.scale <= (13 if plan.split else 9)
    assert program.macs < 2**63


@given(programs() | pooled_images(), st.integers(1, 15), st.integers(0, 16), st.integers(0, 2))
def test_every_recipe_of_a_task_stays_exact(program: Program, b: int, k: int, drops: int) -> None:
    """Neither side of the protocol checks R of a recipe: the bound on positions * B implies it."""
    try:
        check_batch(program, b)
    except ProgramError:
        return
    for plan, shift in zip(program.weights, update_shifts(program, b, k + drops), strict=True):
        assert (plan.positions << b) * 127 * (2**23 - 1) < 2**52
        assert -7 <= shift <= 41
    for layer in program.plans:
        if layer.weights is not None:
            terms = layer.weights.columns * (prod(layer.layer.kernel) or 1)
            assert terms * 127 * (2**23 - 1) + 2 ** (layer.weights.scale - 1) <= 2**53


def test_the_ends_of_the_update_shift_are_reached() -> None:
    widest = parse_program("input 2x256x256, flatten, output 2")
    assert update_shifts(widest, 1, 0)[0] == -7
    pooled = parse_program("input 1024x1024x1, conv2d 1x1x1, avgpool 128, avgpool 8, flatten, output 2")
    assert update_shifts(pooled, 2, 18)[0] == 41


def test_bounds_of_sums_are_sharp() -> None:
    terms = MAX_SMALL_TERMS
    assert terms * 127 * 127 + 64 * 127 + 2**10 <= 2**24 < (terms + 1) * 127 * 127 + 64 * 127
    # Twice the longest sum would not fit an int32; f is at most 13, and a gate is rounded by f + 2.
    assert MAX_FAN_IN * 127 * 127 + 64 * 127 + 2**14 < 2**31 < 2 * MAX_FAN_IN * 127 * 127
    assert max(WeightPlan(0, MAX_FAN_IN, 1, 1, gain).scale for gain in (3, 6)) == 13
    assert MAX_GRADIENT_TERMS * 127 * (2**23 - 1) < 2**52 < 2 * MAX_GRADIENT_TERMS * 127 * (2**23 - 1)
    assert MAX_BACKWARD_TERMS * 127 * (2**23 - 1) + 2**8 < 2**53


def test_published_scales() -> None:
    found = {
        n: parse_program(f"input {n}, dense 2, output 2").weights[0].scale
        for n in (9, 16, 64, 72, 144, 288, 576, 1024)
    }
    assert found == {9: 5, 16: 6, 64: 7, 72: 7, 144: 7, 288: 8, 576: 8, 1024: 9}
    assert parse_program("input 64, dense 2, output 2").weights[0].init_limit == 2568476


def test_derived_numbers_of_a_convolutional_net() -> None:
    program = parse_program(CNN)
    shapes = [plan.out_shape for plan in program.plans]
    assert shapes == [(8, 8, 16), (4, 4, 16), (4, 4, 32), (2, 2, 32), (128,), (64,), (10,)]
    assert [plan.fan_in for plan in program.weights] == [9, 144, 128, 64]
    assert [plan.index for plan in program.weights] == [0, 1, 2, 3]
    assert program.n_params == 10 * 16 + 145 * 32 + 129 * 64 + 65 * 10
    assert program.macs == 64 * 10 * 16 + 16 * 145 * 32 + 129 * 64 + 65 * 10
    assert (program.sample_size, program.classes) == (64, 10)


def test_recurrent_numbers() -> None:
    simple = parse_program("input 8x5, rnn 6, output 3").weights[0]
    gated = parse_program("input 8x5, mgru 6, output 3").weights[0]
    assert (simple.fan_in, simple.columns, simple.positions, simple.macs) == (11, 6, 8, 8 * 12 * 6)
    assert (gated.fan_in, gated.columns, gated.positions, gated.macs) == (11, 12, 8, 8 * 12 * 12)


def test_average_pools_refine_the_error_below_them() -> None:
    program = parse_program(SMALL[2])
    assert [plan.error_scale for plan in program.plans] == [26, 24, 24, 23, 23, 23, 23]
    # R = 6 + x + b + k - f - 24 for every matrix.
    scales = [plan.scale for plan in program.weights]
    expected = tuple(6 + x + 5 + 4 - f - 24 for x, f in zip((26, 24, 23, 23), scales, strict=True))
    assert update_shifts(program, 5, 4) == expected


@pytest.mark.parametrize(
    ("text", "layer", "words"),
    [
        ("input 43691x3, flatten, output 2", 1, "fan_in 131073 exceeds 131072"),
        ("input 1x1x14564, conv2d 3x3x2, flatten, output 2", 0, "fan_in 131076 exceeds 131072"),
        ("input 1x43691, conv1d 3x2, flatten, output 2", 0, "fan_in 131073 exceeds 131072"),
        ("input 8x8x1, maxpool 3, flatten, output 2", 0, "must divide"),
        ("input 8x8x1, avgpool 2 gain 3, flatten, output 2", 0, "gain must be 0..2"),
        ("input 8x8x1, avgpool 3, flatten, output 2", 0, "power of two"),
        ("input 8x8x1, conv2d 2x2x1, flatten, output 2", 0, "must be odd"),
        ("input 8x8x1, conv1d 3x4, flatten, output 2", 0, "T,D"),
        ("input 8x8, conv1d 4x4, flatten, output 2", 0, "must be odd"),
        ("input 8x8, mgru 4, conv1d 3x4, flatten, output 2", 1, "T,D"),
        ("input 8x8, mgru 4, flatten, output 2", 1, "flat already"),
        ("input 8x8, conv1d 3x4, maxpool 2, flatten, output 2", 1, "H,W,C"),
        ("input 8x8x1, dense 4, output 2", 0, "flatten first"),
        ("input 2048x2049x1, conv2d 1x1x1, flatten, output 2", 0, "4196352 positions exceed 4194304"),
        ("input 1024x1024x1, conv2d 9x9x1, flatten, output 2", 0, "1048576 positions of fan_in 81 exceed"),
        ("input 8, dense 0, output 2", 0, "units must be"),
        ("input 8, dense 4, output 1", 1, "classes must be"),
        ("input 8, dense 4, outptu 2", 1, "not understood"),
        ("input 8x8x1, conv2d 3x5x2, flatten, output 2", 0, "not understood"),
        ("input 8, output 2, output 2", None, "last layer"),
        ("input 0, output 2", None, "dimension"),
        ("8, output 2", None, "expected `input`"),
        ("input 4x4x4x4, flatten, output 2", None, "expected `input`"),
    ],
)
def test_refusals_name_layer_and_bound(text: str, layer: int | None, words: str) -> None:
    with pytest.raises(ProgramError, match=words) as caught:
        parse_program(text)
    assert caught.value.layer == layer
    assert caught.value.reason == "podl-model-range"


def test_widest_layers_are_accepted() -> None:
    parse_program("input 2x256x256, flatten, output 2")
    parse_program("input 2048x2048x1, conv2d 1x1x1, maxpool 128, flatten, output 2")
    parse_program("input 1024x1024x1, conv2d 7x7x1, maxpool 128, flatten, output 2")


def test_batch_bound() -> None:
    program = parse_program("input 32x32x1, conv2d 3x3x2, maxpool 2, flatten, output 2")
    check_batch(program, 12)
    with pytest.raises(ProgramError, match="8388608 exceeds 4194304") as caught:
        check_batch(program, 13)
    assert caught.value.layer == 0
    for batch_log2 in (-1, 16):
        with pytest.raises(HyperparameterError, match="batch_log2"):
            check_batch(parse_program("input 2, output 2"), batch_log2)


def test_update_shift_bounds() -> None:
    program = parse_program("input 2, output 2")
    assert update_shifts(program, 15, 47) == (62,)
    with pytest.raises(HyperparameterError, match="update shift 63"):
        update_shifts(program, 15, 48)
    with pytest.raises(HyperparameterError, match="rate_shift"):
        update_shifts(program, 5, 256)
