# Generated from ../_async by scripts/generate_sync_client: change it there.
"""The scheduler: its policy, and what was."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict
from datetime import datetime
from typing import Any

from madang.client._sync._base import Resource
from madang.schemas import Page
from madang.schemas.scheduling import (
    PastWork,
    PolicySet,
    SchedulingHistory,
    SchedulingPolicy,
)


class Scheduling(Resource):
    """`client.scheduling`: how it decides, and its history."""

    def policy(self) -> SchedulingPolicy:
        """How the scheduler decides."""
        return self._transport.call(SchedulingPolicy, "GET", "scheduling/policy")

    def set_policy(self, **settings: Any) -> SchedulingPolicy:
        """Decide by this from now on (administrators); what is left out of `PolicySet` is as in
        a new installation."""
        body = asdict(PolicySet(**settings))
        return self._transport.call(SchedulingPolicy, "PUT", "scheduling/policy", json=body)

    def history(
        self,
        *,
        since: datetime | None = None,
        until: datetime | None = None,
        step_s: float | None = None,
    ) -> SchedulingHistory:
        """What was held and who waited over time; the last day without `since`."""
        params = {
            "since": since.isoformat() if since else None,
            "until": until.isoformat() if until else None,
            "step": step_s,
        }
        return self._transport.call(
            SchedulingHistory, "GET", "scheduling/history", params=params
        )

    def past_work(
        self,
        *,
        since: datetime | None = None,
        until: datetime | None = None,
        limit: int = 200,
        cursor: str | None = None,
    ) -> Page[PastWork]:
        """One page of what was asked for, and when it ran where, oldest first."""
        params = {
            "since": since.isoformat() if since else None,
            "until": until.isoformat() if until else None,
            "limit": limit,
            "cursor": cursor,
        }
        return self._transport.call(Page[PastWork], "GET", "history", params=params)

    def iterate_past_work(self, **filters: Any) -> Iterator[PastWork]:
        """All that `past_work` would show with these filters, fetched page by page."""
        cursor = None
        while True:
            page = self.past_work(**filters, limit=1000, cursor=cursor)
            for work in page.items:
                yield work
            if (cursor := page.next_cursor) is None:
                return
