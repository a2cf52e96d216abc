"""First come, first served."""

from __future__ import annotations

from madang.scheduling.model import Request
from madang.scheduling.ordering.base import Key, Shares, Staying


class FifoOrder(Staying):
    """Whoever came first, whatever its priority."""

    def subject(self, request: Request) -> str:
        return ""

    def key(self, request: Request) -> Key:
        return (0, request.order, request.id)

    def rank(self, subject: str, shares: Shares) -> float:
        return 0.0
