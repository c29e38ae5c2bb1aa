"""
The one description of a network: forward pass, loss, gradients and update, in exact operations.

Source: arithmetic.md 1.4 to 1.7.
"""

from __future__ import annotations

from functools import reduce
from operator import add
from typing import TYPE_CHECKING, Any, Final

from podl_tools.arithmetic import (
    ERROR_BITS,
    ERROR_MAX,
    LOGIT_MAX,
    LOGIT_MIN,
    MASTER_MAX,
    MASTER_SHIFT,
    MOMENTUM_SHIFT,
    TABLE_SIZE,
    UPDATE_MAX,
    VELOCITY_SHIFT,
)
from podl_tools.ml.layers import (
    AvgPoolRule,
    ConvolutionRule,
    DenseRule,
    FlattenRule,
    LayerRule,
    MaxPoolRule,
    OutputRule,
    PooledConvolutionRule,
)
from podl_tools.ml.recurrent import MinimalGatedRule, SimpleRNNRule
from podl_tools.ml.tables import TABLE
from podl_tools.program import LayerKind

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from podl_tools.ml.ops import Ops, Tensor
    from podl_tools.program import LayerPlan, Program

_RULES: Final[dict[LayerKind, type[LayerRule]]] = {
    LayerKind.DENSE: DenseRule,
    LayerKind.CONV2D: ConvolutionRule,
    LayerKind.CONV1D: ConvolutionRule,
    LayerKind.MAXPOOL: MaxPoolRule,
    LayerKind.AVGPOOL: AvgPoolRule,
    LayerKind.FLATTEN: FlattenRule,
    LayerKind.RNN: SimpleRNNRule,
    LayerKind.MGRU: MinimalGatedRule,
    LayerKind.OUTPUT: OutputRule,
}


def _rules(ops: Ops, plans: Sequence[LayerPlan]) -> list[LayerRule]:
    """One rule per layer, but a convolution's takes in a max pool behind it."""
    rules: list[LayerRule] = []
    for plan in plans:
        last = rules[-1] if rules else None
        if plan.layer.kind is LayerKind.MAXPOOL and type(last) is ConvolutionRule:
            rules[-1] = PooledConvolutionRule(ops, last.plan, plan.layer.size)
        else:
            rules.append(_RULES[plan.layer.kind](ops, plan))
    return rules


