"""Queues."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Annotated

from annotated_types import MaxLen

from madang.schemas import FORBID_EXTRA


@dataclass(frozen=True, slots=True)
class Queue:
    """What a project's workloads wait in, with how many wait and run now."""

    id: str
    name: str
    project: str
    description: str
    waiting: int
    running: int
    created_at: datetime


@dataclass(frozen=True, slots=True)
class QueueCreate:
    __pydantic_config__ = FORBID_EXTRA

    name: str
    project: str | None = None
    description: Annotated[str, MaxLen(2000)] = ""
