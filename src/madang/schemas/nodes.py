"""Nodes, their devices, and how much of them is in use."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from madang.schemas import FORBID_EXTRA


class NodeState(StrEnum):
    READY = "ready"
    CORDONED = "cordoned"
    LOST = "lost"


@dataclass(frozen=True, slots=True)
class NodeDevice:
    """An accelerator, or a slice of one (`profile`). `used` is the share of it that tasks hold, 0
    to 1. `sharing`: what keeps a task to its device or its part of one: `hardware` for a slice;
    `cooperative` for parts of a whole device, which nothing enforces. Whole devices are kept apart
    by their device files either way."""

    index: int
    kind: str
    model: str
    memory_bytes: int
    simulated: bool
    used: float
    used_memory_bytes: int
    profile: str = ""
    numa_node: int = 0
    link_group: int = -1
    sharing: str = "cooperative"


@dataclass(frozen=True, slots=True)
class Node:
    """A machine. Use is the sum of what live tasks hold (the ledger), not what they really do."""

    id: str
    name: str
    state: NodeState
    hostname: str
    cpu: float
    cpu_used: float
    memory_bytes: int
    memory_used_bytes: int
    devices: list[NodeDevice]
    tasks: int
    sandbox: str
    limits: list[str]
    identity: str
    labels: dict[str, str]
    seen_at: datetime
    created_at: datetime
    pool: str = ""
    counted: dict[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class NodeTask:
    """A live task on a node. What is not yours to see has no name."""

    task_id: str
    workload_id: str
    name: str
    user: str
    state: str
    cpu: float
    memory_bytes: int


@dataclass(frozen=True, slots=True)
class NodeDetail:
    node: Node
    tasks: list[NodeTask]


@dataclass(frozen=True, slots=True)
class NodeChange:
    """None leaves a thing as it is. `labels` and `counted` (other things that it has, by name) are
    added; an empty label and a count of 0 are removed."""

    __pydantic_config__ = FORBID_EXTRA

    pool: str | None = None
    labels: dict[str, str] | None = None
    counted: dict[str, int] | None = None
