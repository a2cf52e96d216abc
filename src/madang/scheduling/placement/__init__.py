"""Which node and which devices: free space in arrays, policies, gangs."""

from madang.scheduling.placement.asks import model_matches
from madang.scheduling.placement.cluster import Cluster, Free, NodeGroup
from madang.scheduling.placement.gangs import Attempt, place, undo
from madang.scheduling.placement.nodes import NodeType

POLICIES = (
    "default",
    "fgd",
    "bestfit",
    "dotprod",
    "gpu-packing",
    "gpu-clustering",
    "random",
    "first-fit",
    "spread",
)
"""Names that `Policy.placement` may have."""

__all__ = [
    "POLICIES",
    "Attempt",
    "Cluster",
    "Free",
    "NodeGroup",
    "NodeType",
    "model_matches",
    "place",
    "undo",
]
