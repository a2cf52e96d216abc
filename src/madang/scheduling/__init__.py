"""Who starts where, and why the others wait: pure decisions, without clock, I/O or chance."""

from madang.scheduling.model import (
    Allocation,
    Asked,
    Device,
    DeviceHold,
    Event,
    Group,
    Held,
    Node,
    NodeGone,
    NodeSet,
    Placement,
    Released,
    Request,
    Snapshot,
    Start,
    Wait,
    Withdrawn,
)
from madang.scheduling.planner import Planner

__all__ = [
    "Allocation",
    "Asked",
    "Device",
    "DeviceHold",
    "Event",
    "Group",
    "Held",
    "Node",
    "NodeGone",
    "NodeSet",
    "Placement",
    "Planner",
    "Released",
    "Request",
    "Snapshot",
    "Start",
    "Wait",
    "Withdrawn",
]
