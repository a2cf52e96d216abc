"""What scheduling needs now and then: progress and usage written down, reservations that nobody
uses given back, durations learned."""

from __future__ import annotations

import asyncio
import math
from collections import Counter
from datetime import datetime

import structlog
from sqlalchemy import ColumnElement, or_, select
from sqlalchemy.ext.asyncio import AsyncSession

from madang.core.errors import MadangError
from madang.core.resources import MILLI
from madang.scheduling.model import Reservation
from madang.scheduling.reservations import is_unused
from madang.server.context import ServerContext
from madang.server.db.engine import announce
from madang.server.workloads.durations import learn, load_durations
from madang.server.workloads.history import record_event
from madang.server.workloads.policy import read_policy
from madang.server.workloads.progress import ProgressBook
from madang.server.workloads.tables import (
    AllocationRow,
    ReservationRow,
    ReservationWindowRow,
    UsageRow,
    WorkloadRow,
)

log = structlog.get_logger()

ACTOR = "scheduler"

_PERIOD_S = 30.0

_CLOCK = ""
"""The holder whose row says up to when usage has been counted."""


async def run(context: ServerContext) -> None:
    """Do all of it every now and then, until cancelled."""
    durations = await load_durations(context)
    learned_at = context.clock.now()
    while True:
        try:
            await ProgressBook.of(context).write()
            await count_usage(context)
            await give_back_unused(context)
            now = context.clock.now()
            await learn(context, durations, learned_at, now)
            learned_at = now
        except MadangError as error:
            log.warning("upkeep of scheduling failed", error=str(error))
        await asyncio.sleep(_PERIOD_S)


async def count_usage(context: ServerContext) -> None:
    """Bring the table of usage up to now, from the ledger: each second of each accelerator counts
    once, and half as much after each half-life."""
    now = context.clock.now()
    async with context.db.transaction() as session:
        known = {row.holder: row for row in await session.scalars(select(UsageRow))}
        clock = known.pop(_CLOCK, None)
        if clock is not None and clock.as_of >= now:
            return
        since = clock.as_of if clock else None
        half_life_s = (await read_policy(session)).half_life_s
        added = await _used_since(session, since, now, half_life_s)
        if clock is not None and not added:
            return
        for holder in known.keys() | added.keys() | {_CLOCK}:
            row = known.get(holder)
            before = row.gpu_s * _decay(row.as_of, now, half_life_s) if row else 0.0
            await session.merge(
                UsageRow(holder=holder, gpu_s=before + added.get(holder, 0.0), as_of=now)
            )


async def _used_since(
    session: AsyncSession, since: datetime | None, now: datetime, half_life_s: float
) -> dict[str, float]:
    query = select(AllocationRow)
    if since is not None:
        query = query.where(or_(AllocationRow.until.is_(None), AllocationRow.until > since))
    used: Counter[str] = Counter()
    for row in await session.scalars(query):
        devices = sum(share["milli"] for share in row.devices) / MILLI
        start = max(row.since, since) if since else row.since
        end = min(row.until or now, now)
        if not devices or end <= start:
            continue
        for holder in (row.queue_id, row.user_id):
            used[holder] += devices * _decayed_s(start, end, now, half_life_s)
    return dict(used)


def _decayed_s(start: datetime, end: datetime, now: datetime, half_life_s: float) -> float:
    """The integral of 2^-((now - t) / half-life) over t from start to end."""
    rate = math.log(2.0) / half_life_s
    older, newer = ((now - moment).total_seconds() for moment in (start, end))
    return (math.exp(-rate * newer) - math.exp(-rate * older)) / rate


def _decay(then: datetime, now: datetime, half_life_s: float) -> float:
    return float(0.5 ** (max(0.0, (now - then).total_seconds()) / half_life_s))


async def give_back_unused(context: ServerContext) -> None:
    """Return the windows that nothing has used for as long as their reservation says."""
    now = context.clock.now()
    async with context.db.read() as session:
        open_now = await session.scalar(
            select(ReservationWindowRow.start).where(*_is_open(now)).limit(1)
        )
    if open_now is None:
        return
    async with context.db.transaction() as session:
        rows = await session.execute(
            select(ReservationRow, ReservationWindowRow)
            .join(ReservationWindowRow, ReservationWindowRow.reservation_id == ReservationRow.id)
            .where(*_is_open(now))
        )
        for row, window in list(rows):
            if await _in_use(session, row.id):
                window.used_at = now
            elif _unused(row, window, now):
                window.returned_at = now
                record_event(
                    session,
                    at=now,
                    subject=row.id,
                    action="returned",
                    actor=ACTOR,
                    project_id=row.project_id,
                    new=row.name,
                )
                announce(session, f"reservation:{row.id}")


def _is_open(now: datetime) -> tuple[ColumnElement[bool], ...]:
    return (
        ReservationWindowRow.start <= now,
        ReservationWindowRow.end > now,
        ReservationWindowRow.returned_at.is_(None),
    )


def _unused(row: ReservationRow, window: ReservationWindowRow, now: datetime) -> bool:
    # A window is not blamed for the time before it was reserved.
    start = max(window.start, row.created_at)
    told = Reservation(row.id, row.project_id, (), start.timestamp(), window.end.timestamp())
    used_at = window.used_at.timestamp() if window.used_at else None
    return is_unused(told, row.return_after_s, used_at, now.timestamp())


async def _in_use(session: AsyncSession, reservation_id: str) -> bool:
    found = await session.scalar(
        select(AllocationRow.id)
        .join(WorkloadRow, WorkloadRow.id == AllocationRow.workload_id)
        .where(AllocationRow.until.is_(None), WorkloadRow.reservation_id == reservation_id)
        .limit(1)
    )
    return found is not None
