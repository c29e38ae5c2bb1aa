"""The requester's signed log as a pure state machine, the same as in the node (protocol section 5)."""

from podl_tools.schedule.final_check import Round
from podl_tools.schedule.log import BlockHeight, Placed, ScheduleLog, ShardList
from podl_tools.schedule.machine import Equivocation, Schedule, Status, Submission
from podl_tools.schedule.rules import earliest_final, earliest_release

__all__ = [
    "BlockHeight",
    "Equivocation",
    "Placed",
    "Round",
    "Schedule",
    "ScheduleLog",
    "ShardList",
    "Status",
    "Submission",
    "earliest_final",
    "earliest_release",
]
