"""
The same network in ordinary float32 Keras, for comparison only: nothing here is exact or enters a block.

A twin has the program's architecture with the smooth functions that its clips stand for: tanh for a clipped
state, the sigmoid for a gate, no upper bound for ReLU, softmax cross-entropy for the table. It starts from
the same weights, in real units (arithmetic.md 1.1), and learns by the same rule, that of Keras's SGD too:
`v = 0.875 v + 2**-k * mean gradient`, `w -= v`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import numpy as np
import tensorflow as tf

from podl_tools.arithmetic import MASTER_SHIFT
from podl_tools.program import LayerKind

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from numpy.typing import NDArray

    from podl_tools.examples import Examples
    from podl_tools.ml.training import Training
    from podl_tools.program import Layer, LayerPlan, Program

_INPUT_UNIT: Final = 2.0**-6
_MOMENTUM: Final = 0.875
_EVALUATION_BATCH: Final = 256


class MinimalGatedCell(tf.keras.layers.Layer):  # type: ignore[misc]  # Keras has no types
    """
    Cell of the minimal gated unit: `h' = h + z (c - h)`, both parts from one product, gate first.

    Parameters
    ----------
    units
        Size of the state.

    """

    def __init__(self, units: int) -> None:
        super().__init__()
        self.units = self.state_size = self.output_size = units

    def build(self, shape: Sequence[int | None]) -> None:
        """Make the matrices for inputs (batch, features)."""
        columns = 2 * self.units
        self.kernel = self.add_weight(shape=(shape[-1], columns), name="kernel")
        self.recurrent = self.add_weight(shape=(self.units, columns), name="recurrent")
        self.bias = self.add_weight(shape=(columns,), name="bias")

    def call(self, inputs: Any, states: Sequence[Any]) -> tuple[Any, list[Any]]:
        """Compute one time step."""
        (state,) = states
        total = inputs @ self.kernel + state @ self.recurrent + self.bias
        gate, candidate = tf.sigmoid(total[:, : self.units]), tf.tanh(total[:, self.units :])
        state += gate * (candidate - state)
        return state, [state]


class FloatTwin:
    """
    A program in float32.

    Parameters
    ----------
    program
        The layer program.
    masters
        M per layer with weights, where the twin starts.
    compiled
        Let XLA compile the graphs.

    """

    def __init__(
        self, program: Program, masters: Sequence[NDArray[np.int32]], *, compiled: bool = False
    ) -> None:
        self.program = program
        self.model = tf.keras.Sequential([tf.keras.Input(program.dims)])
        for plan in program.plans:
            layer = _layer(plan)
            self.model.add(layer)
            if plan.weights is not None:
                real = masters[plan.weights.index] * 2.0 ** -(plan.weights.scale + MASTER_SHIFT)
                layer.set_weights(_parts(plan, real))
        self._weights = list(self.model.trainable_variables)
        self._velocities = [tf.Variable(tf.zeros_like(weight)) for weight in self._weights]
        graph = tf.function(autograph=False, jit_compile=compiled, reduce_retracing=True)
        self._step, self._forward = graph(self._take_step), graph(self._logits)

    @property
    def n_params(self) -> int:
        """Weights of the model, biases included."""
        return int(self.model.count_params())

    def logits(self, samples: NDArray[np.int8]) -> NDArray[np.float32]:
        """Compute logits (n, classes) in real units: one unit is `2**(f + 6)` of the exact ones."""
        flat = samples.reshape(len(samples), self.program.sample_size)
        starts = range(0, len(flat), _EVALUATION_BATCH)
        parts = [self._forward(tf.constant(flat[start : start + _EVALUATION_BATCH])) for start in starts]
        return np.concatenate([part.numpy() for part in parts])

    def count(self, examples: Examples) -> int:
        """Count the correctly classified samples."""
        return int((self.logits(examples.samples).argmax(1) == examples.labels).sum())

    def train_epoch(
        self, batches: Iterable[tuple[NDArray[np.int8], NDArray[np.uint8]]], rate_shift: int
    ) -> None:
        """Train on samples (B, values) and labels (B,) of each step, with learning rate `2**-rate_shift`."""
        rate = tf.constant(2.0**-rate_shift)
        for samples, labels in batches:
            self._step(tf.constant(samples), tf.constant(labels), rate)

    def weights(self) -> list[NDArray[np.float32]]:
        """Weights in the order of Keras."""
        return [weight.numpy() for weight in self._weights]

    def _logits(self, samples: Any) -> Any:
        real = tf.cast(samples, tf.float32) * _INPUT_UNIT
        return self.model(tf.reshape(real, (-1, *self.program.dims)))

    def _gradients(self, samples: Any, labels: Any) -> list[Any]:
        """Mean gradients of a batch, in the order of the weights."""
        with tf.GradientTape() as tape:
            losses = tf.nn.sparse_softmax_cross_entropy_with_logits(
                tf.cast(labels, tf.int32), self._logits(samples)
            )
            loss = tf.reduce_mean(losses)
        found: list[Any] = tape.gradient(loss, self._weights)
        return found

    def _take_step(self, samples: Any, labels: Any, rate: Any) -> None:
        gradients = self._gradients(samples, labels)
        for weight, velocity, gradient in zip(self._weights, self._velocities, gradients, strict=True):
            velocity.assign(_MOMENTUM * velocity + rate * gradient)
            weight.assign_sub(velocity)


def train_float(training: Training, *, compiled: bool = False) -> FloatTwin:
    """
    Train a twin from the same first weights, on the same batches and at the same rates as `training`.

    Parameters
    ----------
    training
        What the exact network would be trained by.
    compiled
        Let XLA compile the graphs.

    """
    twin = FloatTwin(training.program, training.start().masters, compiled=compiled)
    for epoch in range(training.hyperparameters.epochs):
        twin.train_epoch(training.batches(epoch), training.hyperparameters.rate_shift_at(epoch))
    return twin


def _layer(plan: LayerPlan) -> Any:
    """Keras layer of one layer of a program."""
    layers, layer = tf.keras.layers, plan.layer
    sequences = len(plan.out_shape) == 2  # noqa: PLR2004  (T, units): another recurrent layer reads every step
    convolution = {"padding": "same", "activation": "relu"}
    makers: dict[LayerKind, Callable[[], Any]] = {
        LayerKind.DENSE: lambda: layers.Dense(layer.units, activation="relu"),
        LayerKind.CONV2D: lambda: layers.Conv2D(layer.units, layer.size, **convolution),
        LayerKind.CONV1D: lambda: layers.Conv1D(layer.units, layer.size, **convolution),
        LayerKind.MAXPOOL: lambda: layers.MaxPooling2D(layer.size),
        LayerKind.AVGPOOL: lambda: _average(layer),
        LayerKind.FLATTEN: layers.Flatten,
        LayerKind.RNN: lambda: layers.SimpleRNN(layer.units, return_sequences=sequences),
        LayerKind.MGRU: lambda: layers.RNN(MinimalGatedCell(layer.units), return_sequences=sequences),
        LayerKind.OUTPUT: lambda: layers.Dense(layer.units),
    }
    return makers[layer.kind]()


def _average(layer: Layer) -> Any:
    average = tf.keras.layers.AveragePooling2D(layer.size)
    return tf.keras.Sequential([average, tf.keras.layers.Rescaling(2.0**layer.gain)])


def _parts(plan: LayerPlan, matrix: NDArray[np.floating[Any]]) -> list[NDArray[np.floating[Any]]]:
    """Cut a matrix with its bias row into the arrays that Keras keeps."""
    layer, kernel, bias = plan.layer, matrix[:-1], matrix[-1]
    match layer.kind:
        case LayerKind.CONV2D:
            return [kernel.reshape(layer.size, layer.size, -1, layer.units), bias]
        case LayerKind.CONV1D:
            return [kernel.reshape(layer.size, -1, layer.units), bias]
        case LayerKind.RNN | LayerKind.MGRU:
            features = plan.in_shape[-1]
            return [kernel[:features], kernel[features:], bias]
    return [kernel, bias]
