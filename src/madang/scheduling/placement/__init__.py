"""Which node and which devices: free space in arrays, policies, gangs."""

from madang.scheduling.placement.asks import model_matches
from madang.scheduling.placement.cluster import Cluster, Free, NodeGroup
from madang.scheduling.placement.gangs import Attempt, place, undo
from madang.scheduling.placement.mix import Mix
from madang.scheduling.placement.moves import Movable, Moved, Room, make_room
from madang.scheduling.placement.nodes import NodeType
from madang.scheduling.placement.rules import POLICIES

__all__ = [
    "POLICIES",
    "Attempt",
    "Cluster",
    "Free",
    "Mix",
    "Movable",
    "Moved",
    "NodeGroup",
    "NodeType",
    "Room",
    "make_room",
    "model_matches",
    "place",
    "undo",
]
