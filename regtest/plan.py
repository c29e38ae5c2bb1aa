"""What the demonstration network consists of: miners, validators, task."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

NODES: Final = 3
PODL_HEIGHT: Final = 110  # leaves mature coinbases of ordinary blocks behind
SHARDS: Final = 12
SHARD_SIZE: Final = 64
DEFAULT_BLOCKS: Final = 8
# Phases end by events. These times only matter when a miner hangs, so they are far above any real one.
PHASE_SECONDS: Final = 600


@dataclass(frozen=True)
class MinerPlan:
    """A miner: what it trains and how.

    Parameters
    ----------
    name, kind
        Short name, for lines and the plot; kind of network, for tables.
    program
        Layer program.
    epochs, rate
        Of its recipes; the learning rate is 2**-rate.
    backend
        What computes.
    """

    name: str
    kind: str
    program: str
    epochs: int
    rate: int
    backend: str


# One per node, in this order; the position is also the index of the task's layer program. Different backends
# train and replay, so a model that only one of them can produce would be found at once.
MINERS: Final = (
    MinerPlan(
        "mlp",
        "fully connected",
        "input 64, dense 64, dense 64, output 10",
        epochs=3,
        rate=5,
        backend="numpy",
    ),
    MinerPlan(
        "cnn",
        "convolutional",
        "input 8x8x1, conv2d 3x3x16, maxpool 2, conv2d 3x3x32, maxpool 2, flatten, dense 64, output 10",
        epochs=2,
        rate=4,
        backend="tensorflow",
    ),
    MinerPlan("mgru", "recurrent", "input 8x8, mgru 64, output 10", epochs=4, rate=4, backend="numpy"),
)
# Whose verdicts each node judges by (-podlevaluator); one that measures by itself has no validator.
EVALUATORS: Final = ("sidecar", "internal", "both")
# By node. TensorFlow takes about half a gigabyte per process.
VALIDATOR_BACKENDS: Final = {0: "tensorflow", 2: "numpy"}
REQUESTER_BACKEND: Final = "numpy"
BATCH: Final = 5


def miner_name(architecture: int) -> str:
    """Return the name of the miner that trains a layer program."""
    return MINERS[architecture].name
