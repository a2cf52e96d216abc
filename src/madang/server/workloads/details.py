"""One job with everything around it."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from typing import Any

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from madang.core.permissions import Permission
from madang.core.states import WorkloadState
from madang.server.cluster.tables import NodeRow
from madang.server.context import ServerContext
from madang.server.identity.principal import Principal
from madang.server.workloads import service
from madang.server.workloads.controller import explain
from madang.server.workloads.jobs import Names, names_of, project_id_of
from madang.server.workloads.spec import WorkloadSpec
from madang.server.workloads.tables import (
    AllocationRow,
    TaskRow,
    WorkloadInputRow,
    WorkloadRow,
)


@dataclass(frozen=True, slots=True)
class Detail:
    """A job, its tasks (newest attempt first), its inputs, and the names of what they refer to.
    `devices` has the shares that each task holds or held."""

    row: WorkloadRow
    spec: WorkloadSpec
    names: Names
    tasks: list[TaskRow]
    nodes: dict[str, str]
    devices: dict[str, list[dict[str, Any]]]
    inputs: list[WorkloadInputRow]


async def get_detail(
    context: ServerContext, principal: Principal, job: str, *, project: str | None = None
) -> Detail:
    """By id, or the newest of that name. Raises NotFound."""
    async with context.db.read() as session:
        row = await _find(session, principal, job, project)
        newest = _newest_reason(context, row)
        tasks = await service.tasks_of(session, row.id)
        nodes = await session.execute(
            select(NodeRow.id, NodeRow.name).where(
                NodeRow.id.in_({task.node_id for task in tasks})
            )
        )
        devices: dict[str, list[dict[str, Any]]] = defaultdict(list)
        for allocation in await session.scalars(
            select(AllocationRow).where(AllocationRow.workload_id == row.id)
        ):
            devices[allocation.task_id] = allocation.devices
        inputs = await session.scalars(
            select(WorkloadInputRow)
            .where(WorkloadInputRow.workload_id == row.id)
            .order_by(WorkloadInputRow.kind, WorkloadInputRow.input_id)
        )
        detail = Detail(
            row=row,
            spec=WorkloadSpec.from_json(row.spec),
            names=await names_of(
                session, principal, [row], [newest, *(task.reason for task in tasks)]
            ),
            tasks=tasks,
            nodes={node_id: name for node_id, name in nodes},
            devices=devices,
            inputs=list(inputs),
        )
    row.reason = newest  # only now: the session would write it
    return detail


async def find_job(
    context: ServerContext, principal: Principal, job: str, *, project: str | None = None
) -> tuple[WorkloadRow, Names]:
    """By id, or the newest of that name. Raises NotFound."""
    async with context.db.read() as session:
        row = await _find(session, principal, job, project)
        return row, await names_of(session, principal, [row])


async def find_task(
    context: ServerContext, row: WorkloadRow, *, rank: int, attempt: int | None
) -> TaskRow | None:
    """The task of a rank in an attempt; without one, in the newest that has any."""
    query = select(TaskRow).where(TaskRow.workload_id == row.id, TaskRow.rank == rank)
    if attempt is not None:
        query = query.where(TaskRow.attempt == attempt)
    async with context.db.read() as session:
        return await session.scalar(
            query.order_by(TaskRow.attempt.desc(), TaskRow.id.desc()).limit(1)
        )


async def _find(
    session: AsyncSession, principal: Principal, job: str, project: str | None
) -> WorkloadRow:
    return await service.find_workload(
        session,
        principal,
        Permission.JOBS_READ,
        job,
        project_id=await project_id_of(session, principal, project),
    )


def _newest_reason(context: ServerContext, row: WorkloadRow) -> dict[str, Any] | None:
    """Far back in the line a reason is worked out when it is asked for."""
    if row.state == WorkloadState.PENDING and row.stop is None:
        wait = explain(context, row.id)
        if wait is not None:
            return wait.reason.to_json()
    return row.reason
