"""Least attained service first."""

from __future__ import annotations

from bisect import bisect_right

from madang.scheduling.model import Request
from madang.scheduling.ordering.base import Key, Shares, Staying
from madang.scheduling.timeshare.attained import STEPS_GPU_S

_LATER = 1e16
"""More than any `Request.order`: those of a later step come after all of an earlier one."""


class AttainedOrder(Staying):
    """As `timeshare.attained` ranks those who wait; who runs is decided in rounds."""

    def subject(self, request: Request) -> str:
        return ""

    def key(self, request: Request) -> Key:
        attained_gpu_s = request.work.attained_gpu_s if request.work else 0.0
        step = bisect_right(STEPS_GPU_S, attained_gpu_s)
        return (-request.priority, step * _LATER + request.order, request.id)

    def rank(self, subject: str, shares: Shares) -> float:
        return 0.0
