"""What people do about a job that waits: ask why, move it, change its priority."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import update
from sqlalchemy.ext.asyncio import AsyncSession

from madang.core.errors import Conflict
from madang.core.permissions import Permission
from madang.core.priorities import parse_priority
from madang.core.reasons import Reason
from madang.core.states import WorkloadState
from madang.scheduling import Wait
from madang.scheduling.why import Why as Counted
from madang.schemas.jobs import JobCreate
from madang.server.context import ServerContext
from madang.server.identity.principal import Principal
from madang.server.workloads import controller, service
from madang.server.workloads.history import announce_workload, lock_workload, record_event
from madang.server.workloads.jobs import Names, names_of, project_id_of, submit_for
from madang.server.workloads.queue_explain import place_in_line
from madang.server.workloads.queues import resolve_queue
from madang.server.workloads.reason_names import names_in_reasons
from madang.server.workloads.requests import job_request
from madang.server.workloads.spec import WorkloadSpec
from madang.server.workloads.tables import AllocationRow, WorkloadRow
from madang.server.workloads.waits import start_of


@dataclass(frozen=True, slots=True)
class Why:
    """A job, its place in its queue while it waits, and what the planner says of it."""

    row: WorkloadRow
    spec: WorkloadSpec
    names: Names
    reason: Reason | None
    expected_start: datetime | None
    position: int | None
    queued: int
    jobs: dict[str, str]
    """Names of the jobs in the reason, of those that she sees."""
    counted: Counted | None


async def why_job(
    context: ServerContext, principal: Principal, job: str, *, project: str | None = None
) -> Why:
    """Why a job waits, as of now. Raises NotFound."""
    async with context.db.read() as session:
        row = await _find(session, principal, Permission.JOBS_READ, job, project)
        names = await names_of(session, principal, [row])
        waits = row.state == WorkloadState.PENDING and row.stop is None
        position, queued = await place_in_line(session, row) if waits else (None, 0)
    counted = await controller.why(context, row.id) if waits else None
    wait = counted.wait if counted else None
    reason = Reason.from_json(row.reason) if row.reason else None
    if wait is not None:
        reason = wait.reason
    async with context.db.read() as session:
        jobs = await names_in_reasons(session, principal, [reason.to_json() if reason else None])
    return Why(
        row=row,
        spec=WorkloadSpec.from_json(row.spec),
        names=names,
        reason=reason,
        expected_start=start_of(wait) if wait else row.expected_start if waits else None,
        position=position,
        queued=queued,
        jobs=jobs,
        counted=counted,
    )


async def preview_job(
    context: ServerContext, principal: Principal, request: JobCreate
) -> tuple[Wait | None, dict[str, str]]:
    """Why a job would wait if it were submitted now (None: it would start), and the names in the
    reason that she may see. Raises what submitting it would raise."""
    try:
        async with context.db.transaction() as session:
            row = await submit_for(context, session, principal, request)
            asked = job_request(row, WorkloadSpec.from_json(row.spec))
            raise _Enough  # nothing of it is kept
    except _Enough:
        wait = await controller.preview(context, asked)
    async with context.db.read() as session:
        reasons = [wait.reason.to_json()] if wait else []
        return wait, await names_in_reasons(session, principal, reasons)


class _Enough(Exception):
    """All is known: the transaction is to be rolled back."""


async def move_job(
    context: ServerContext,
    principal: Principal,
    job: str,
    queue: str,
    *,
    project: str | None = None,
) -> WorkloadRow:
    """Have a job wait in another queue; one that runs counts for it from now on. Raises NotFound,
    Forbidden, InvalidInput for a queue that only groups others, Conflict when it has ended."""
    async with context.db.transaction() as session:
        row = await _find_live(session, principal, job, project)
        target = await resolve_queue(session, context, row.project_id, queue)
        if target.id == row.queue_id:
            return row
        row.queue_id = target.id
        await session.execute(
            update(AllocationRow)
            .where(AllocationRow.workload_id == row.id, AllocationRow.until.is_(None))
            .values(queue_id=target.id)
        )
        _record(context, session, principal, row, "moved", target.name)
        return row


async def set_priority(
    context: ServerContext,
    principal: Principal,
    job: str,
    priority: int | str,
    *,
    project: str | None = None,
) -> WorkloadRow:
    """Raises NotFound, Forbidden, InvalidInput, Conflict when it has ended."""
    number = parse_priority(priority)
    async with context.db.transaction() as session:
        row = await _find_live(session, principal, job, project)
        if number != row.priority:
            row.priority = number
            _record(context, session, principal, row, "priority", str(number))
        return row


async def _find(
    session: AsyncSession,
    principal: Principal,
    permission: Permission,
    job: str,
    project: str | None,
) -> WorkloadRow:
    project_id = await project_id_of(session, principal, project)
    return await service.find_workload(session, principal, permission, job, project_id=project_id)


async def _find_live(
    session: AsyncSession, principal: Principal, job: str, project: str | None
) -> WorkloadRow:
    found = await _find(session, principal, Permission.JOBS_WRITE, job, project)
    row = await lock_workload(session, found.id)
    if WorkloadState(row.state).ended or row.stop is not None:
        raise Conflict(f"{row.name} has ended or is being stopped", hint="Run it again: clone it.")
    return row


def _record(
    context: ServerContext,
    session: AsyncSession,
    principal: Principal,
    row: WorkloadRow,
    action: str,
    new: str,
) -> None:
    record_event(
        session,
        at=context.clock.now(),
        subject=row.id,
        action=action,
        actor=principal.name,
        project_id=row.project_id,
        workload_id=row.id,
        new=new,
    )
    announce_workload(session, row)
