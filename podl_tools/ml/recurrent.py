"""
Recurrent layers: simple RNN and minimal gated cell, forward and backward through time.

Source: arithmetic.md 1.4 and 1.6. Rows of the matrix are ordered [x, h, bias]; the last
state feeds the next layer. Sequences are time-first inside this module.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from podl_tools.arithmetic import BIAS_INPUT, ERROR_MAX, STATE_MAX
from podl_tools.ml.layers import WeightedRule

if TYPE_CHECKING:
    from podl_tools.ml.ops import Tensor


class RecurrentRule(WeightedRule):
    """Shared work of both cells: the input part of all time steps is one product, so is the gradient."""

    def input_part(self, weights: Tensor, inputs: Tensor) -> tuple[Tensor, Tensor]:
        """
        Accumulators `x*Wx + 64*b` of all steps.

        Returns
        -------
        tuple
            Input rows (T * batch, D), time-first, and accumulators (T, batch, columns).

        """
        steps, features = self.plan.in_shape
        rows = self.ops.reshape(self.ops.transpose(inputs, (1, 0, 2)), (-1, features))
        product = self.ops.matmul(rows, weights[:features]) + BIAS_INPUT * weights[-1]
        return rows, self.ops.reshape(product, (steps, -1, self.matrix.columns))

    def state_weights(self, weights: Tensor) -> Tensor:
        """Wh."""
        return weights[self.plan.in_shape[1] : -1]

    def previous(self, states: Tensor) -> Tensor:
        """Return h_0 .. h_{T-1}, given h_1 .. h_T."""
        return self.ops.concat([self.ops.zeros_like(states[:1]), states[:-1]], 0)

    def stacked_gradient(self, rows: Tensor, states: Tensor, inner: Tensor) -> Tensor:
        """`sum_t [x_t, h_{t-1}, 64]^T dp_t` as one product; `inner` is (T, batch, columns)."""
        before = self.ops.reshape(self.previous(states), (-1, self.plan.layer.units))
        return self.outer(
            self.ops.concat([rows, before], 1), self.ops.reshape(inner, (-1, self.matrix.columns))
        )

    def input_error(self, weights: Tensor, saved: Any, inner: Tensor) -> Tensor:
        raise NotImplementedError("a recurrent layer is always the first")


class SimpleRNNRule(RecurrentRule):
    """`h' = clip(Rnd([x, h, 64] W, f), -64, 64)`."""

    def forward(self, weights: Tensor, inputs: Tensor) -> tuple[Tensor, Any]:
        rows, accumulated = self.input_part(weights, inputs)
        recurrent = self.state_weights(weights)

        def step(state: Tensor, part: Tensor) -> tuple[Tensor, Tensor]:
            total = part + self.ops.matmul(state, recurrent)
            state = self.ops.clip(self.ops.round_shift(total, self.matrix.scale), -STATE_MAX, STATE_MAX)
            return state, state

        states = self.ops.scan(step, self.ops.zeros_like(accumulated[0]), accumulated)
        return states[-1], (rows, states)

    def gradient(self, weights: Tensor, saved: Any, error: Tensor) -> tuple[Tensor, Tensor]:
        rows, states = saved
        recurrent = self.state_weights(weights)

        def step(error: Tensor, state: Tensor) -> tuple[Tensor, Tensor]:
            inner = self.ops.where((state > -STATE_MAX) & (state < STATE_MAX), error, 0)
            return self.scaled_error(self.ops.matmul(inner, recurrent, turn_right=True)), inner

        inner = self.ops.scan(step, error, states, reverse=True)
        return self.stacked_gradient(rows, states, inner), inner


class MinimalGatedRule(RecurrentRule):
    """
    Minimal gated cell with 2n columns, gate z first.

    `z = clip(Rnd(acc_z, f+2) + 32, 0, 64)`, `c = clip(Rnd(acc_c, f), -64, 64)`, `h' = h + Rnd(z*(c-h), 6)`.
    """

    def forward(self, weights: Tensor, inputs: Tensor) -> tuple[Tensor, Any]:
        ops, n, scale = self.ops, self.plan.layer.units, self.matrix.scale
        rows, accumulated = self.input_part(weights, inputs)
        recurrent = self.state_weights(weights)

        def step(state: Tensor, part: Tensor) -> tuple[Tensor, Tensor]:
            total = part + ops.matmul(state, recurrent)
            gate = ops.clip(ops.round_shift(total[:, :n], scale + 2) + STATE_MAX // 2, 0, STATE_MAX)
            candidate = ops.clip(ops.round_shift(total[:, n:], scale), -STATE_MAX, STATE_MAX)
            state = state + ops.round_shift(gate * (candidate - state), 6)
            return state, ops.concat([state, gate, candidate], 1)

        trace = ops.scan(step, ops.zeros_like(accumulated[0, :, :n]), accumulated)
        return trace[-1, :, :n], (rows, trace)

    def gradient(self, weights: Tensor, saved: Any, error: Tensor) -> tuple[Tensor, Tensor]:
        ops, n = self.ops, self.plan.layer.units
        rows, trace = saved
        states = trace[:, :, :n]
        recurrent = self.state_weights(weights)
        before = ops.wide(ops.concat([self.previous(states), trace[:, :, n:]], 2))

        def step(error: Tensor, values: Tensor) -> tuple[Tensor, Tensor]:
            state, gate, candidate = values[:, :n], values[:, n : 2 * n], values[:, 2 * n :]
            through = ops.round_shift(error * gate, 6)
            to_candidate = ops.where((candidate > -STATE_MAX) & (candidate < STATE_MAX), through, 0)
            product = ops.round_shift(error * (candidate - state), 8)
            to_gate = ops.where((gate > 0) & (gate < STATE_MAX), product, 0)
            inner = ops.clip(ops.concat([to_gate, to_candidate], 1), -ERROR_MAX, ERROR_MAX)
            earlier = ops.round_shift(ops.matmul(inner, recurrent, turn_right=True), self.matrix.scale)
            return ops.clip(error - through + earlier, -ERROR_MAX, ERROR_MAX), inner

        inner = ops.scan(step, error, before, reverse=True)
        return self.stacked_gradient(rows, states, inner), inner
