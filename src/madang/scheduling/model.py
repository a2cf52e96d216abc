"""What the planner is told and what it answers. Plain values; times are seconds since 1970."""

from __future__ import annotations

from dataclasses import dataclass

from madang.core.reasons import Reason
from madang.core.resources import Resources


@dataclass(frozen=True, slots=True)
class Device:
    """An accelerator of a node."""

    kind: str
    index: int
    model: str
    memory_bytes: int


@dataclass(frozen=True, slots=True)
class Node:
    """A machine. `open`: new tasks may be placed on it (it is neither cordoned nor lost)."""

    id: str
    name: str
    cpu_milli: int
    memory_bytes: int
    devices: tuple[Device, ...] = ()
    open: bool = True


@dataclass(frozen=True, slots=True)
class DeviceHold:
    """A part of a device: thousandths of it and bytes of its memory."""

    kind: str
    index: int
    milli: int
    memory_bytes: int


@dataclass(frozen=True, slots=True)
class Allocation:
    """What a live task holds of a node. `key` is `OWNER/ROLE/REPLICA`: there is one at a time."""

    key: str
    node_id: str
    cpu_milli: int
    memory_bytes: int
    devices: tuple[DeviceHold, ...] = ()


@dataclass(frozen=True, slots=True)
class Group:
    """Equal replicas, numbered from `first`: at least `replicas_min`, at most `replicas_max`."""

    role: str
    replicas_min: int
    replicas_max: int
    resources: Resources
    first: int = 0


@dataclass(frozen=True, slots=True)
class Request:
    """Something that wants to start, all groups at once or not at all.

    Among equal priorities the smaller `order` goes first, then the smaller id. Nothing happens
    before `not_before`.
    """

    id: str
    owner: str
    queue: str
    groups: tuple[Group, ...]
    priority: int = 0
    order: int = 0
    not_before: float = 0.0


@dataclass(frozen=True, slots=True)
class Snapshot:
    """All there is at one moment."""

    nodes: tuple[Node, ...] = ()
    allocations: tuple[Allocation, ...] = ()
    requests: tuple[Request, ...] = ()


# -- events: what has happened ----------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class NodeSet:
    """A node is new, or is other than before."""

    node: Node


@dataclass(frozen=True, slots=True)
class NodeGone:
    """A node will not come back."""

    node_id: str


@dataclass(frozen=True, slots=True)
class Asked:
    """A request is new, or is other than before."""

    request: Request


@dataclass(frozen=True, slots=True)
class Withdrawn:
    """A request is not wanted any more; not known is fine."""

    request_id: str


@dataclass(frozen=True, slots=True)
class Held:
    """A task holds something that the planner did not give it, or it is told again."""

    allocation: Allocation


@dataclass(frozen=True, slots=True)
class Released:
    """A task has ended; not known is fine."""

    key: str


Event = NodeSet | NodeGone | Asked | Withdrawn | Held | Released


# -- actions: what should happen --------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Placement:
    """One replica and where it goes."""

    role: str
    replica: int
    node_id: str
    devices: tuple[DeviceHold, ...] = ()


@dataclass(frozen=True, slots=True)
class Start:
    """Start a request. The planner counts it as held from now on; when it could not be carried
    out, say `Released` for each key and `Asked` again."""

    request: Request
    placements: tuple[Placement, ...]


@dataclass(frozen=True, slots=True)
class Wait:
    """Why a request waits, and when it is expected to start, where that is known."""

    request_id: str
    reason: Reason
    expected_start: float | None = None
