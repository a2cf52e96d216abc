# Generated from ../_async by scripts/generate_sync_client: change it there.
"""Events: what happened, and what happens."""

from __future__ import annotations

import json
from collections.abc import Iterator

from madang.client._sync._base import Resource
from madang.client._convert import from_json
from madang.schemas import Page
from madang.schemas.events import Event


class Events(Resource):
    """`client.events`: the history of all that you see."""

    def list(
        self,
        *,
        project: str | None = None,
        workload: str | None = None,
        subject: str | None = None,
        limit: int = 50,
        cursor: str | None = None,
    ) -> Page[Event]:
        """One page of events, newest first; `workload` and `subject` are ids."""
        params = {
            "project": project or self._project,
            "workload": workload,
            "subject": subject,
            "limit": limit,
            "cursor": cursor,
        }
        return self._transport.call(Page[Event], "GET", "events", params=params)

    def stream(
        self,
        *,
        project: str | None = None,
        workload: str | None = None,
        after: int | None = None,
    ) -> Iterator[Event]:
        """Events as they happen; those after number `after` first. Ends with the connection:
        raises ConnectionFailed."""
        params = {"project": project or self._project, "workload": workload, "after": after}
        with self._transport.stream(
            "GET", "/api/v1/events/stream", params=params
        ) as response:
            for line in response.iter_lines():
                if line.startswith("data: "):
                    yield from_json(Event, json.loads(line[6:]))
