"""Reservations: resources held for a project in a window of time."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Annotated

from annotated_types import Ge, Gt, Le, MaxLen

from madang.schemas import FORBID_EXTRA
from madang.schemas.jobs import ResourceRequest


class Recurrence(StrEnum):
    """How often a window comes again, at the same time of day in its `timezone`."""

    ONCE = "once"
    DAILY = "daily"
    WEEKDAYS = "weekdays"
    WEEKLY = "weekly"


class WindowState(StrEnum):
    PLANNED = "planned"
    ACTIVE = "active"
    ENDED = "ended"
    RETURNED = "returned"
    """Given back before its end: it was not used, or its owner cancelled it."""


@dataclass(frozen=True, slots=True)
class Window:
    """One occurrence of a reservation."""

    start: datetime
    end: datetime
    state: WindowState


@dataclass(frozen=True, slots=True)
class Reservation:
    """What is held: `replicas` times `resources`, in `pool` (empty: anywhere), in each window.
    `windows` are all of them, first to last. Jobs use it with
    `--reservation NAME`."""

    id: str
    name: str
    project: str
    user: str
    description: str
    resources: ResourceRequest
    replicas: int
    pool: str
    start: datetime
    end: datetime
    recurrence: Recurrence
    until: datetime | None
    timezone: str
    state: WindowState
    windows: list[Window]
    created_at: datetime


@dataclass(frozen=True, slots=True)
class ReservationCreate:
    """Times need an offset (`2026-11-23T09:00:00+09:00`, `…Z`). Give `end` or `duration_s`. A
    recurring one needs `until`. `return_after_s`: given back when nothing has used it for so long
    after its start; 0 keeps it."""

    __pydantic_config__ = FORBID_EXTRA

    name: str
    start: datetime
    project: str | None = None
    end: datetime | None = None
    duration_s: Annotated[float, Gt(0), Le(366 * 86_400)] | None = None
    resources: ResourceRequest = field(default_factory=dict)
    replicas: Annotated[int, Ge(1), Le(10_000)] = 1
    pool: Annotated[str, MaxLen(64)] = ""
    recurrence: Recurrence = Recurrence.ONCE
    until: datetime | None = None
    timezone: Annotated[str, MaxLen(64)] = "UTC"
    return_after_s: Annotated[float, Ge(0), Le(86_400)] = 900.0
    description: Annotated[str, MaxLen(2000)] = ""
