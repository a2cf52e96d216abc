"""Carrying out what the planner decided about what runs: stopping it for others, resizing and
moving it. Each in a transaction of its own; one that is out of date is passed over, and planned
again from how things stand."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any

import structlog
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from madang.core.errors import MadangError, Unavailable
from madang.core.reasons import Reason, ReasonCode
from madang.core.states import WorkloadKind, WorkloadState
from madang.scheduling import Migrate, Preempt, Resize
from madang.server.cluster.tables import NodeRow
from madang.server.context import ServerContext
from madang.server.db.engine import announce
from madang.server.workloads.fence import Fence
from madang.server.workloads.history import announce_workload, lock_workload
from madang.server.workloads.progress import gpus_of, with_run, with_speed
from madang.server.workloads.requests import replica_of
from madang.server.workloads.resizes import (
    may_run_at,
    placement_of,
    placements_of,
    resize_json,
)
from madang.server.workloads.spec import WorkloadSpec
from madang.server.workloads.supervisor import current_tasks, stop_task, supervise
from madang.server.workloads.tables import AllocationRow, TaskRow, WorkloadRow

log = structlog.get_logger()

ACTOR = "scheduler"

Stop = Preempt | Resize | Migrate


async def carry_out_stops(
    context: ServerContext, stops: Sequence[Stop], fence: Fence | None = None
) -> None:
    """Stop what is to be stopped: SIGTERM, the sign to save one's work, and SIGKILL after its
    grace. Nothing of it counts as a failure or a retry.

    Raises Unavailable when the database can't write: the planner, who takes it to be done, has to
    be told everything anew."""
    for stop in stops:
        try:
            async with context.db.transaction() as session:
                if fence is not None:
                    await fence.check(session)
                await _carry_out(context, session, stop)
        except Unavailable:
            raise
        except MadangError as error:
            log.error("a workload can't be stopped", workload=stop.owner, error=str(error))


async def _carry_out(context: ServerContext, session: AsyncSession, stop: Stop) -> None:
    row = await lock_workload(session, stop.owner)
    live = await _live_tasks(session, row, stop.request_id)
    goes_on = bool(live) or row.resize is not None
    if not goes_on or row.stop is not None or WorkloadState(row.state).ended:
        announce(session, f"workload:{row.id}")
        return
    match stop:
        case Preempt(winner=winner):
            row.resize = None
            reason = Reason(ReasonCode.PREEMPTED, {"job": winner.partition(":")[0] or None})
        case Migrate():
            row.resize = None
            reason = await _moved(session, live, stop)
        case Resize():
            resized = await _resized(session, row, stop)
            if row.resize is None and resized is None:
                announce(session, f"workload:{row.id}")
                return
            row.resize = resized  # None: it waits in line, with as many as there is room for
            replicas = len(resized["placements"]) if resized else "other"
            reason = Reason(ReasonCode.RESIZED, {"replicas": replicas})
    if not live:  # between two attempts: it has lost the places that were kept for it
        announce_workload(session, row)
        return
    row.work = with_speed(row.work, gpus_of(await _devices(session, [t.id for t in live])))
    begun = [task.started_at for task in live if task.started_at is not None]
    if begun and not isinstance(stop, Resize):
        row.work = with_run(row.work, (context.clock.now() - min(begun)).total_seconds())
    for task in live:
        await stop_task(context, session, row, task, reason, ACTOR)
    await supervise(context, session, row, ACTOR)


async def _moved(session: AsyncSession, live: Sequence[TaskRow], stop: Migrate) -> Reason:
    if not stop.winner:
        return Reason(ReasonCode.MIGRATED, {"gained": stop.gained})
    old = {task.node_id for task in live}
    new = {place.node_id for place in stop.placements}
    rows = await session.execute(select(NodeRow.id, NodeRow.name).where(NodeRow.id.in_(old | new)))
    names = {node_id: name for node_id, name in rows}
    source, target = (
        ", ".join(sorted(names.get(one, one) for one in some)) for some in (old, new)
    )
    if old == new:  # from one device to another
        shares = await _devices(session, [task.id for task in live])
        held = [f"{one['kind']} {one['index']}" for some in shares for one in some]
        holds = [f"{one.kind} {one.index}" for place in stop.placements for one in place.devices]
        source, target = f"{source} ({', '.join(held)})", f"{target} ({', '.join(holds)})"
    facts = {
        "source": source,
        "target": target,
        "job": stop.winner.partition(":")[0],
        "gained": stop.gained,
        "lost_s": round(stop.lost_s),
    }
    return Reason(ReasonCode.MADE_WAY, facts)


async def _resized(session: AsyncSession, row: WorkloadRow, stop: Resize) -> dict[str, Any] | None:
    """Where it goes on: at the places that it has, or is to have after an earlier resize, with
    what comes and without what goes. None when that is no longer what it could run with."""
    if row.resize is not None:
        places = placements_of(row.resize)
    else:
        allocations = await session.scalars(
            select(AllocationRow).where(
                AllocationRow.workload_id == row.id, AllocationRow.until.is_(None)
            )
        )
        places = tuple(placement_of(allocation) for allocation in allocations)
    kept = [
        place for place in places if f"{row.id}/{place.role}/{place.replica}" not in stop.removed
    ]
    resized = [*kept, *stop.added]
    spec = WorkloadSpec.from_json(row.spec)
    return resize_json(resized) if may_run_at(spec, resized) else None


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
