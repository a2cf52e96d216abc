"""Reservations as the planner knows them: which windows there are, and whether another fits."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from madang.core.amounts import format_amount
from madang.core.errors import Conflict, InvalidInput
from madang.core.resources import Resources
from madang.scheduling.model import Group, Reservation, Where
from madang.scheduling.placement import Cluster
from madang.scheduling.reservations import Calendar, Series, windows
from madang.server.workloads.node_rows import read_nodes
from madang.server.workloads.tables import LimitRow, ReservationRow, ReservationWindowRow

HORIZON = timedelta(days=28)
"""The planner is told of windows that begin within this time."""

ROLE = "reserved"


async def read_windows(
    session: AsyncSession, now: datetime, *, horizon: timedelta = HORIZON
) -> list[Reservation]:
    """Windows that are not over, given back or cancelled, in the order they were booked in."""
    end = (now + horizon).timestamp()
    return [
        window
        for series in await read_series(session, now)
        for window in windows(series, now.timestamp(), end)
        if not window.returned
    ]


async def read_series(session: AsyncSession, now: datetime) -> list[Series]:
    """What is booked and not over yet."""
    rows = await session.scalars(
        select(ReservationRow)
        .where(
            ReservationRow.id.in_(
                select(ReservationWindowRow.reservation_id).where(
                    ReservationWindowRow.end > now, ReservationWindowRow.returned_at.is_(None)
                )
            )
        )
        .order_by(ReservationRow.id)
    )
    found = list(rows)
    returned: dict[str, set[float]] = defaultdict(set)
    for window in await session.scalars(
        select(ReservationWindowRow).where(
            ReservationWindowRow.reservation_id.in_([row.id for row in found]),
            ReservationWindowRow.returned_at.is_not(None),
        )
    ):
        returned[window.reservation_id].add(window.start.timestamp())
    return [series_of(row, frozenset(returned[row.id])) for row in found]


def series_of(row: ReservationRow, returned: frozenset[float] = frozenset()) -> Series:
    """A reservation as the calendar takes it; requests name the series' id."""
    need = Resources.parse(row.resources)
    group = Group(ROLE, row.replicas, row.replicas, need, where=Where(pool=row.pool))
    return Series(
        id=row.id,
        project=row.project_id,
        groups=(group,),
        start=row.start.timestamp(),
        end=row.end.timestamp(),
        recurrence=row.recurrence,
        until=row.until.timestamp() if row.until else None,
        timezone=row.timezone,
        return_after_s=row.return_after_s,
        returned=returned,
    )


async def check_room(session: AsyncSession, row: ReservationRow, now: datetime) -> None:
    """Raises Conflict, with the nearest windows that fit, when it does not fit on all nodes
    beside what is reserved already; InvalidInput when it is above its project's limit."""
    await _check_limit(session, row)
    nodes = await read_nodes(session)
    if not nodes:
        return
    cluster = Cluster()
    for node in nodes:
        cluster.set_node(replace(node, open=True))
    horizon = max((row.until or row.end) - now, timedelta(0)) + HORIZON
    booked = await read_windows(session, now, horizon=horizon)
    calendar = Calendar(cluster, booked, now.timestamp())
    series = series_of(row)
    conflict = calendar.conflict(series)
    if conflict is None:
        return
    nearest = [found for found in calendar.nearest(series) if found is not None]
    raise Conflict(
        f"this does not fit from {_shown(conflict.start)} to {_shown(conflict.end)}"
        + (f" beside {_counted(len(conflict.others))}" if conflict.others else ""),
        field="start",
        hint=_hint(nearest, bool(conflict.others)),
        details={
            "nearest": [
                {"start": _moment(found.start).isoformat(), "end": _moment(found.end).isoformat()}
                for found in nearest
            ]
        },
    )


async def _check_limit(session: AsyncSession, row: ReservationRow) -> None:
    limit = await session.get(LimitRow, f"project:{row.project_id}")
    if limit is None:
        limit = await session.get(LimitRow, "project:*")
    need = Resources.parse(row.resources)
    asked: Mapping[str, int] = {
        "cpu": need.cpu_milli * row.replicas,
        "memory": need.memory_bytes * row.replicas,
        need.device_kind: need.device_milli * row.replicas,
    }
    for name, most in limit.amounts.items() if limit else ():
        if asked.get(name, 0) > most:
            raise InvalidInput(
                f"{name}={format_amount(name, asked[name])} is more than the project may have",
                field="resources",
                hint=f"Its limit is {name}={format_amount(name, most)} at once.",
            )


def _counted(others: int) -> str:
    return "another reservation" if others == 1 else f"{others} other reservations"


def _hint(nearest: Sequence[Series], busy: bool) -> str:
    if nearest:
        shown = " or ".join(f"{_shown(one.start)} to {_shown(one.end)}" for one in nearest)
        return f"It fits from {shown}."
    if busy:
        return "No time near to it fits; reserve less, or for a shorter time."
    return "All nodes together could not hold it; reserve less."


def _moment(seconds: float) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)


def _shown(seconds: float) -> str:
    return f"{_moment(seconds):%Y-%m-%d %H:%M} UTC"
