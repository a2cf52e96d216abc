"""Users share a queue over time."""

from __future__ import annotations

from madang.scheduling.model import Request
from madang.scheduling.ordering.base import Shares
from madang.scheduling.ordering.priority import PriorityOrder


class UsageOrder(PriorityOrder):
    """The user who has had least lately goes first: accelerator seconds, halved each half-life, so
    that who waited long is ahead of who used much. Priority orders what one user has waiting."""

    drifts = True

    def subject(self, request: Request) -> str:
        return request.user

    def rank(self, subject: str, shares: Shares) -> float:
        return shares.used_by(subject)
