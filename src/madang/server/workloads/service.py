"""What can be done with workloads; jobs, sessions and services alike."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from madang.core.errors import Conflict, InvalidInput, NotFound, Unavailable
from madang.core.ids import new_id
from madang.core.permissions import Permission
from madang.core.reasons import Reason, ReasonCode
from madang.core.states import TaskState, WorkloadKind, WorkloadState
from madang.server.cluster.tables import NodeRow
from madang.server.context import ServerContext
from madang.server.identity.os_users import task_user
from madang.server.identity.principal import Principal
from madang.server.identity.tables import ProjectRow, UserRow
from madang.server.workloads import supervisor
from madang.server.workloads.durations import expected_s
from madang.server.workloads.history import announce_workload, lock_workload, record_event
from madang.server.workloads.inputs import resolve_inputs
from madang.server.workloads.possible import check_possible
from madang.server.workloads.queues import resolve_queue
from madang.server.workloads.quota import check_quota
from madang.server.workloads.reservations import resolve_reservation
from madang.server.workloads.spec import WorkloadSpec, check_spec
from madang.server.workloads.tables import TaskRow, WorkloadInputRow, WorkloadRow

_ID_PREFIX = {WorkloadKind.JOB: "job", WorkloadKind.SESSION: "ses", WorkloadKind.SERVICE: "svc"}


async def submit(context: ServerContext, principal: Principal, spec: WorkloadSpec) -> WorkloadRow:
    """Take a workload in; it waits for its turn from then on.

    Raises InvalidInput for what can't be, NotFound and Forbidden for what she can't use.
    """
    async with context.db.transaction() as session:
        return await submit_in(context, session, principal, spec)


async def submit_in(
    context: ServerContext, session: AsyncSession, principal: Principal, spec: WorkloadSpec
) -> WorkloadRow:
    """`submit` as part of a transaction of the caller's."""
    principal.require(Permission.JOBS_WRITE, spec.project_id)
    if context.draining:
        raise Unavailable("the platform is being stopped and takes no new work")
    check_spec(spec)
    await check_possible(context, session, spec)
    inputs = await resolve_inputs(context, session, principal, spec)
    await task_user(context, session, spec.user_id)  # refuses whom the nodes can't run tasks for
    queue = await resolve_queue(session, context, spec.project_id, spec.queue)
    await check_quota(session, spec, queue)
    now = context.clock.now()
    reservation = None
    if spec.reservation:
        reservation = await resolve_reservation(session, spec.project_id, spec.reservation, now)
    row = WorkloadRow(
        id=new_id(_ID_PREFIX[spec.kind]),
        kind=spec.kind,
        name=spec.name,
        project_id=spec.project_id,
        user_id=spec.user_id,
        queue_id=queue.id,
        spec=spec.to_json(),
        created_at=now,
        priority=spec.priority,
        reservation_id=reservation.id if reservation else None,
        expected_s=expected_s(context, spec, spec.user_id, spec.project_id),
        replicas={role.name: role.replicas_min for role in spec.roles},
        parent_id=spec.parent_id,
        environment_id=inputs.environment_id,
        inputs=inputs.to_json(),
        labels=dict(spec.labels),
    )
    session.add(row)
    await session.flush()
    session.add_all(inputs.rows(row.id, spec))
    record_event(
        session,
        at=now,
        subject=row.id,
        action="submitted",
        actor=principal.name,
        project_id=row.project_id,
        workload_id=row.id,
        new=WorkloadState.PENDING,
    )
    announce_workload(session, row)
    return row


async def cancel(
    context: ServerContext, actor_name: str, workload_id: str, reason: Reason | None = None
) -> WorkloadRow:
    """Ask for its end: what runs is stopped (SIGTERM, then SIGKILL after its grace), what waits
    ends at once. Safe to repeat; does nothing to what has ended. Raises NotFound."""
    async with context.db.transaction() as session:
        return await cancel_in(context, session, actor_name, workload_id, reason)


async def cancel_in(
    context: ServerContext,
    session: AsyncSession,
    actor_name: str,
    workload_id: str,
    reason: Reason | None = None,
) -> WorkloadRow:
    """`cancel` as part of a transaction of the caller's."""
    row = await lock_workload(session, workload_id)
    if WorkloadState(row.state).ended or row.stop is not None:
        return row
    reason = reason or Reason(ReasonCode.CANCELLED, {"actor": actor_name})
    row.stop = {"actor": actor_name, "reason": reason.to_json()}
    record_event(
        session,
        at=context.clock.now(),
        subject=row.id,
        action="cancel",
        actor=actor_name,
        project_id=row.project_id,
        workload_id=row.id,
        reason=reason,
    )
    await supervisor.supervise(context, session, row)
    announce_workload(session, row)
    return row


