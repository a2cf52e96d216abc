"""Queues, limits, reservations and usage as the planner takes them, from their rows."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from datetime import datetime

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession

from madang.core.reasons import ReasonCode
from madang.core.resources import Resources
from madang.core.states import TaskState, WorkloadKind
from madang.scheduling import Amounts, Limit, Queue
from madang.server.workloads.spec import WorkloadSpec
from madang.server.workloads.tables import (
    EventRow,
    LimitRow,
    QueueRow,
    TaskRow,
    UsageRow,
    WorkloadRow,
)

_RECENT = 2_000
"""Workloads whose requests tell what is usually asked for."""

_RECENT_EVENTS = 200_000
"""Events among which moves of the last hour are looked for."""


async def read_queues(session: AsyncSession) -> dict[str, Queue]:
    """By id."""
    rows = await session.scalars(
        select(QueueRow).where(QueueRow.deleted_at.is_(None)).order_by(QueueRow.id)
    )
    return {row.id: _queue(row) for row in rows}


async def read_limits(session: AsyncSession) -> dict[str, Limit]:
    """By subject."""
    rows = await session.scalars(select(LimitRow).order_by(LimitRow.subject))
    return {
        row.subject: Limit(row.subject, row.running, row.pending, _amounts(row.amounts))
        for row in rows
    }


async def read_usage(session: AsyncSession) -> tuple[tuple[str, float, float], ...]:
    """(Queue or user, decayed GPU seconds, as of when)."""
    rows = await session.scalars(
        select(UsageRow).where(UsageRow.holder != "").order_by(UsageRow.holder)
    )
    return tuple((row.holder, row.gpu_s, row.as_of.timestamp()) for row in rows)


async def read_mix(session: AsyncSession) -> tuple[tuple[Resources, float], ...]:
    """What was asked for lately, and how often: what placement takes to come next."""
    specs = await session.scalars(
        select(WorkloadRow.spec).order_by(WorkloadRow.id.desc()).limit(_RECENT)
    )
    counts: Counter[Resources] = Counter()
    for spec in specs:
        for role in WorkloadSpec.from_json(spec).roles:
            counts[role.resources] += max(1, role.replicas_min)
    return tuple((need, float(count)) for need, count in counts.items())


async def read_moves(session: AsyncSession, since: datetime) -> tuple[tuple[str, float], ...]:
    """Which requests were moved to make room for others since then, and when."""
    newest = await session.scalar(select(func.max(EventRow.id))) or 0
    rows = await session.execute(
        select(EventRow.at, EventRow.reason, WorkloadRow.kind, TaskRow)
        .join(TaskRow, TaskRow.id == EventRow.subject)
        .join(WorkloadRow, WorkloadRow.id == TaskRow.workload_id)
        .where(
            EventRow.id > newest - _RECENT_EVENTS,
            EventRow.at > since,
            EventRow.new == TaskState.STOPPING,
        )
        .order_by(EventRow.id)
    )
    return tuple(
        (
            replica_request_id(task) if kind == WorkloadKind.SERVICE else task.workload_id,
            at.timestamp(),
        )
        for at, reason, kind, task in rows
        if reason is not None and reason["code"] == ReasonCode.MADE_WAY
    )


def replica_request_id(task: TaskRow) -> str:
    return f"{task.workload_id}:{task.role}:{task.replica}"


def _queue(row: QueueRow) -> Queue:
    return Queue(
        id=row.id,
        name=row.name,
        parent=row.parent_id or "",
        weight=row.weight,
        guarantee=_amounts(row.guarantee),
        limit=_bound(row.limit),
        borrowing_limit=_bound(row.borrowing_limit),
        lending_limit=_bound(row.lending_limit),
        reclaimable=row.reclaimable,
        ordering=row.ordering,
        min_runtime_s=row.min_runtime_s,
        open=row.is_open,
    )


def _bound(amounts: Mapping[str, int]) -> Amounts | None:
    return _amounts(amounts) if amounts else None


def _amounts(amounts: Mapping[str, int]) -> Amounts:
    return tuple(sorted(amounts.items()))
