"""Queues: a tree that shares the cluster; work waits in its leaves."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import Annotated

from annotated_types import Ge, Gt, Le, MaxLen

from madang.schemas import FORBID_EXTRA
from madang.schemas.jobs import Why

Amounts = dict[str, str | int | float]
"""`{"gpu": 4, "gpu/H100": 2, "cpu": 64, "memory": "512GiB"}`: how much of what, all together; the
same in requests and answers. In a bound, what is not named is not bounded."""


@dataclass(frozen=True, slots=True)
class Queue:
    """A node of the tree, with its share and what it has now.

    `project` is None for the platform's own queues; `parent` is the id of the queue above. `path`
    is the names from the root on. `weight`: its part among its siblings of what is contended.
    `guarantee`: kept for it; others have it while it does not want it. `limit`: never more.
    `borrowing_limit`: never more than this above the guarantee; `lending_limit`: at most this
    much of the guarantee is lent; an empty bound is none. `reclaimable`: what it has above its
    guarantee may be taken back by others for theirs. `used`, `waiting` and `running` include the
    queues below. `borrowed` is what it has above its guarantee. `share` is the largest part that
    it has of anything in the cluster, `fair_share` the part that is its own by weight while all
    siblings want more (0 to 1). `leaf`: work can wait in it. `can_write`: you may change it.
    """

    id: str
    name: str
    path: str
    parent: str | None
    project: str | None
    description: str
    weight: float
    guarantee: Amounts
    limit: Amounts
    borrowing_limit: Amounts
    lending_limit: Amounts
    reclaimable: bool
    ordering: str
    min_runtime_s: float
    open: bool
    leaf: bool
    can_write: bool
    used: Amounts
    borrowed: Amounts
    share: float
    fair_share: float
    waiting: int
    running: int
    created_at: datetime


Weight = Annotated[float, Gt(0), Le(1_000_000)]
Seconds = Annotated[float, Ge(0), Le(10**8)]


@dataclass(frozen=True, slots=True)
class QueueCreate:
    """A queue of a project, or with `platform` one of the platform itself. `parent`: a name or id
    of a queue of the platform or of the same project; empty: at the root."""

    __pydantic_config__ = FORBID_EXTRA

    name: str
    project: str | None = None
    platform: bool = False
    parent: str = ""
    description: Annotated[str, MaxLen(2000)] = ""
    weight: Weight = 1.0
    guarantee: Amounts = field(default_factory=dict)
    limit: Amounts = field(default_factory=dict)
    borrowing_limit: Amounts = field(default_factory=dict)
    lending_limit: Amounts = field(default_factory=dict)
    reclaimable: bool = True
    ordering: str = "priority"
    min_runtime_s: Seconds = 0.0
    open: bool = True


@dataclass(frozen=True, slots=True)
class QueueChange:
    """What is to be other than it is; None leaves it. `{}` takes a bound or a guarantee away, an
    empty `parent` moves the queue to the root."""

    __pydantic_config__ = FORBID_EXTRA

    name: str | None = None
    parent: str | None = None
    description: Annotated[str, MaxLen(2000)] | None = None
    weight: Weight | None = None
    guarantee: Amounts | None = None
    limit: Amounts | None = None
    borrowing_limit: Amounts | None = None
    lending_limit: Amounts | None = None
    reclaimable: bool | None = None
    ordering: str | None = None
    min_runtime_s: Seconds | None = None
    open: bool | None = None


@dataclass(frozen=True, slots=True)
class ShareLine:
    """The arithmetic of one resource of a queue: what the cluster has of it, what the queue is
    guaranteed, entitled to by weight (`fair`) and bounded to, what it uses, has above its
    guarantee, does not use of it (`lent`), and what its bounds leave it (`available`). Numbers,
    memory in bytes; None: no bound."""

    resource: str
    cluster: float
    guarantee: float
    fair: float
    limit: float | None
    used: float
    borrowed: float
    lent: float
    available: float | None


@dataclass(frozen=True, slots=True)
class WaitingJob:
    """Who waits in a queue, first in line first. What is not yours to see has no name."""

    position: int
    job_id: str
    name: str
    project: str
    user: str
    priority: int
    submitted_at: datetime
    reason: Why | None
    expected_start: datetime | None


@dataclass(frozen=True, slots=True)
class QueueExplanation:
    """Why a queue has what it has: `sentences` in words, `shares` as arithmetic, and the first
    of those that wait."""

    queue: Queue
    sentences: list[str]
    shares: list[ShareLine]
    waiting: list[WaitingJob]
