"""
The recurrent cells as Keras layers, for models that `podl model export --format keras` writes.

Import this module before `keras.models.load_model`: a file names its cells, it does not hold their code.
Files of networks without recurrent layers load with Keras alone.
"""

from __future__ import annotations

from typing import Any

import keras

from podl_tools.arithmetic import STATE_MAX
from podl_tools.program import LayerKind

ops = keras.ops


def round_shift(values: Any, shift: int) -> Any:
    """`Rnd(values, shift)` on integers in floats (arithmetic.md); `shift` is not negative."""
    return ops.floor(values * 2.0**-shift + 0.5) if shift else values


@keras.saving.register_keras_serializable("podl")
class ExactCell(keras.layers.Layer):  # type: ignore[misc]  # Keras has no types
    """
    One time step of a simple RNN or of a minimal gated cell (arithmetic.md 1.4).

    Parameters
    ----------
    kind
        `rnn` or `mgru`.
    units
        Size of the state.
    scale
        f of the layer.

    """

    def __init__(self, kind: str, units: int, scale: int, **attributes: Any) -> None:
        super().__init__(**attributes)
        self.kind = kind
        self.units = units
        self.scale = scale
        self.state_size = units

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        """Make the weights: rows of the input, rows of the state, and the bias times 64."""
        columns = self.units if self.kind == LayerKind.RNN.label else 2 * self.units
        self.kernel = self.add_weight(shape=(input_shape[-1], columns), name="kernel")
        self.recurrent = self.add_weight(shape=(self.units, columns), name="recurrent")
        self.bias = self.add_weight(shape=(columns,), name="bias")

    def call(self, inputs: Any, states: list[Any], **_attributes: Any) -> tuple[Any, list[Any]]:
        """Return the state behind (batch, units), as output and as state."""
        total = ops.matmul(inputs, self.kernel) + ops.matmul(states[0], self.recurrent) + self.bias
        following = self._rnn(total) if self.kind == LayerKind.RNN.label else self._mgru(total, states[0])
        return following, [following]

    def _rnn(self, total: Any) -> Any:
        return ops.clip(round_shift(total, self.scale), -STATE_MAX, STATE_MAX)

    def _mgru(self, total: Any, state: Any) -> Any:
        rounded = round_shift(total[:, : self.units], self.scale + 2)
        gate = ops.clip(rounded + STATE_MAX // 2, 0, STATE_MAX)
        candidate = ops.clip(round_shift(total[:, self.units :], self.scale), -STATE_MAX, STATE_MAX)
        return state + round_shift(gate * (candidate - state), 6)

    def get_config(self) -> dict[str, Any]:
        """Return what the constructor needs."""
        return {**super().get_config(), "kind": self.kind, "units": self.units, "scale": self.scale}
