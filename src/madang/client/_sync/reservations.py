# Generated from ../_async by scripts/generate_sync_client: change it there.
"""Reservations: resources held for a project in a window of time."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from typing import Any
from urllib.parse import quote

from madang.client._sync._base import Resource
from madang.schemas import Page
from madang.schemas.reservations import Reservation


class Reservations(Resource):
    """`client.reservations`: by id, or by name in a project."""

    def list(
        self,
        *,
        project: str | None = None,
        since: datetime | None = None,
        until: datetime | None = None,
        limit: int = 50,
        cursor: str | None = None,
    ) -> Page[Reservation]:
        """One page of the reservations that you see, newest first; with `since` or `until` those
        with a window in that time."""
        params = {
            "project": project or self._project,
            "since": since.isoformat() if since else None,
            "until": until.isoformat() if until else None,
            "limit": limit,
            "cursor": cursor,
        }
        return self._transport.call(Page[Reservation], "GET", "reservations", params=params)

    def iterate(self, **filters: Any) -> Iterator[Reservation]:
        """All that `list` would show with these filters, fetched page by page."""
        cursor = None
        while True:
            page = self.list(**filters, limit=200, cursor=cursor)
            for reservation in page.items:
                yield reservation
            if (cursor := page.next_cursor) is None:
                return

    def get(self, reservation: str, *, project: str | None = None) -> Reservation:
        """One reservation with its windows. Raises NotFound."""
        return self._transport.call(
            Reservation,
            "GET",
            _path(reservation),
            params={"project": project or self._project},
        )

    def create(
        self, name: str, start: datetime, *, project: str | None = None, **settings: Any
    ) -> Reservation:
        """Reserve what `ReservationCreate` has, e.g. `create("demo", start, duration_s=7200,
        resources={"gpu": 8})`; `start` needs a time zone.

        Raises Conflict when it does not fit, with the nearest windows that do in the error's
        `details["nearest"]`.
        """
        body: dict[str, Any] = {
            "name": name,
            "start": start.isoformat(),
            "project": project or self._project,
            **{key: _plain(value) for key, value in settings.items()},
        }
        return self._transport.call(Reservation, "POST", "reservations", json=body)

    def cancel(self, reservation: str, *, project: str | None = None) -> None:
        """Give back what it holds, now and later; what runs in it goes on."""
        self._transport.request(
            "DELETE",
            f"/api/v1/{_path(reservation)}",
            params={"project": project or self._project},
        )


def _plain(value: Any) -> Any:
    return value.isoformat() if isinstance(value, datetime) else value


def _path(reservation: str) -> str:
    return f"reservations/{quote(reservation, safe='')}"
