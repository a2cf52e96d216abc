"""Reservations as the planner knows them: which windows there are, and whether another fits."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from madang.core.resources import Resources
from madang.scheduling.model import Group, Reservation, Where
from madang.server.workloads.tables import ReservationRow, ReservationWindowRow

HORIZON = timedelta(days=14)
"""The planner is told of windows that begin within this time."""

ROLE = "reserved"


async def read_windows(
    session: AsyncSession, now: datetime, *, horizon: timedelta | None = HORIZON
) -> list[Reservation]:
    """Windows that are not over, given back or cancelled, as they begin."""
    query = (
        select(ReservationRow, ReservationWindowRow)
        .join(ReservationWindowRow, ReservationWindowRow.reservation_id == ReservationRow.id)
        .where(ReservationWindowRow.end > now, ReservationWindowRow.returned_at.is_(None))
        .order_by(ReservationWindowRow.start, ReservationRow.id)
    )
    if horizon is not None:
        query = query.where(ReservationWindowRow.start < now + horizon)
    rows = await session.execute(query)
    return [window_value(row, window.start, window.end) for row, window in rows]


def window_value(row: ReservationRow, start: datetime, end: datetime) -> Reservation:
    """One window as the planner takes it. Requests name the reservation's id; a window's begins
    with it."""
    return Reservation(
        id=row.id,
        project=row.project_id,
        groups=(
            Group(
                ROLE,
                row.replicas,
                row.replicas,
                Resources.parse(row.resources),
                where=Where(pool=row.pool),
            ),
        ),
        start=start.timestamp(),
        end=end.timestamp(),
    )


async def check_room(
    session: AsyncSession,
    row: ReservationRow,
    windows: Sequence[tuple[datetime, datetime]],
    now: datetime,
) -> None:
    """Raises Conflict, with the nearest windows that fit, when it does not fit beside those that
    are reserved already."""
