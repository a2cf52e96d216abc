"""The cluster as the scheduler sees it: its policy, who holds what, its history."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import Annotated

from annotated_types import Ge, Gt, Le

from madang.core.states import WorkloadKind, WorkloadState
from madang.schemas import FORBID_EXTRA
from madang.schemas.jobs import ResourceRequest
from madang.schemas.nodes import NodeState


@dataclass(frozen=True, slots=True)
class SchedulingPolicy:
    """How the scheduler decides. `placement` is one of `placements`; `pool_placement` has other
    ones for single pools. `round_s`: how often queues that share in time decide anew.
    `half_life_s`: of decayed usage. `migration_budget`: the part of the tasks that hold places
    that may be moved within an hour so that others fit; 0: none is. `preemption`: whether anything
    may be stopped for others. `orderings`: what a queue's `ordering` may be."""

    placement: str
    pool_placement: dict[str, str]
    seed: int
    round_s: float
    half_life_s: float
    migration_budget: float
    preemption: bool
    placements: list[str]
    orderings: list[str]


@dataclass(frozen=True, slots=True)
class PolicySet:
    """The policy from now on; what is left out is as in a new installation."""

    __pydantic_config__ = FORBID_EXTRA

    placement: str = "default"
    pool_placement: dict[str, str] = field(default_factory=dict)
    seed: Annotated[int, Ge(0), Le(2**31)] = 0
    round_s: Annotated[float, Ge(1), Le(86_400)] = 60.0
    half_life_s: Annotated[float, Gt(0), Le(10**8)] = 7 * 86_400.0
    migration_budget: Annotated[float, Ge(0), Le(1)] = 0.0
    preemption: bool = True


@dataclass(frozen=True, slots=True)
class Hold:
    """Who holds a part of a device. What is not yours to see has no name, id and project; `mine`:
    you run it."""

    share: float
    memory_bytes: int
    since: datetime
    user: str
    mine: bool
    kind: str = ""
    workload_id: str = ""
    name: str = ""
    project: str = ""


@dataclass(frozen=True, slots=True)
class ClusterDevice:
    """A device and who holds it. `used` is 0 to 1. `fragment`: a part of it is free, and less
    than half of what runs and waits in the cluster could use so little of such a device."""

    index: int
    kind: str
    model: str
    profile: str
    memory_bytes: int
    numa_node: int
    link_group: int
    simulated: bool
    used: float
    used_memory_bytes: int
    fragment: bool
    holds: list[Hold]


@dataclass(frozen=True, slots=True)
class ClusterNode:
    id: str
    name: str
    state: NodeState
    pool: str
    labels: dict[str, str]
    cpu: float
    cpu_used: float
    memory_bytes: int
    memory_used_bytes: int
    tasks: int
    devices: list[ClusterDevice]


@dataclass(frozen=True, slots=True)
class ModelUse:
    """All devices of a model together, in devices: `free` is what is not held on nodes that are
    ready, `fragment` the part of it that is on fragments."""

    kind: str
    model: str
    profile: str
    simulated: bool
    total: int
    used: float
    free: float
    fragment: float


@dataclass(frozen=True, slots=True)
class ClusterSummary:
    """The cluster in a few numbers; `nodes` counts by state."""

    nodes: dict[str, int]
    pools: list[str]
    models: list[ModelUse]
    cpu: float
    cpu_used: float
    memory_bytes: int
    memory_used_bytes: int
    waiting: int
    running: int


@dataclass(frozen=True, slots=True)
class HistoryPoint:
    """The mean over one step, which begins at `at`: what there was of a resource, what was held
    of it, and what was asked for by those that waited."""

    at: datetime
    capacity: float
    used: float
    waiting: float


@dataclass(frozen=True, slots=True)
class ResourceHistory:
    """`unit` is what the numbers count: `devices`, `CPUs`, `bytes`; empty where that is what the
    resource is called."""

    resource: str
    unit: str
    points: list[HistoryPoint]


@dataclass(frozen=True, slots=True)
class QueuePoint:
    """One step of a queue: `used` accelerators on average, how many waited on average, and for
    how long those had waited that started in it (None: none did)."""

    at: datetime
    used: float
    waiting: float
    started: int
    p50_wait_s: float | None
    p90_wait_s: float | None


@dataclass(frozen=True, slots=True)
class QueueHistory:
    """`p50_wait_s`…: over the whole time asked for; `queue` is an id, `name` its path."""

    queue: str
    name: str
    started: int
    p50_wait_s: float | None
    p90_wait_s: float | None
    p99_wait_s: float | None
    points: list[QueuePoint]


@dataclass(frozen=True, slots=True)
class SchedulingHistory:
    since: datetime
    until: datetime
    step_s: float
    resources: list[ResourceHistory]
    queues: list[QueueHistory]


@dataclass(frozen=True, slots=True)
class PastRole:
    """What a role asked for."""

    name: str
    replicas_min: int
    replicas_max: int
    resources: ResourceRequest


@dataclass(frozen=True, slots=True)
class PastRun:
    """An attempt: when it held what it asked for, and on which nodes (a name for each task)."""

    attempt: int
    start: datetime
    end: datetime | None
    nodes: list[str]
    preempted: bool


@dataclass(frozen=True, slots=True)
class PastWork:
    """Something that ran or waits, as `madang simulate --from-history` reads it. What is not
    yours to see has an empty name."""

    id: str
    kind: WorkloadKind
    name: str
    project: str
    user: str
    queue: str
    priority: int
    roles: list[PastRole]
    submitted_at: datetime
    started_at: datetime | None
    ended_at: datetime | None
    state: WorkloadState
    time_limit_s: float
    preemptible: bool
    resizable: bool
    template: str
    runs: list[PastRun]
