"""One way to train a network; none may change a bit of what exact arithmetic learns."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Setting:
    """
    How to train.

    Parameters
    ----------
    backend
        One of `podl_tools.ml.backend.BACKENDS`; for float32 only `tensorflow`.
    kernel
        Place in the backend's list of kernels, fastest first. For float32: 0 a graph, 1 compiled by XLA.
    threads
        CPU threads.
    permuted
        Shuffle the rows of every batch.
    parts
        Cut every batch into this many micro-batches and add their gradients.

    """

    backend: str = "tensorflow"
    kernel: int = 0
    threads: int = 1
    permuted: bool = False
    parts: int = 1
