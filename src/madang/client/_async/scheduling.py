"""The scheduler: its policy, and what was."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import asdict
from datetime import datetime
from typing import Any

from madang.client._async._base import AsyncResource
from madang.schemas import Page
from madang.schemas.scheduling import (
    PastWork,
    PolicySet,
    SchedulingHistory,
    SchedulingPolicy,
)


class AsyncScheduling(AsyncResource):
    """`client.scheduling`: how it decides, and its history."""

    async def policy(self) -> SchedulingPolicy:
        """How the scheduler decides."""
        return await self._transport.call(SchedulingPolicy, "GET", "scheduling/policy")

    async def set_policy(self, **settings: Any) -> SchedulingPolicy:
        """Decide by this from now on (administrators); what is left out of `PolicySet` is as in
        a new installation."""
        body = asdict(PolicySet(**settings))
        return await self._transport.call(SchedulingPolicy, "PUT", "scheduling/policy", json=body)

    async def history(
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
        return await self._transport.call(
            SchedulingHistory, "GET", "scheduling/history", params=params
        )

    async def past_work(
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
        return await self._transport.call(Page[PastWork], "GET", "history", params=params)

    async def iterate_past_work(self, **filters: Any) -> AsyncIterator[PastWork]:
        """All that `past_work` would show with these filters, fetched page by page."""
        cursor = None
        while True:
            page = await self.past_work(**filters, limit=1000, cursor=cursor)
            for work in page.items:
                yield work
            if (cursor := page.next_cursor) is None:
                return
