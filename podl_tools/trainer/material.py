"""What a training needs besides its recipe: the training set and the parent's model."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from podl_tools.chain.data import obtain_model
from podl_tools.dataset import data_size, parse_examples
from podl_tools.progress import progress_bar
from podl_tools.tool_errors import DataMissingError

if TYPE_CHECKING:
    from podl_tools.chain.node import Node
    from podl_tools.examples import Examples
    from podl_tools.fetch import Fetcher
    from podl_tools.task import Task

__all__ = ["Material"]

_LOGGER = logging.getLogger(__name__)
_MASTER_SIZE = 4  # bytes per parameter of a model


class Material:
    """
    Gets training sets and models, and keeps the last training set in memory.

    Parameters
    ----------
    node
        Asked for models.
    fetcher
        Cache and stores for training sets.

    """

    def __init__(self, node: Node, fetcher: Fetcher) -> None:
        self._node = node
        self._fetcher = fetcher
        self._held: tuple[bytes, Examples] | None = None

    def training_set(self, task: Task) -> Examples:
        """
        Get the task's training set.

        Raises
        ------
        TransferError
            No store has it.
        RejectError
            Its bytes are no data set of this task.

        """
        if self._held is None or self._held[0] != task.training_root:
            size = data_size(task.training_n, task.dims)
            with progress_bar("training set") as show:
                data = self._fetcher.fetch(task.training_root, size, show)
            examples = parse_examples(data, task.training_n, task.dims, task.classes)
            self._held = task.training_root, examples
        return self._held[1]

    def parent(self, task: Task, architecture: int, root: bytes) -> bytes | None:
        """
        Get the model bytes to start from.

        Returns
        -------
        bytes or None
            None when the node does not hold them; the training then starts from fresh weights.

        Raises
        ------
        TransferError
            The node gave other bytes.

        """
        size = _MASTER_SIZE * task.loaded_programs[architecture].n_params
        try:
            return obtain_model(self._node, self._fetcher, root, size)
        except DataMissingError:
            _LOGGER.warning("the node does not hold model %s: no warm start this time", root.hex())
            return None
