"""Users share a queue."""

from __future__ import annotations

from madang.scheduling.model import Request
from madang.scheduling.ordering.base import Shares
from madang.scheduling.ordering.priority import PriorityOrder


class FairOrder(PriorityOrder):
    """The user who holds least now goes first: lowest dominant share (Ghodsi et al., "Dominant
    Resource Fairness", 2011). Priority orders what one user has waiting."""

    def subject(self, request: Request) -> str:
        return request.user

    def rank(self, subject: str, shares: Shares) -> float:
        return shares.held_by(subject)
