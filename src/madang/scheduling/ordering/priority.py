"""Higher priority first."""

from __future__ import annotations

from madang.scheduling.model import Request, Running
from madang.scheduling.ordering.base import ALWAYS, NEVER, Key, Shares, Staying


class PriorityOrder(Staying):
    """Higher priority first, then first come, first served."""

    preempts = True

    def subject(self, request: Request) -> str:
        return ""

    def key(self, request: Request) -> Key:
        return (-request.priority, request.order, request.id)

    def rank(self, subject: str, shares: Shares) -> float:
        return 0.0

    def stops_from(self, request: Request, run: Running) -> float:
        return ALWAYS if run.request.priority < request.priority else NEVER
