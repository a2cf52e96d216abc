"""Carrying out what the planner decided about what runs: stopping it for others, resizing and
moving it. Each in a transaction of its own; one that is out of date is passed over, and planned
again from how things stand."""

from __future__ import annotations

from collections.abc import Collection, Sequence

import structlog
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from madang.core.errors import MadangError
from madang.core.reasons import Reason, ReasonCode
from madang.core.states import WorkloadKind, WorkloadState
from madang.scheduling import Migrate, Preempt, Resize
from madang.server.context import ServerContext
from madang.server.db.engine import announce
from madang.server.workloads.fence import Fence
from madang.server.workloads.history import lock_workload
from madang.server.workloads.progress import gpus_of, with_speed
from madang.server.workloads.requests import replica_of
from madang.server.workloads.resizes import resize_json
from madang.server.workloads.supervisor import current_tasks, stop_task, supervise
from madang.server.workloads.tables import AllocationRow, TaskRow, WorkloadRow

log = structlog.get_logger()

ACTOR = "scheduler"

Stop = Preempt | Resize | Migrate


async def carry_out_stops(
    context: ServerContext, stops: Sequence[Stop], fence: Fence | None = None
) -> None:
    """Stop what is to be stopped: SIGTERM, the sign to save one's work, and SIGKILL after its
    grace. Nothing of it counts as a failure or a retry."""
    for stop in stops:
        try:
            async with context.db.transaction() as session:
                if fence is not None:
                    await fence.check(session)
                await _carry_out(context, session, stop)
        except MadangError as error:
            log.error("a workload can't be stopped", workload=stop.owner, error=str(error))


async def _carry_out(context: ServerContext, session: AsyncSession, stop: Stop) -> None:
    row = await lock_workload(session, stop.owner)
    live = await _live_tasks(session, row, stop.request_id)
    if not live or row.stop is not None or WorkloadState(row.state).ended:
        announce(session, f"workload:{row.id}")
        return
    match stop:
        case Preempt(winner=winner):
            row.resize = None
            reason = Reason(ReasonCode.PREEMPTED, {"job": winner.partition(":")[0] or None})
        case Migrate():
            row.resize = None
            reason = Reason(ReasonCode.MIGRATED, {"gained": stop.gained})
        case Resize():
            reason = await _resize(session, row, live, stop)
    row.work = with_speed(row.work, gpus_of(await _devices(session, [t.id for t in live])))
    for task in live:
        await stop_task(context, session, row, task, reason, ACTOR)
    await supervise(context, session, row, ACTOR)


async def _resize(
    session: AsyncSession, row: WorkloadRow, live: Sequence[TaskRow], stop: Resize
) -> Reason:
    allocations = await session.scalars(
        select(AllocationRow)
        .where(AllocationRow.workload_id == row.id, AllocationRow.until.is_(None))
        .order_by(AllocationRow.role, AllocationRow.replica)
    )
    kept = [
        allocation
        for allocation in allocations
        if f"{row.id}/{allocation.role}/{allocation.replica}" not in stop.removed
    ]
    row.resize = resize_json(kept, stop.added)
    return Reason(ReasonCode.RESIZED, {"replicas": len(row.resize["placements"])})


async def _live_tasks(session: AsyncSession, row: WorkloadRow, request_id: str) -> list[TaskRow]:
    tasks = [task for task in await current_tasks(session, row) if task.ended_at is None]
    replica = replica_of(request_id) if row.kind == WorkloadKind.SERVICE else None
    if replica is None:
        return tasks
    return [task for task in tasks if (task.role, task.replica) == replica]


async def _devices(
    session: AsyncSession, task_ids: Collection[str]
) -> list[list[dict[str, object]]]:
    rows = await session.scalars(
        select(AllocationRow.devices).where(
            AllocationRow.task_id.in_(task_ids), AllocationRow.until.is_(None)
        )
    )
    return list(rows)
