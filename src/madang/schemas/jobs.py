"""Jobs, their tasks, logs and numbers."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import Annotated, Any, Literal

from annotated_types import Ge, Le, MaxLen, MinLen

from madang.core.states import TaskState, WorkloadKind, WorkloadState
from madang.schemas import FORBID_EXTRA

ResourceRequest = dict[str, str | int | float | dict[str, int]]
"""`{"cpu": 2, "memory": "4GiB", "gpu": 0.5}`: the keys of `core.resources.KEYS`; beside
`counted` an object: `{"matlab": 2}`."""

Breadth = Literal["", "node", "rack"]
"""What replicas are kept together on, or apart on; empty: no matter."""


@dataclass(frozen=True, slots=True)
class Why:
    """Why something waits or has ended: a code from a closed list, its facts, a sentence."""

    code: str
    message: str
    facts: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class JobMount:
    """A folder inside the job; without a `target` at `/mnt/<folder>`."""

    __pydantic_config__ = FORBID_EXTRA

    folder: Annotated[str, MaxLen(200)]
    target: Annotated[str, MaxLen(1000)] | None = None
    read_only: bool = False


@dataclass(frozen=True, slots=True)
class JobRole:
    """Further processes of a job, with a command and resources of their own, that start together
    with all others or not at all."""

    __pydantic_config__ = FORBID_EXTRA

    name: Annotated[str, MaxLen(63)]
    command: Annotated[list[str], MinLen(1), MaxLen(10_000)]
    resources: ResourceRequest = field(default_factory=dict)
    replicas: Annotated[int, Ge(1), Le(10_000)] = 1
    replicas_max: Annotated[int, Ge(1), Le(10_000)] | None = None
    pool: Annotated[str, MaxLen(63)] = ""
    node_labels: Annotated[dict[str, str], MaxLen(100)] = field(default_factory=dict)
    together: Breadth = ""
    apart: Breadth = ""


@dataclass(frozen=True, slots=True)
class JobCreate:
    """What to run.

    `command`: words, not a shell line. `replicas`..`replicas_max`: equal processes that start all
    at once, as many as fit. `environment`: `NAME[@VERSION]`; empty: the machine's own Python.
    `datasets`: `NAME[@VERSION][:VIEW]`. `code`: digest of an uploaded bundle (`POST /code`),
    mounted at /code. `retry_exit_codes`: ranges worth a retry. `time_limit_s`: of an attempt.

    `priority`: a number, or `low`, `normal`, `high`, `urgent`. `pool`, `node_labels`: only on
    such nodes. `together`: all on one `node` or in one `rack`; `apart`: each on its own one.
    `expected_s`: how long it will run, 0: not known. `preemptible`: may be stopped for others
    and started again later; jobs are unless told otherwise. `resizable`: replicas come and go
    between `replicas` and `replicas_max` while it runs. `reservation`: name or id.
    `wait_for_nodes`: take it even if no node could ever hold it.

    `command` to `apart` are of its role `worker`; `roles` are further ones, which have the ranks
    behind it.
    """

    __pydantic_config__ = FORBID_EXTRA

    command: Annotated[list[str], MinLen(1), MaxLen(10_000)]
    name: str = ""
    project: str | None = None
    queue: str = ""
    priority: int | Annotated[str, MaxLen(20)] = 0
    resources: ResourceRequest = field(default_factory=dict)
    replicas: Annotated[int, Ge(1), Le(10_000)] = 1
    replicas_max: Annotated[int, Ge(1), Le(10_000)] | None = None
    resizable: bool = False
    pool: Annotated[str, MaxLen(63)] = ""
    node_labels: Annotated[dict[str, str], MaxLen(100)] = field(default_factory=dict)
    together: Breadth = ""
    apart: Breadth = ""
    roles: Annotated[list[JobRole], MaxLen(20)] = field(default_factory=list)
    environment: str = ""
    mounts: Annotated[list[JobMount], MaxLen(100)] = field(default_factory=list)
    datasets: Annotated[list[str], MaxLen(100)] = field(default_factory=list)
    environment_variables: dict[str, str] = field(default_factory=dict)
    code: str = ""
    working_directory: str = ""
    retries: Annotated[int, Ge(0), Le(1000)] = 0
    retry_backoff_s: Annotated[float, Ge(0), Le(86_400)] = 5.0
    retry_exit_codes: list[tuple[int, int]] = field(default_factory=lambda: [(128, 255)])
    time_limit_s: Annotated[float, Ge(0), Le(10**8)] = 0.0
    expected_s: Annotated[float, Ge(0), Le(10**8)] = 0.0
    grace_s: Annotated[float, Ge(0), Le(3600)] | None = None
    on_node_lost: Literal["restart", "keep"] = "keep"
    labels: dict[str, str] = field(default_factory=dict)
    preemptible: bool | None = None
    reservation: Annotated[str, MaxLen(100)] = ""
    wait_for_nodes: bool = False


@dataclass(frozen=True, slots=True)
class Job:
    """A job as lists show it. `reason` says why it waits or how it ended."""

    id: str
    kind: WorkloadKind
    name: str
    project: str
    user: str
    queue: str
    state: WorkloadState
    reason: Why | None
    attempt: int
    priority: int
    replicas: int
    replicas_max: int
    resources: ResourceRequest
    command: list[str]
    environment: str
    created_at: datetime
    started_at: datetime | None
    ended_at: datetime | None
    exit_code: int | None
    labels: dict[str, str]
    parent_id: str | None = None
    expected_start: datetime | None = None
    """When it is expected to start, while it waits and that is known."""


@dataclass(frozen=True, slots=True)
class Device:
    """A share of a device that a task holds."""

    index: int
    kind: str
    share: float
    memory_bytes: int
    simulated: bool


@dataclass(frozen=True, slots=True)
class Task:
    """A replica in one attempt. `isolation` says what it really got from its node."""

    id: str
    attempt: int
    role: str
    replica: int
    rank: int
    state: TaskState
    reason: Why | None
    node: str
    devices: list[Device]
    exit_code: int | None
    started_at: datetime | None
    ready_at: datetime | None
    ended_at: datetime | None
    isolation: dict[str, str]
    peak_memory_bytes: int
    cpu_s: float


@dataclass(frozen=True, slots=True)
class JobInput:
    """Lineage: something the job was given. `kind`: dataset_version, folder, code, environment."""

    kind: str
    id: str
    ref: str


@dataclass(frozen=True, slots=True)
class JobDetail:
    """A job with its tasks (newest attempt first), what it was given and how it was asked for:
    `request` is what `POST /jobs` takes."""

    job: Job
    tasks: list[Task]
    inputs: list[JobInput]
    request: JobCreate


@dataclass(frozen=True, slots=True)
class CodeBundle:
    """Code that was uploaded, named by its content."""

    digest: str
    size_bytes: int


@dataclass(frozen=True, slots=True)
class MetricPoint:
    step: int
    value: float
    at: datetime


@dataclass(frozen=True, slots=True)
class MetricSeries:
    """One number over time, as a task of `rank` reported it; thinned to at most the points asked
    for, the last one always among them."""

    key: str
    rank: int
    attempt: int
    points: list[MetricPoint]


@dataclass(frozen=True, slots=True)
class JobLog:
    """A part of a task's log. `next_offset` (bytes) is where to go on; `ended`: it stops there."""

    task_id: str
    rank: int
    attempt: int
    offset: int
    next_offset: int
    text: str
    ended: bool


@dataclass(frozen=True, slots=True)
class LogText:
    """In a live log: what the task of `rank` wrote next."""

    task_id: str
    rank: int
    attempt: int
    offset: int
    next_offset: int
    text: str


@dataclass(frozen=True, slots=True)
class StateChange:
    """In a live log: the job's state, why, and its exit code once it has one."""

    state: WorkloadState
    reason: Why | None
    exit_code: int | None
    attempt: int
