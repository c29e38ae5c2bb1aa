"""What the validator checks before any verdict."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from podl_tools.chain.follow import ScheduleFollower
from podl_tools.program import format_program

if TYPE_CHECKING:
    from podl_tools.chain.node import Node
    from podl_tools.files import ChainMark
    from podl_tools.validator.evaluator import Evaluator

__all__ = ["Start"]

_LOGGER = logging.getLogger(__name__)


class Start:
    """
    Checks the chain, and that kernels are exact for every program of its tasks.

    Parameters
    ----------
    node
        Asked for the schedule.
    evaluator
        Whose kernels are tested.
    mark
        Ties the data directory to the chain.

    """

    def __init__(self, node: Node, evaluator: Evaluator, mark: ChainMark) -> None:
        self._follower = ScheduleFollower(node)
        self._evaluator = evaluator
        self._mark = mark
        self._tested = 0

    def check(self) -> None:
        """Check the chain, and test programs of tasks that are new."""
        self._mark.check(self._follower.update().chain_id)
        tasks = self._follower.schedule.tasks
        for task in tasks[self._tested :]:
            for program in task.body.loaded_programs:
                kernel = self._evaluator.test(program.serialize())
                _LOGGER.info("self-test passed: %s computes %s exactly", kernel, format_program(program))
        self._tested = len(tasks)
