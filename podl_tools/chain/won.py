"""The winning model of a height, from a node."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from podl_tools.chain.data import Kind, download
from podl_tools.chain.follow import ScheduleFollower
from podl_tools.recipe import Recipe
from podl_tools.stored_model import Origin, StoredModel
from podl_tools.tool_errors import DataMissingError, SettingsError

if TYPE_CHECKING:
    from podl_tools.chain.node import Node
    from podl_tools.entry import FinalBody
    from podl_tools.schedule import Schedule

__all__ = ["fetch_won"]

_MASTER_SIZE: Final = 4


def fetch_won(node: Node, height: int | None) -> StoredModel:
    """
    Fetch the model of a height's final; every signature and root is checked here.

    Parameters
    ----------
    node
        Asked for the schedule and the bytes.
    height
        Height of the block; None for the latest final.

    Returns
    -------
    StoredModel
        Without model bytes when the node holds the weights alone.

    Raises
    ------
    SettingsError
        The height has no final.
    NodeError, TransferError
        The node does not hold the weights, or its answers are wrong.

    """
    follower = ScheduleFollower(node)
    follower.update()
    schedule = follower.schedule
    final = _final(schedule, height)
    disclosure = final.disclosure
    task = schedule.task_for(final.height)
    program = task.body.loaded_programs[Recipe.parse(disclosure.recipe).architecture]
    release = schedule.releases_for(final.height)[-1].body
    origin = Origin(
        chain_id=schedule.chain_id.hex(),
        task_id=task.id.hex(),
        height=final.height,
        block=disclosure.header.hash[::-1].hex(),
        claim=final.claim,
        samples=release.n,
        test_root=release.test_root.hex(),
    )
    weights = download(node, Kind.WEIGHTS, disclosure.opening.weights_root, program.n_params)
    model: bytes | None
    try:
        model = download(node, Kind.MODEL, disclosure.opening.model_root, _MASTER_SIZE * program.n_params)
    except DataMissingError:
        model = None
    return StoredModel(program, weights, model, origin)


def _final(schedule: Schedule, height: int | None) -> FinalBody:
    finals = {final.body.height: final.body for final in schedule.finals}
    if not finals:
        raise SettingsError("the chain has no final yet: no model has won")
    if height is None:
        return finals[max(finals)]
    if height not in finals:
        raise SettingsError(f"height {height} has no final; there are {min(finals)} to {max(finals)}")
    return finals[height]
