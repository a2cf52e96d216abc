# Generated from ../_async by scripts/generate_sync_client: change it there.
"""Queues: what a project's jobs wait in."""

from __future__ import annotations

from collections.abc import Iterator
from urllib.parse import quote

from madang.client._sync._base import Resource
from madang.schemas import Page
from madang.schemas.queues import Queue


class Queues(Resource):
    """`client.queues`: by id, or by name in a project."""

    def list(
        self, *, project: str | None = None, limit: int = 50, cursor: str | None = None
    ) -> Page[Queue]:
        """One page of the queues that you see, newest first."""
        params = {"project": project or self._project, "limit": limit, "cursor": cursor}
        return self._transport.call(Page[Queue], "GET", "queues", params=params)

    def iterate(self, *, project: str | None = None) -> Iterator[Queue]:
        """All queues that you see, fetched page by page."""
        cursor = None
        while True:
            page = self.list(project=project, limit=200, cursor=cursor)
            for queue in page.items:
                yield queue
            if (cursor := page.next_cursor) is None:
                return

    def get(self, queue: str, *, project: str | None = None) -> Queue:
        """One queue. Raises NotFound."""
        path = f"queues/{quote(queue, safe='')}"
        params = {"project": project or self._project}
        return self._transport.call(Queue, "GET", path, params=params)

    def create(
        self, name: str, *, project: str | None = None, description: str = ""
    ) -> Queue:
        """Make a queue (administrators). Raises Conflict when the name is taken."""
        body = {"name": name, "project": project or self._project, "description": description}
        return self._transport.call(Queue, "POST", "queues", json=body)