class Graph:
    """
    A program in the operations of one backend.

    Parameters
    ----------
    ops
        Exact operations.
    program
        The layer program.

    """

    def __init__(self, ops: Ops, program: Program) -> None:
        self.ops = ops
        self.program = program
        self.rules = _rules(ops, program.plans)
        self._output_scale = program.weights[-1].scale

    def forward(self, weights: Sequence[Tensor], inputs: Tensor) -> tuple[Tensor, list[Any]]:
        """
        Compute logits.

        Parameters
        ----------
        weights
            One small (rows, columns) tensor per layer with weights.
        inputs
            (batch, values), small; re-read in C order as the program's sample shape.

        Returns
        -------
        tuple
            Raw accumulators of the output layer (batch, classes), small or wide, and what each layer saved.

        """
        values = self.ops.reshape(inputs, (-1, *self.program.dims))
        tape = []
        for rule in self.rules:
            values, saved = rule.forward(self._of(weights, rule.plan), values)
            tape.append(saved)
        return values, tape

    def loss_error(self, logits: Tensor, labels: Tensor) -> Tensor:
        """
        Error of the softmax-table loss, unit 2**-23.

        Parameters
        ----------
        logits
            (batch, classes), raw accumulators, small or wide.
        labels
            (batch,), class indices.

        """
        ops = self.ops
        scaled = ops.clip(ops.round_shift(logits, self._output_scale + 6 - 10), LOGIT_MIN, LOGIT_MAX)
        index = ops.clip(ops.round_shift(ops.max(scaled, 1) - scaled, 4), 0, TABLE_SIZE - 1)
        terms = ops.take(TABLE.tolist(), index)
        total = ops.sum(terms, 1, keep=True)
        share = ops.floor_divide(terms * (1 << (ERROR_BITS + 1)) + total, 2 * total)
        wanted = ops.one_hot(labels, self.program.classes) * (1 << ERROR_BITS)
        return ops.clip(share - wanted, -ERROR_MAX, ERROR_MAX)

    def gradients(self, masters: Sequence[Tensor], inputs: Tensor, labels: Tensor) -> list[Tensor]:
        """
        Gradients summed over the rows.

        Parameters
        ----------
        masters
            M, wide, per layer with weights.
        inputs
            (rows, values), small.
        labels
            (rows,), class indices.

        Returns
        -------
        list
            One (rows, columns) per layer with weights, wide.

        """
        rounded = self.ops.fuse(self._weights)
        weights, small = zip(*map(rounded, masters), strict=True)
        logits, tape = self.forward(small, inputs)
        error = self.loss_error(logits, labels)
        found: list[Tensor] = []
        for rule, saved in zip(reversed(self.rules), reversed(tape), strict=True):
            matrix = self._of(weights, rule.plan)
            gradient, inner = rule.gradient(matrix, saved, error)
            if gradient is not None:
                found.append(gradient)
            if len(found) == len(weights):
                break
            error = rule.input_error(matrix, saved, inner)
        return found[::-1]

    def _weights(self, master: Tensor) -> tuple[Tensor, Tensor]:
        """`W = Rnd(M, MASTER_SHIFT)`, wide and small."""
        rounded = self.ops.round_shift(master, MASTER_SHIFT)
        return rounded, self.ops.small(rounded)

    def add_gradients(
        self, masters: Sequence[Tensor], earlier: Sequence[Tensor], rows: tuple[Tensor, Tensor]
    ) -> list[Tensor]:
        """Add the gradients of some rows of a batch to those of its earlier rows, if there are any."""
        return [reduce(add, parts) for parts in self._gradient_parts(masters, earlier, rows)]

    def _gradient_parts(
        self, masters: Sequence[Tensor], earlier: Sequence[Tensor], rows: tuple[Tensor, Tensor]
    ) -> Iterator[tuple[Tensor, ...]]:
        """Parts of each layer's gradient: that of the rows, behind that of the earlier ones."""
        own = self.gradients(masters, *rows)
        return zip(earlier, own, strict=True) if earlier else zip(own, strict=True)

    def step(
        self,
        masters: Sequence[Tensor],
        velocities: Sequence[Tensor],
        earlier: Sequence[Tensor],
        rows: tuple[Tensor, Tensor],
        shifts: Sequence[Tensor],
    ) -> tuple[list[Tensor], list[Tensor]]:
        """
        Train on one batch, given the gradients of all but its last rows.

        Parameters
        ----------
        masters, velocities
            M and V, wide, per layer with weights.
        earlier
            Gradients of the rows before these, from `add_gradients`; empty when there are none.
        rows
            Inputs (rows, values), small, and labels (rows,).
        shifts
            R per layer with weights, from `Ops.shift_operand`.

        Returns
        -------
        tuple
            M and V after the step.

        """
        update = self.ops.fuse(self._update)
        parts = self._gradient_parts(masters, earlier, rows)
        moved = list(map(update, masters, velocities, parts, shifts))
        return [master for master, _ in moved], [velocity for _, velocity in moved]

    def _update(
        self, master: Tensor, velocity: Tensor, parts: tuple[Tensor, ...], shift: Tensor
    ) -> tuple[Tensor, Tensor]:
        """M and V of one matrix after the step."""
        ops = self.ops
        push = ops.clip(ops.round_shift(reduce(add, parts), shift), -UPDATE_MAX, UPDATE_MAX)
        moved = velocity - ops.round_shift(velocity, MOMENTUM_SHIFT) + push
        new = master - ops.round_shift(moved, VELOCITY_SHIFT)
        return ops.clip(new, -MASTER_MAX, MASTER_MAX), moved

    @staticmethod
    def _of(weights: Sequence[Tensor], plan: LayerPlan) -> Tensor:
        return None if plan.weights is None else weights[plan.weights.index]
