"""Why a job waits, and what can be changed about it while it does."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Annotated

from annotated_types import MaxLen

from madang.core.states import WorkloadState
from madang.schemas import FORBID_EXTRA
from madang.schemas.jobs import Why


@dataclass(frozen=True, slots=True)
class NodeGroup:
    """Nodes that are alike, and what the replicas of a role find on them: how many would fit now
    (`room`) and if nothing else ran (`room_empty`); `free` is of all of them together; `short_of`
    says in words what is missing."""

    role: str
    nodes: list[str]
    count: int
    shape: str
    pool: str
    labels: dict[str, str]
    free: str
    room: int
    room_empty: int
    short_of: str


@dataclass(frozen=True, slots=True)
class JobWhy:
    """Why a job waits, with the arithmetic: `sentence` for people; `position` in its queue (1: the
    first), `queued` how many wait there; `needs` in words; `groups` of nodes; `lines` on the
    queues and limits that it counts for. A job that does not wait has its state's reason as the
    sentence and nothing else."""

    id: str
    name: str
    state: WorkloadState
    queue: str
    reason: Why | None
    sentence: str
    expected_start: datetime | None
    position: int | None
    queued: int
    needs: str
    groups: list[NodeGroup]
    lines: list[str]


@dataclass(frozen=True, slots=True)
class JobMove:
    """Into another queue: a name in the job's project or of the platform, or an id."""

    __pydantic_config__ = FORBID_EXTRA

    queue: Annotated[str, MaxLen(200)]


@dataclass(frozen=True, slots=True)
class JobPriority:
    __pydantic_config__ = FORBID_EXTRA

    priority: int | Annotated[str, MaxLen(20)]


@dataclass(frozen=True, slots=True)
class JobPreview:
    """What would become of a job if it were submitted now: it starts at once, or waits, why and
    until when (None: not known)."""

    starts_now: bool
    expected_start: datetime | None
    reason: Why | None
