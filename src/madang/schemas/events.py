"""What happened."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from madang.schemas.jobs import Why


@dataclass(frozen=True, slots=True)
class Event:
    """`subject` (an id) went from `old` to `new` (action `state`), or something was done to it.
    `actor`: a user's name, or the part of the platform that did it."""

    id: int
    at: datetime
    subject: str
    action: str
    actor: str
    project: str | None
    workload_id: str | None
    old: str | None
    new: str | None
    reason: Why | None