async def scale(
    context: ServerContext, workload_id: str, role: str, replicas: int, actor_name: str = "service"
) -> WorkloadRow:
    """Have a service keep `replicas` of a role up, 0 to the role's maximum. Raises NotFound,
    InvalidInput, Conflict when it has ended or is no service."""
    async with context.db.transaction() as session:
        row = await lock_workload(session, workload_id)
        spec = WorkloadSpec.from_json(row.spec).role(role)
        if row.kind != WorkloadKind.SERVICE or WorkloadState(row.state).ended:
            raise Conflict(f"{row.name} is no running service, it can't be scaled")
        if not 0 <= replicas <= spec.replicas_max:
            raise InvalidInput(
                f"{replicas} replicas are out of range",
                field="replicas",
                hint=f"Use 0 to {spec.replicas_max}, the maximum it was submitted with.",
            )
        row.replicas = {**row.replicas, role: replicas}
        record_event(
            session,
            at=context.clock.now(),
            subject=row.id,
            action="scaled",
            actor=actor_name,
            project_id=row.project_id,
            workload_id=row.id,
            new=f"{role}={replicas}",
        )
        await supervisor.supervise(context, session, row)
        announce_workload(session, row)
    return row


async def find_workload(
    session: AsyncSession,
    principal: Principal,
    permission: Permission,
    workload: str,
    *,
    kind: WorkloadKind | None = None,
    project_id: str | None = None,
) -> WorkloadRow:
    """By id, or the newest of that name that she sees. Raises NotFound, Forbidden."""
    what = kind.value if kind else WorkloadKind.JOB.value  # the word that people know
    row = await session.get(WorkloadRow, workload)
    if row is None:
        query = select(WorkloadRow).where(WorkloadRow.name == workload)
        if kind is not None:
            query = query.where(WorkloadRow.kind == kind)
        if project_id is not None:
            query = query.where(WorkloadRow.project_id == project_id)
        elif (visible := principal.visible_projects) is not None:
            query = query.where(WorkloadRow.project_id.in_(visible))
        row = await session.scalar(query.order_by(WorkloadRow.id.desc()).limit(1))
    if row is None or (kind is not None and row.kind != kind):
        raise NotFound(
            f"there is no {what} {workload!r}, or none that you may see",
            hint="`madang job list` shows yours." if what == WorkloadKind.JOB else None,
        )
    principal.require(permission, row.project_id, what=what)
    return row


async def tasks_of(session: AsyncSession, workload_id: str) -> list[TaskRow]:
    """All its tasks, the newest attempt first, by rank."""
    query = (
        select(TaskRow)
        .where(TaskRow.workload_id == workload_id)
        .order_by(TaskRow.attempt.desc(), TaskRow.rank, TaskRow.id.desc())
    )
    return list(await session.scalars(query))


async def task_is_live(session: AsyncSession, task_id: str) -> bool:
    """Whether the task's token is good: it has not ended."""
    ended_at = await session.execute(select(TaskRow.ended_at).where(TaskRow.id == task_id))
    found = ended_at.first()
    return found is not None and found[0] is None


async def users_of_environment(session: AsyncSession, environment_id: str) -> list[str]:
    """What runs, or waits to run, in an environment: `job train`."""
    rows = await session.execute(
        select(WorkloadRow.kind, WorkloadRow.name)
        .where(WorkloadRow.environment_id == environment_id, WorkloadRow.ended_at.is_(None))
        .order_by(WorkloadRow.id)
    )
    return [f"{kind} {name}" for kind, name in rows]


async def users_of_folder(session: AsyncSession, folder_id: str) -> list[str]:
    """What runs, or waits to run, with a folder mounted: `job train`."""
    rows = await session.execute(
        select(WorkloadRow.kind, WorkloadRow.name)
        .join(WorkloadInputRow, WorkloadInputRow.workload_id == WorkloadRow.id)
        .where(
            WorkloadInputRow.kind == "folder",
            WorkloadInputRow.input_id == folder_id,
            WorkloadRow.ended_at.is_(None),
        )
        .order_by(WorkloadRow.id)
    )
    return [f"{kind} {name}" for kind, name in rows]


@dataclass(frozen=True, slots=True)
class LiveApp:
    """A replica whose app can be reached now."""

    workload_id: str
    task_id: str
    role: str
    node: str
    app_socket: Path
    ready_since: datetime


async def live_apps(session: AsyncSession, workload_id: str | None = None) -> list[LiveApp]:
    """Replicas that run, have a port and are ready; of one workload or of all, oldest first."""
    query = (
        select(TaskRow, NodeRow.name)
        .join(NodeRow, NodeRow.id == TaskRow.node_id)
        .where(
            TaskRow.ended_at.is_(None),
            TaskRow.state == TaskState.RUNNING,
            TaskRow.ready_at.is_not(None),
            TaskRow.app_socket != "",
        )
        .order_by(TaskRow.id)
    )
    if workload_id is not None:
        query = query.where(TaskRow.workload_id == workload_id)
    apps = []
    for task, node in await session.execute(query):
        assert task.ready_at is not None
        apps.append(
            LiveApp(
                task.workload_id, task.id, task.role, node, Path(task.app_socket), task.ready_at
            )
        )
    return apps


async def user_names(session: AsyncSession, user_ids: set[str]) -> dict[str, str]:
    """Id → name."""
    rows = await session.execute(select(UserRow.id, UserRow.name).where(UserRow.id.in_(user_ids)))
    return {user_id: name for user_id, name in rows}


async def project_names(context: ServerContext, project_ids: set[str]) -> dict[str, str]:
    """Id → name."""
    async with context.db.read() as session:
        rows = await session.execute(
            select(ProjectRow.id, ProjectRow.name).where(ProjectRow.id.in_(project_ids))
        )
        return {project_id: name for project_id, name in rows}
