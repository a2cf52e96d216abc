# Generated from ../_async by scripts/generate_sync_client: change it there.
"""Queues: a tree that shares the cluster; jobs wait in its leaves."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict
from typing import Any
from urllib.parse import quote

from madang.client._sync._base import Resource
from madang.schemas import Page
from madang.schemas.queues import Queue, QueueChange, QueueCreate, QueueExplanation


class Queues(Resource):
    """`client.queues`: by id, or by name in a project or of the platform."""

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
        return self._transport.call(
            Queue, "GET", _path(queue), params={"project": project or self._project}
        )

    def create(self, name: str, *, project: str | None = None, **settings: Any) -> Queue:
        """Make a queue with what `QueueCreate` has, e.g. `create("train", parent="vision",
        weight=2, guarantee={"gpu": 8})`. Raises Conflict when the name is taken, InvalidInput
        with what would do."""
        if project is None and not settings.get("platform"):
            project = self._project
        body = asdict(QueueCreate(name, project=project, **settings))
        return self._transport.call(Queue, "POST", "queues", json=body)

    def change(self, queue: str, *, project: str | None = None, **changes: Any) -> Queue:
        """Change what `QueueChange` has, e.g. `change("train", weight=3, limit={})`."""
        body = {name: value for name, value in asdict(QueueChange(**changes)).items()
                if value is not None}  # fmt: skip
        params = {"project": project or self._project}
        return self._transport.call(Queue, "PATCH", _path(queue), params=params, json=body)

    def delete(self, queue: str, *, project: str | None = None) -> None:
        """Remove a queue. Raises Conflict while others are below it, or work is in it."""
        params = {"project": project or self._project}
        self._transport.request("DELETE", f"/api/v1/{_path(queue)}", params=params)

    def explain(
        self, queue: str, *, project: str | None = None, limit: int = 100
    ) -> QueueExplanation:
        """Why a queue has what it has, and the first of those that wait in it."""
        params = {"project": project or self._project, "limit": limit}
        return self._transport.call(
            QueueExplanation, "GET", f"{_path(queue)}/explain", params=params
        )


def _path(queue: str) -> str:
    return f"queues/{quote(queue, safe='')}"
