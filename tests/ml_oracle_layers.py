"""Layers of the second implementation in ml_oracle, forward and backward, one sample at a time."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from podl_tools.program import Layer, LayerKind

Matrix = list[list[int]]
E = 2**23 - 1
RECURRENT = {LayerKind.RNN, LayerKind.MGRU}


def rnd(x: int, s: int) -> int:
    """floor(x / 2**s + 1/2), as a quotient of integers."""
    return x << -s if s <= 0 else (2 * x + (1 << s)) // (2 << s)


def clip(x: int, low: int, high: int) -> int:
    return max(low, min(x, high))


@dataclass
class Node:
    layer: Layer
    shape: tuple[int, ...]
    out: tuple[int, ...]
    f: int = 0
    x: int = 23
    weights: int | None = None


def _affine(w: Matrix, a: list[int]) -> list[int]:
    return [sum(x * row[j] for x, row in zip([*a, 64], w, strict=True)) for j in range(len(w[0]))]


def _dense(node: Node, w: Matrix, a: list[int]) -> dict[str, Any]:
    return {"out": [clip(rnd(x, node.f), 0, 127) for x in _affine(w, a)]}


def _output(node: Node, w: Matrix, a: list[int]) -> dict[str, Any]:
    del node
    return {"out": _affine(w, a)}


def _output_back(node: Node, w: Matrix, kept: dict[str, Any], d: list[int]) -> tuple[Matrix, list[int]]:
    g = [[x * e for e in d] for x in [*kept["in"], 64]]
    below = [clip(rnd(sum(e * y for e, y in zip(d, row, strict=True)), node.f), -E, E) for row in w[:-1]]
    return g, below


def _dense_back(node: Node, w: Matrix, kept: dict[str, Any], d: list[int]) -> tuple[Matrix, list[int]]:
    return _output_back(node, w, kept, [e if 0 < o < 127 else 0 for e, o in zip(d, kept["out"], strict=True)])


def _taps(node: Node) -> list[tuple[int, int, int]]:
    """(output pixel, input pixel, tap) of every product of a convolution."""
    h, w, _ = node.shape
    k = node.layer.size
    return [
        (y * w + x, (y + i - k // 2) * w + x + j - k // 2, i * k + j)
        for y in range(h)
        for x in range(w)
        for i in range(k)
        for j in range(k)
        if 0 <= y + i - k // 2 < h and 0 <= x + j - k // 2 < w
    ]


def _conv(node: Node, w: Matrix, a: list[int]) -> dict[str, Any]:
    c_in, c_out = node.shape[2], node.layer.units
    acc = [64 * w[-1][o] for _ in range(node.shape[0] * node.shape[1]) for o in range(c_out)]
    for out, inp, tap in _taps(node):
        for c in range(c_in):
            for o in range(c_out):
                acc[out * c_out + o] += a[inp * c_in + c] * w[tap * c_in + c][o]
    return {"out": [clip(rnd(x, node.f), 0, 127) for x in acc]}


def _conv_back(node: Node, w: Matrix, kept: dict[str, Any], d: list[int]) -> tuple[Matrix, list[int]]:
    c_in, c_out = node.shape[2], node.layer.units
    d = [e if 0 < o < 127 else 0 for e, o in zip(d, kept["out"], strict=True)]
    g = [[0] * c_out for _ in w]
    below = [0] * len(kept["in"])
    for out, inp, tap in _taps(node):
        for c in range(c_in):
            for o in range(c_out):
                g[tap * c_in + c][o] += kept["in"][inp * c_in + c] * d[out * c_out + o]
                below[inp * c_in + c] += w[tap * c_in + c][o] * d[out * c_out + o]
    for index, e in enumerate(d):
        g[-1][index % c_out] += 64 * e
    return g, [clip(rnd(x, node.f), -E, E) for x in below]


def _conv1d(node: Node, w: Matrix, a: list[int]) -> dict[str, Any]:
    (steps, c_in), k = node.shape, node.layer.size
    border = [0] * (k // 2 * c_in)
    padded = border + a + border
    out = []
    for t in range(steps):
        out += [clip(rnd(x, node.f), 0, 127) for x in _affine(w, padded[t * c_in : (t + k) * c_in])]
    return {"out": out}


def _conv1d_back(node: Node, w: Matrix, kept: dict[str, Any], d: list[int]) -> tuple[Matrix, list[int]]:
    (steps, c_in), k, c_out = node.shape, node.layer.size, node.layer.units
    border = [0] * (k // 2 * c_in)
    padded = border + kept["in"] + border
    g, below = [[0] * c_out for _ in w], [0] * len(padded)
    for t in range(steps):
        part = slice(t * c_out, (t + 1) * c_out)
        dp = [e if 0 < o < 127 else 0 for e, o in zip(d[part], kept["out"][part], strict=True)]
        _add_outer(g, [*padded[t * c_in : (t + k) * c_in], 64], dp)
        for index, e in enumerate(_back(w[:-1], dp), t * c_in):
            below[index] += e
    inside = below[len(border) : len(below) - len(border)]
    return g, [clip(rnd(x, node.f), -E, E) for x in inside]


def _cells(node: Node) -> list[list[int]]:
    """Input indices of every pool window, in row-major window order."""
    h, w, channels = node.out
    n, width = node.layer.size, node.shape[1]
    return [
        [((y * n + i) * width + x * n + j) * channels + c for i in range(n) for j in range(n)]
        for y in range(h)
        for x in range(w)
        for c in range(channels)
    ]


def _maxpool(node: Node, w: Matrix, a: list[int]) -> dict[str, Any]:
    del w
    return {"out": [max(a[cell] for cell in window) for window in _cells(node)]}


def _maxpool_back(node: Node, w: Matrix, kept: dict[str, Any], d: list[int]) -> tuple[Matrix, list[int]]:
    del w
    below = [0] * len(kept["in"])
    for e, top, window in zip(d, kept["out"], _cells(node), strict=True):
        below[next(cell for cell in window if kept["in"][cell] == top)] = e
    return [], below


def _avgpool(node: Node, w: Matrix, a: list[int]) -> dict[str, Any]:
    del w
    shift = 2 * (node.layer.size.bit_length() - 1) - node.layer.gain
    return {"out": [clip(rnd(sum(a[cell] for cell in window), shift), 0, 127) for window in _cells(node)]}


def _avgpool_back(node: Node, w: Matrix, kept: dict[str, Any], d: list[int]) -> tuple[Matrix, list[int]]:
    del w
    below = [0] * len(kept["in"])
    for e, window in zip(d, _cells(node), strict=True):
        for cell in window:
            below[cell] = e
    return [], below


def _flatten(node: Node, w: Matrix, a: list[int]) -> dict[str, Any]:
    del node, w
    return {"out": a}


def _flatten_back(node: Node, w: Matrix, kept: dict[str, Any], d: list[int]) -> tuple[Matrix, list[int]]:
    del node, w, kept
    return [], d


def _handed_on(node: Node, h: list[list[int]]) -> list[int]:
    """All states for another recurrent layer, else the last one."""
    return [x for state in (h[1:] if len(node.out) > 1 else h[-1:]) for x in state]


def _above(node: Node, d: list[int]) -> list[list[int]]:
    """Error from above for h_0 .. h_T; h_0 gets none."""
    n, steps = node.layer.units, node.shape[0]
    first = steps - len(d) // n
    return [[0] * n for _ in range(first + 1)] + [d[i * n : (i + 1) * n] for i in range(steps - first)]


def _rnn(node: Node, w: Matrix, a: list[int]) -> dict[str, Any]:
    steps, width = node.shape
    h = [[0] * node.layer.units]
    for t in range(steps):
        acc = _affine(w, a[t * width : (t + 1) * width] + h[-1])
        h.append([clip(rnd(x, node.f), -64, 64) for x in acc])
    return {"out": _handed_on(node, h), "h": h}


def _rnn_back(node: Node, w: Matrix, kept: dict[str, Any], d: list[int]) -> tuple[Matrix, list[int]]:
    (steps, width), n, h = node.shape, node.layer.units, kept["h"]
    above = _above(node, d)
    g = [[0] * n for _ in w]
    later, below = [0] * n, [0] * len(kept["in"])
    for t in range(steps, 0, -1):
        d = [clip(e + r, -E, E) for e, r in zip(above[t], later, strict=True)]
        dp = [e if abs(s) < 64 else 0 for e, s in zip(d, h[t], strict=True)]
        _add_outer(g, [*kept["in"][(t - 1) * width : t * width], *h[t - 1], 64], dp)
        back = [rnd(x, node.f) for x in _back(w[:-1], dp)]
        below[(t - 1) * width : t * width] = [clip(x, -E, E) for x in back[:width]]
        later = back[width:]
    return g, below


def _mgru(node: Node, w: Matrix, a: list[int]) -> dict[str, Any]:
    (steps, width), n = node.shape, node.layer.units
    h, z, c = [[0] * n], [[0] * n], [[0] * n]
    for t in range(steps):
        acc = _affine(w, a[t * width : (t + 1) * width] + h[-1])
        z.append([clip(rnd(x, node.f + 2) + 32, 0, 64) for x in acc[:n]])
        c.append([clip(rnd(x, node.f), -64, 64) for x in acc[n:]])
        h.append([s + rnd(q * (p - s), 6) for s, q, p in zip(h[-1], z[-1], c[-1], strict=True)])
    return {"out": _handed_on(node, h), "h": h, "z": z, "c": c}


def _mgru_back(node: Node, w: Matrix, kept: dict[str, Any], d: list[int]) -> tuple[Matrix, list[int]]:
    (steps, width), n = node.shape, node.layer.units
    h, z, c = kept["h"], kept["z"], kept["c"]
    above = _above(node, d)
    g = [[0] * (2 * n) for _ in w]
    later, below = [0] * n, [0] * len(kept["in"])
    for t in range(steps, 0, -1):
        d = [clip(above[t][i] + later[i], -E, E) for i in range(n)]
        dc = [rnd(d[i] * z[t][i], 6) * (abs(c[t][i]) < 64) for i in range(n)]
        dz = [rnd(d[i] * (c[t][i] - h[t - 1][i]), 8) * (0 < z[t][i] < 64) for i in range(n)]
        dp = [clip(x, -E, E) for x in dz + dc]
        _add_outer(g, [*kept["in"][(t - 1) * width : t * width], *h[t - 1], 64], dp)
        back = [rnd(x, node.f) for x in _back(w[:-1], dp)]
        below[(t - 1) * width : t * width] = [clip(x, -E, E) for x in back[:width]]
        later = [d[i] - rnd(d[i] * z[t][i], 6) + back[width + i] for i in range(n)]
    return g, below


def _add_outer(g: Matrix, a: list[int], d: list[int]) -> None:
    for row, x in zip(g, a, strict=True):
        for j, e in enumerate(d):
            row[j] += x * e


def _back(w: Matrix, d: list[int]) -> list[int]:
    return [sum(e * x for e, x in zip(d, row, strict=True)) for row in w]


FORWARD = {
    LayerKind.DENSE: _dense,
    LayerKind.OUTPUT: _output,
    LayerKind.CONV2D: _conv,
    LayerKind.CONV1D: _conv1d,
    LayerKind.MAXPOOL: _maxpool,
    LayerKind.AVGPOOL: _avgpool,
    LayerKind.FLATTEN: _flatten,
    LayerKind.RNN: _rnn,
    LayerKind.MGRU: _mgru,
}
BACKWARD = {
    LayerKind.DENSE: _dense_back,
    LayerKind.OUTPUT: _output_back,
    LayerKind.CONV2D: _conv_back,
    LayerKind.CONV1D: _conv1d_back,
    LayerKind.MAXPOOL: _maxpool_back,
    LayerKind.AVGPOOL: _avgpool_back,
    LayerKind.FLATTEN: _flatten_back,
    LayerKind.RNN: _rnn_back,
    LayerKind.MGRU: _mgru_back,
}
