"""Higher priority first."""

from __future__ import annotations

from madang.scheduling.model import Request
from madang.scheduling.ordering.base import Key, Shares


class PriorityOrder:
    """Higher priority first, then first come, first served."""

    preempts = True
    drifts = False

    def subject(self, request: Request) -> str:
        return ""

    def key(self, request: Request) -> Key:
        return (-request.priority, request.order, request.id)

    def rank(self, subject: str, shares: Shares) -> float:
        return 0.0
