"""
A second implementation of the arithmetic, for tests: loops over Python integers, one sample at a time.

Written from arithmetic.md alone; it shares nothing with podl_tools.ml but the Layer records and the softmax
table, whose hash is published. Values of a sample are flat lists in C order.
"""

from __future__ import annotations

from typing import Any

from podl_tools.ml.tables import TABLE
from podl_tools.program import Layer, LayerKind
from tests.ml_oracle_layers import BACKWARD, FORWARD, RECURRENT, E, Matrix, Node, clip, rnd


def layer_scale(fan_in: int, g: int) -> int:
    """Largest f with isqrt(g * 4**f // fan_in) <= 48."""
    fits = [f for f in range(40) if g * 4**f // fan_in < 49**2]
    return max(fits)


class Oracle:
    def __init__(self, dims: tuple[int, ...], layers: tuple[Layer, ...]) -> None:
        self.nodes: list[Node] = []
        shape, count = dims, 0
        for layer, following in zip(layers, (*layers[1:], None), strict=True):
            node = Node(layer, shape, _out(layer, shape, following))
            fan_in = _fan_in(layer, shape)
            if fan_in:
                relu = layer.kind in {LayerKind.DENSE, LayerKind.CONV2D, LayerKind.CONV1D}
                node.f, node.weights = layer_scale(fan_in, 6 if relu else 3), count
                count += 1
            self.nodes.append(node)
            shape = node.out
        x = 23
        for node in reversed(self.nodes):
            node.x = x
            if node.layer.kind is LayerKind.AVGPOOL:
                x += 2 * (node.layer.size.bit_length() - 1) - node.layer.gain

    def logits(self, weights: list[Matrix], sample: list[int]) -> list[int]:
        return self._forward(weights, sample)[-1]["out"]  # type: ignore[no-any-return]

    def _forward(self, weights: list[Matrix], sample: list[int]) -> list[dict[str, Any]]:
        trace = []
        values = sample
        for node in self.nodes:
            w = weights[node.weights] if node.weights is not None else []
            kept = FORWARD[node.layer.kind](node, w, values)
            trace.append({"in": values, **kept})
            values = kept["out"]
        return trace

    def gradients(self, weights: list[Matrix], sample: list[int], label: int) -> list[Matrix]:
        trace = self._forward(weights, sample)
        d = loss_error(trace[-1]["out"], label, self.nodes[-1].f)
        found: dict[int, Matrix] = {}
        for node, kept in zip(reversed(self.nodes), reversed(trace), strict=True):
            w = weights[node.weights] if node.weights is not None else []
            g, d = BACKWARD[node.layer.kind](node, w, kept, d)
            if node.weights is not None:
                found[node.weights] = g
        return [found[index] for index in sorted(found)]

    def step(
        self,
        masters: list[Matrix],
        velocities: list[Matrix],
        batch: list[tuple[list[int], int]],
        b: int,
        k: int,
    ) -> tuple[list[Matrix], list[Matrix]]:
        weights = [[[rnd(m, 16) for m in row] for row in matrix] for matrix in masters]
        parts = [self.gradients(weights, sample, label) for sample, label in batch]
        new_m, new_v = [], []
        for node in self.nodes:
            if node.weights is None:
                continue
            r = 6 + node.x + b + k - node.f - 24
            m, v = [row[:] for row in masters[node.weights]], [row[:] for row in velocities[node.weights]]
            for i, row in enumerate(m):
                for j, old in enumerate(row):
                    total = sum(part[node.weights][i][j] for part in parts)
                    g = clip(rnd(total, r), -(2**36), 2**36)
                    v[i][j] += g - rnd(v[i][j], 3)
                    row[j] = clip(old - rnd(v[i][j], 8), -127 * 2**16, 127 * 2**16)
            new_m.append(m)
            new_v.append(v)
        return new_m, new_v


def loss_error(acc: list[int], label: int, f: int) -> list[int]:
    z = [clip(rnd(a, f + 6 - 10), -(2**15), 2**15 - 1) for a in acc]
    t = [int(TABLE[min((max(z) - a + 8) >> 4, 1023)]) for a in z]
    s = sum(t)
    shares = [(a * 2**24 + s) // (2 * s) for a in t]
    return [clip(a - (2**23 if j == label else 0), -E, E) for j, a in enumerate(shares)]


def _out(layer: Layer, shape: tuple[int, ...], following: Layer | None) -> tuple[int, ...]:
    if layer.kind is LayerKind.CONV2D:
        return (*shape[:2], layer.units)
    stacked = layer.kind in RECURRENT and following is not None and following.kind in RECURRENT
    if layer.kind is LayerKind.CONV1D or stacked:
        return (shape[0], layer.units)
    if layer.kind in {LayerKind.MAXPOOL, LayerKind.AVGPOOL}:
        return (shape[0] // layer.size, shape[1] // layer.size, shape[2])
    if layer.kind is LayerKind.FLATTEN:
        total = 1
        for size in shape:
            total *= size
        return (total,)
    return (layer.units,)


def _fan_in(layer: Layer, shape: tuple[int, ...]) -> int:
    if layer.kind is LayerKind.CONV2D:
        return layer.size**2 * shape[2]
    if layer.kind is LayerKind.CONV1D:
        return layer.size * shape[1]
    if layer.kind in RECURRENT:
        return shape[1] + layer.units
    return shape[0] if layer.kind in {LayerKind.DENSE, LayerKind.OUTPUT} else 0
