"""
Recurrent layers: simple RNN and minimal gated cell, forward and backward through time.

Source: arithmetic.md 1.4, 1.6 and 1.8. Rows of the matrix are ordered [x, h, bias]. A recurrent layer that
follows reads all states, any other layer the last one. Sequences are time-first inside this module.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from podl_tools.arithmetic import ERROR_MAX, STATE_MAX
from podl_tools.ml.layers import WeightedRule

if TYPE_CHECKING:
    from podl_tools.ml.ops import Tensor


class RecurrentRule(WeightedRule):
    """
    Shared work of both cells.

    The input part of all time steps is one product, so are the gradient and the error of the inputs.
    """

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
        product = self.product(rows, weights[:features]) + self.bias(weights)
        return rows, self.ops.reshape(product, (steps, -1, self.matrix.columns))

    def state_weights(self, weights: Tensor) -> Tensor:
        """Wh."""
        return weights[self.plan.in_shape[1] : -1]

    def first_state(self, accumulated: Tensor) -> Tensor:
        """h_0 = 0, given the accumulators of all steps."""
        return self.ops.small(self.ops.zeros_like(accumulated[0, :, : self.plan.layer.units]))

    def outputs(self, states: Tensor) -> Tensor:
        """Return what the next layer reads, given h_1 .. h_T."""
        if len(self.plan.out_shape) == 1:
            return states[-1]
        return self.ops.transpose(states, (1, 0, 2))

    def errors_above(self, error: Tensor) -> Tensor:
        """Error that each of h_1 .. h_T gets from the next layer (T, batch, units)."""
        if len(self.plan.out_shape) > 1:
            return self.ops.transpose(error, (1, 0, 2))
        steps = self.plan.in_shape[0]
        last = self.ops.repeat(error, 1, 0)
        nothing = self.ops.repeat(self.ops.zeros_like(error), steps - 1, 0)
        return self.ops.concat([nothing, last], 0) if steps > 1 else last

    def previous(self, states: Tensor) -> Tensor:
        """Return h_0 .. h_{T-1}, given h_1 .. h_T."""
        return self.ops.concat([self.ops.zeros_like(states[:1]), states[:-1]], 0)

    def stacked_gradient(self, rows: Tensor, states: Tensor, inner: Tensor) -> Tensor:
        """`sum_t [x_t, h_{t-1}, 64]^T dp_t` as one product; `inner` is (T, batch, columns)."""
        before = self.ops.reshape(self.previous(states), (-1, self.plan.layer.units))
        return self.outer(
            self.ops.concat([rows, before], 1), self.ops.reshape(inner, (-1, self.matrix.columns))
        )

    def recurrent_error(self, inner: Tensor, recurrent: Tensor) -> Tensor:
        """`Rnd(dp*Wh^T, f)`."""
        return self.ops.round_shift(self.ops.matmul(inner, recurrent, turn_right=True), self.matrix.scale)

    def input_error(self, weights: Tensor, saved: Any, inner: Tensor) -> Tensor:
        del saved
        steps, features = self.plan.in_shape
        rows = self.ops.reshape(inner, (-1, self.matrix.columns))
        error = self.scaled_error(self.ops.matmul(rows, weights[:features], turn_right=True))
        return self.ops.transpose(self.ops.reshape(error, (steps, -1, features)), (1, 0, 2))


class SimpleRNNRule(RecurrentRule):
    """`h' = clip(Rnd([x, h, 64] W, f), -64, 64)`."""

    def forward(self, weights: Tensor, inputs: Tensor) -> tuple[Tensor, Any]:
        rows, accumulated = self.input_part(weights, inputs)
        recurrent = self.state_weights(weights)

        def step(state: Tensor, part: Tensor) -> tuple[Tensor, Tensor]:
            total = part + self.product(state, recurrent)
            state = self.rounded(total, self.matrix.scale, -STATE_MAX, STATE_MAX)
            return state, state

        states = self.ops.scan(step, self.first_state(accumulated), accumulated)
        return self.outputs(states), (rows, states)

    def gradient(self, weights: Tensor, saved: Any, error: Tensor) -> tuple[Tensor, Tensor]:
        ops, n = self.ops, self.plan.layer.units
        rows, states = saved
        recurrent = self.state_weights(weights)
        above = self.errors_above(error)

        def step(later: Tensor, values: Tensor) -> tuple[Tensor, Tensor]:
            state, error = values[:, :n], ops.clip(later + values[:, n:], -ERROR_MAX, ERROR_MAX)
            inner = ops.where((state > -STATE_MAX) & (state < STATE_MAX), error, 0)
            return self.recurrent_error(inner, recurrent), inner

        sequence = ops.concat([ops.wide(states), above], 2)
        inner = ops.scan(step, ops.zeros_like(above[0]), sequence, reverse=True)
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
            total = part + self.product(state, recurrent)
            half = STATE_MAX // 2
            gate = self.rounded(total[:, :n], scale + 2, -half, half) + half
            candidate = self.rounded(total[:, n:], scale, -STATE_MAX, STATE_MAX)
            state = state + ops.round_shift(gate * (candidate - state), 6)
            return state, ops.concat([state, gate, candidate], 1)

        trace = ops.scan(step, self.first_state(accumulated), accumulated)
        return self.outputs(trace[:, :, :n]), (rows, trace)

    def gradient(self, weights: Tensor, saved: Any, error: Tensor) -> tuple[Tensor, Tensor]:
        ops, n = self.ops, self.plan.layer.units
        rows, trace = saved
        states = trace[:, :, :n]
        recurrent = self.state_weights(weights)
        above = self.errors_above(error)

        def step(later: Tensor, values: Tensor) -> tuple[Tensor, Tensor]:
            state, gate, candidate = values[:, :n], values[:, n : 2 * n], values[:, 2 * n : 3 * n]
            error = ops.clip(later + values[:, 3 * n :], -ERROR_MAX, ERROR_MAX)
            through = ops.round_shift(error * gate, 6)
            to_candidate = ops.where((candidate > -STATE_MAX) & (candidate < STATE_MAX), through, 0)
            product = ops.round_shift(error * (candidate - state), 8)
            to_gate = ops.where((gate > 0) & (gate < STATE_MAX), product, 0)
            inner = ops.clip(ops.concat([to_gate, to_candidate], 1), -ERROR_MAX, ERROR_MAX)
            return error - through + self.recurrent_error(inner, recurrent), inner

        before = ops.wide(ops.concat([self.previous(states), trace[:, :, n:]], 2))
        sequence = ops.concat([before, above], 2)
        inner = ops.scan(step, ops.zeros_like(above[0]), sequence, reverse=True)
        return self.stacked_gradient(rows, states, inner), inner
