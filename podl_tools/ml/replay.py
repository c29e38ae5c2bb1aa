"""Audit by repetition: train again and compare states."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from podl_tools.ml.backend import Backend
    from podl_tools.ml.state import State
    from podl_tools.ml.training import Training


def replay_epoch(training: Training, backend: Backend, epoch: int, before: State, after: State) -> bool:
    """
    Repeat one epoch from a checkpoint.

    Parameters
    ----------
    training
        The training under audit; its parent and seed do not matter for the weights of later epochs.
    backend
        Where to compute.
    epoch
        0 .. epochs - 1.
    before, after
        Checkpoints `epoch` and `epoch + 1`.

    Returns
    -------
    bool
        Whether the epoch leads from one to the other.

    """
    return training.after_epoch(backend, epoch, before).same(after)


def first_difference(
    training: Training, backend: Backend, matches: Callable[[int, State], bool]
) -> int | None:
    """
    Repeat a whole training and stop at the first state that differs.

    Parameters
    ----------
    training
        The training under audit.
    backend
        Where to compute.
    matches
        Told (i, state before epoch i), i = 0..epochs; compares with the committed state or its root.

    Returns
    -------
    int | None
        Index of the first state that does not match: 0 for the start, i for the end of epoch i - 1; None when
        every state matches.

    """
    for index, state in enumerate(training.states(backend)):
        if not matches(index, state):
            return index
    return None


def equals(expected: Sequence[State]) -> Callable[[int, State], bool]:
    """Comparison for `first_difference` with states that are all at hand."""

    def matches(index: int, state: State) -> bool:
        return index < len(expected) and state.same(expected[index])

    return matches
