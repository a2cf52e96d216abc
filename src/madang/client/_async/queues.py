"""Queues: what a project's jobs wait in."""

from __future__ import annotations

from collections.abc import AsyncIterator
from urllib.parse import quote

from madang.client._async._base import AsyncResource
from madang.schemas import Page
from madang.schemas.queues import Queue


class AsyncQueues(AsyncResource):
    """`client.queues`: by id, or by name in a project."""

    async def list(
        self, *, project: str | None = None, limit: int = 50, cursor: str | None = None
    ) -> Page[Queue]:
        """One page of the queues that you see, newest first."""
        params = {"project": project or self._project, "limit": limit, "cursor": cursor}
        return await self._transport.call(Page[Queue], "GET", "queues", params=params)

    async def iterate(self, *, project: str | None = None) -> AsyncIterator[Queue]:
        """All queues that you see, fetched page by page."""
        cursor = None
        while True:
            page = await self.list(project=project, limit=200, cursor=cursor)
            for queue in page.items:
                yield queue
            if (cursor := page.next_cursor) is None:
                return

    async def get(self, queue: str, *, project: str | None = None) -> Queue:
        """One queue. Raises NotFound."""
        path = f"queues/{quote(queue, safe='')}"
        params = {"project": project or self._project}
        return await self._transport.call(Queue, "GET", path, params=params)

    async def create(
        self, name: str, *, project: str | None = None, description: str = ""
    ) -> Queue:
        """Make a queue (administrators). Raises Conflict when the name is taken."""
        body = {"name": name, "project": project or self._project, "description": description}
        return await self._transport.call(Queue, "POST", "queues", json=body)
