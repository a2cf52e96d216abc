"""Reading what the planner is told of workloads: their newest tasks, what they hold, what they
wait for."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from madang.core.reasons import Reason, ReasonCode
from madang.core.states import TaskState, WorkloadKind, WorkloadState
from madang.scheduling import Allocation, Request, Running, Start
from madang.server.context import ServerContext
from madang.server.environments.tables import EnvironmentRow
from madang.server.workloads.history import announce_workload, lock_workload
from madang.server.workloads.requests import job_request, replica_request, wanted_requests
from madang.server.workloads.resizes import holds_of, kept_allocations, placements_of
from madang.server.workloads.spec import WorkloadSpec
from madang.server.workloads.supervisor import ACTOR, supervise, view
from madang.server.workloads.tables import AllocationRow, TaskRow, WorkloadRow


@dataclass(slots=True)
class Standing:
    """How a workload stands: what it holds (by key), which of that is being stopped, what it asks
    for and what of it runs (by request); and a start that needs no decision."""

    held: dict[str, Allocation] = field(default_factory=dict)
    leaving: set[str] = field(default_factory=set)
    wanted: dict[str, Request] = field(default_factory=dict)
    running: dict[str, Running] = field(default_factory=dict)
    restart: Start | None = None


@dataclass(frozen=True, slots=True)
class Rows:
    """What was read of some workloads at once."""

    workloads: dict[str, WorkloadRow]
    tasks: dict[str, list[TaskRow]]
    held: dict[str, list[AllocationRow]]
    unready: dict[str, EnvironmentRow]


async def read_rows(session: AsyncSession, workload_ids: Sequence[str]) -> Rows:
    found = await session.scalars(select(WorkloadRow).where(WorkloadRow.id.in_(workload_ids)))
    workloads = {row.id: row for row in found}
    return Rows(
        workloads,
        await _newest_tasks(session, workload_ids),
        await _live_allocations(session, workload_ids),
        await _unready_environments(session, workloads.values()),
    )


def standing_of(rows: Rows, workload_id: str) -> Standing:
    """How one of them stands."""
    standing = Standing()
    allocations = rows.held.get(workload_id, [])
    for allocation in allocations:
        key = f"{workload_id}/{allocation.role}/{allocation.replica}"
        standing.held[key] = _allocation(key, allocation)
    row = rows.workloads.get(workload_id)
    if row is None:
        return standing
    tasks = rows.tasks[workload_id]
    if row.kind != WorkloadKind.SERVICE:
        tasks = [task for task in tasks if task.attempt == row.attempt]
    if WorkloadState(row.state).ended:
        return standing
    spec = WorkloadSpec.from_json(row.spec)
    standing.leaving = {
        f"{workload_id}/{task.role}/{task.replica}"
        for task in tasks
        if task.state == TaskState.STOPPING
    }
    if (row.environment_id or "") not in rows.unready:
        views = [view(task) for task in tasks]
        wanted = wanted_requests(row, spec, views)
        standing.wanted = {request.id: request for request in wanted}
    standing.running = _running(row, spec, allocations)
    if row.resize is not None and row.resize["placements"] and row.stop is None:
        _go_on(standing, row, spec)
    return standing


def _go_on(standing: Standing, row: WorkloadRow, spec: WorkloadSpec) -> None:
    """While it is resized it holds the places that it will have, and waits for nobody."""
    assert row.resize is not None
    kept = kept_allocations(row.id, spec, row.resize)
    standing.held = {**standing.held, **kept}
    standing.leaving -= kept.keys()
    for request in standing.wanted.values():
        standing.restart = Start(request, placements_of(row.resize))
        since = row.created_at.timestamp()
        standing.running[request.id] = Running(request, since, since)
    standing.wanted = {}


def _running(
    row: WorkloadRow, spec: WorkloadSpec, allocations: Sequence[AllocationRow]
) -> dict[str, Running]:
    if not allocations:
        return {}
    if row.kind != WorkloadKind.SERVICE:
        since = min(allocation.since for allocation in allocations)
        saved_at = max(since, row.saved_at or since)
        request = job_request(row, spec)
        return {request.id: Running(request, since.timestamp(), saved_at.timestamp())}
    found = {}
    for allocation in allocations:
        role = spec.role(allocation.role)
        request = replica_request(row, spec, role, allocation.replica)
        moment = allocation.since.timestamp()
        found[request.id] = Running(request, moment, moment)
    return found


def held_by(start: Start) -> dict[str, Allocation]:
    """What a start will hold, by key."""
    needs = {group.role: group.resources for group in start.request.groups}
    held = {}
    for place in start.placements:
        need = needs[place.role]
        key = f"{start.request.owner}/{place.role}/{place.replica}"
        held[key] = Allocation(
            key, place.node_id, need.cpu_milli, need.memory_bytes, place.devices, need.counted
        )
    return held


def _allocation(key: str, row: AllocationRow) -> Allocation:
    return Allocation(
        key,
        row.node_id,
        row.cpu_milli,
        row.memory_bytes,
        holds_of(row.devices),
        tuple(sorted(row.counted.items())),
    )


async def settle_environment(
    context: ServerContext, session: AsyncSession, workload_id: str, environment: EnvironmentRow
) -> None:
    """Say that a workload waits for its environment; end it when that can't be built."""
    row = await lock_workload(session, workload_id)
    if row.ended_at is not None or row.stop is not None:
        return
    before = (row.state, row.reason)
    if environment.state == "failed":
        lines = (environment.error or "").strip().splitlines()
        cause = lines[-1] if lines else "it was not built"
        facts = {"environment": environment.ref, "cause": cause}
        failed = Reason(ReasonCode.ENVIRONMENT_FAILED, facts)
        row.stop = {"actor": ACTOR, "reason": failed.to_json()}
        await supervise(context, session, row)
    elif row.state == WorkloadState.PENDING:
        facts = {"environment": environment.ref}
        row.reason = Reason(ReasonCode.ENVIRONMENT_BUILDING, facts).to_json()
    if before != (row.state, row.reason):
        announce_workload(session, row)


async def _newest_tasks(
    session: AsyncSession, workload_ids: Sequence[str]
) -> dict[str, list[TaskRow]]:
    """Of each workload the newest task of each replica."""
    rows = await session.scalars(
        select(TaskRow)
        .where(TaskRow.workload_id.in_(workload_ids))
        .order_by(TaskRow.attempt, TaskRow.id)
    )
    newest: dict[str, dict[tuple[str, int], TaskRow]] = defaultdict(dict)
    for task in rows:
        newest[task.workload_id][task.role, task.replica] = task
    return {workload_id: list(newest[workload_id].values()) for workload_id in workload_ids}


async def _live_allocations(
    session: AsyncSession, workload_ids: Sequence[str]
) -> dict[str, list[AllocationRow]]:
    rows = await session.scalars(
        select(AllocationRow).where(
            AllocationRow.workload_id.in_(workload_ids), AllocationRow.until.is_(None)
        )
    )
    held: dict[str, list[AllocationRow]] = defaultdict(list)
    for row in rows:
        held[row.workload_id].append(row)
    return held


async def _unready_environments(
    session: AsyncSession, rows: Iterable[WorkloadRow]
) -> dict[str, EnvironmentRow]:
    wanted = {row.environment_id for row in rows if row.environment_id and not row.ended_at}
    if not wanted:
        return {}
    found = await session.scalars(
        select(EnvironmentRow).where(
            EnvironmentRow.id.in_(wanted), EnvironmentRow.state != "ready"
        )
    )
    return {row.id: row for row in found}
