"""Shortest expected remaining time first."""

from __future__ import annotations

from madang.scheduling.model import Request, Work
from madang.scheduling.ordering.base import Key, Shares, Staying
from madang.scheduling.timeshare import shortest
from madang.scheduling.timeshare.jobs import Job


class ShortestOrder(Staying):
    """As `timeshare.shortest` ranks those who wait; who runs is decided in rounds."""

    def subject(self, request: Request) -> str:
        return ""

    def key(self, request: Request) -> Key:
        gpus = sum(g.replicas_min * g.resources.device_milli for g in request.groups) // 1000
        size = max(1, gpus)
        job = Job(request.id, (float(request.order),), size, size, request.work or Work())
        return (-request.priority, shortest.ranking(job, 0.0)[0], request.id)

    def rank(self, subject: str, shares: Shares) -> float:
        return 0.0
