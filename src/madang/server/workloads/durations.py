"""How long jobs run, learned from those that have ended well."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import select

from madang.core.states import WorkloadKind, WorkloadState
from madang.scheduling.durations import Durations
from madang.server.context import ServerContext
from madang.server.workloads.requests import template_of
from madang.server.workloads.spec import WorkloadSpec
from madang.server.workloads.tables import TaskRow, TemplateDurationRow, WorkloadRow

_PART = "workloads.durations"
_AT_ONCE = 500


async def load_durations(context: ServerContext) -> Durations:
    """What was learned before; kept in this process from then on."""
    async with context.db.read() as session:
        rows = await session.scalars(select(TemplateDurationRow))
        durations = Durations.from_rows(
            ((row.template, row.user_id, row.project_id), row.weights) for row in rows
        )
    context.parts[_PART] = durations
    return durations


def expected_s(
    context: ServerContext, spec: WorkloadSpec, user_id: str, project_id: str
) -> float | None:
    """What its owner says, or what others like it took; None when nothing is known."""
    if spec.expected_s or spec.kind is not WorkloadKind.JOB:
        return spec.expected_s or None
    durations: Durations | None = context.parts.get(_PART)
    if durations is None:
        return None
    return durations.expected(template=template_of(spec), user=user_id, project=project_id)


async def learn(
    context: ServerContext, durations: Durations, since: datetime, until: datetime
) -> None:
    """Take in the jobs that ended well in this time, and write down what is known now."""
    async with context.db.read() as session:
        rows = list(
            await session.scalars(
                select(WorkloadRow)
                .where(
                    WorkloadRow.kind == WorkloadKind.JOB,
                    WorkloadRow.state == WorkloadState.SUCCEEDED,
                    WorkloadRow.ended_at > since,
                    WorkloadRow.ended_at <= until,
                )
                .order_by(WorkloadRow.ended_at)
                .limit(_AT_ONCE)
            )
        )
        starts = await session.execute(
            select(TaskRow.workload_id, TaskRow.attempt, TaskRow.created_at).where(
                TaskRow.workload_id.in_([row.id for row in rows])
            )
        )
        begun = {(workload_id, attempt): at for workload_id, attempt, at in starts}
    for row in rows:
        start = begun.get((row.id, row.attempt))
        if start is None or row.ended_at is None:
            continue
        durations.ended(
            (row.ended_at - start).total_seconds(),
            template=template_of(WorkloadSpec.from_json(row.spec)),
            user=row.user_id,
            project=row.project_id,
        )
    if rows:
        await _write(context, durations)


async def _write(context: ServerContext, durations: Durations) -> None:
    async with context.db.transaction() as session:
        for (template, user_id, project_id), weights in durations.to_rows():
            await session.merge(
                TemplateDurationRow(
                    template=template, user_id=user_id, project_id=project_id, weights=weights
                )
            )
