"""Jobs: what people ask for, as workloads and back."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, cast

from sqlalchemy import or_, select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession

from madang.core.errors import InvalidInput
from madang.core.permissions import Permission
from madang.core.priorities import parse_priority
from madang.core.resources import Resources
from madang.core.states import WorkloadKind, WorkloadState
from madang.scheduling.model import Where
from madang.schemas.jobs import Breadth, JobCreate, JobMount, JobRole
from madang.server.context import ServerContext
from madang.server.identity.principal import Principal
from madang.server.identity.projects import resolve_project
from madang.server.identity.tables import ProjectRow, UserRow
from madang.server.workloads import service
from madang.server.workloads.listing import Filters, list_workloads
from madang.server.workloads.reason_names import names_in_reasons
from madang.server.workloads.spec import (
    MAX_REPLICAS,
    MountSpec,
    RetryPolicy,
    RoleSpec,
    WorkloadSpec,
)
from madang.server.workloads.submissions import find_submitted, remember_submitted
from madang.server.workloads.tables import QueueRow, TaskRow, WorkloadRow

WORKER = "worker"
"""The role that a job has without naming any."""

_NOT_IN_NAMES = re.compile(r"[^a-z0-9]+")
_INTERPRETERS = re.compile(r"(python[0-9.]*|bash|sh|torchrun|accelerate|env|uv|run|launch|-.*)")


@dataclass(frozen=True, slots=True)
class Names:
    """Ids → names, of what rows refer to; `jobs`: those in their reasons that may be seen."""

    projects: dict[str, str]
    users: dict[str, str]
    queues: dict[str, str]
    jobs: dict[str, str]


async def create_job(
    context: ServerContext, principal: Principal, request: JobCreate, *, key: str | None = None
) -> WorkloadRow:
    """Submit a job; with the `key` of an earlier request of hers the job that came of that.

    Raises InvalidInput, NotFound, Forbidden, LimitExceeded.
    """
    if key is None:
        async with context.db.transaction() as session:
            return await submit_for(context, session, principal, request)
    try:
        return await _create_once(context, principal, request, key)
    except IntegrityError:  # the same request came twice at once, and the other was quicker
        return await _create_once(context, principal, request, key)


async def _create_once(
    context: ServerContext, principal: Principal, request: JobCreate, key: str
) -> WorkloadRow:
    async with context.db.transaction() as session:
        found = await find_submitted(session, principal, key, request)
        if found is not None:
            return found
        row = await submit_for(context, session, principal, request)
        await remember_submitted(context, session, principal, key, request, row)
        return row


async def submit_for(
    context: ServerContext, session: AsyncSession, principal: Principal, request: JobCreate
) -> WorkloadRow:
    """`create_job` as part of a transaction of the caller's."""
    project = await resolve_project(session, principal, request.project)
    spec = to_spec(request, project.id, principal.user_id)
    parent = await _parent(session, principal)
    return await service.submit_in(context, session, principal, replace(spec, parent_id=parent))


async def check_may_run(context: ServerContext, principal: Principal, project: str | None) -> None:
    """Raises NotFound or Forbidden unless she may run jobs in the project."""
    async with context.db.read() as session:
        found = await resolve_project(session, principal, project)
    principal.require(Permission.JOBS_WRITE, found.id)


async def clone_job(
    context: ServerContext, principal: Principal, job: str, *, project: str | None = None
) -> WorkloadRow:
    """The same again, as a new job of hers: names are looked up anew."""
    async with context.db.transaction() as session:
        row = await service.find_workload(
            session,
            principal,
            Permission.JOBS_READ,
            job,
            kind=WorkloadKind.JOB,
            project_id=await project_id_of(session, principal, project),
        )
        spec = WorkloadSpec.from_json(row.spec)
        again = replace(spec, user_id=principal.user_id, parent_id=None)
        return await service.submit_in(context, session, principal, again)


async def cancel_job(
    context: ServerContext, principal: Principal, job: str, *, project: str | None = None
) -> WorkloadRow:
    """Ask for a job's end; safe to repeat."""
    async with context.db.transaction() as session:
        row = await service.find_workload(
            session,
            principal,
            Permission.JOBS_WRITE,
            job,
            kind=WorkloadKind.JOB,
            project_id=await project_id_of(session, principal, project),
        )
        return await service.cancel_in(context, session, principal.name, row.id)


async def project_id_of(
    session: AsyncSession, principal: Principal, project: str | None
) -> str | None:
    """The id of the project in which a job's name is looked up; None: in all that she sees."""
    return (await resolve_project(session, principal, project)).id if project else None


async def list_jobs(
    context: ServerContext,
    principal: Principal,
    *,
    kind: WorkloadKind = WorkloadKind.JOB,
    project: str | None,
    states: Collection[WorkloadState],
    user: str | None,
    queue: str | None,
    name: str | None,
    limit: int,
    cursor: str | None,
) -> tuple[Sequence[WorkloadRow], Names]:
    """Workloads that she sees, newest first; one more than `limit` when there are more."""
    async with context.db.read() as session:
        projects: Collection[str] | None = principal.visible_projects
        if project is not None:
            found = await resolve_project(session, principal, project)
            principal.require(Permission.JOBS_READ, found.id)
            projects = {found.id}
        filters = Filters(
            kind=kind,
            projects=projects,
            states=frozenset(states),
            user_id=await _user_id(session, principal, user),
            queue_id=queue or "",
            name=name or "",
        )
        rows = await list_workloads(session, filters, limit=limit, cursor=cursor)
        return rows, await names_of(session, principal, rows)


async def names_of(
    session: AsyncSession,
    principal: Principal,
    rows: Sequence[WorkloadRow],
    reasons: Sequence[Mapping[str, Any] | None] = (),
) -> Names:
    """The names that lists show instead of ids; `reasons`: others that are shown with the rows."""
    projects = await session.execute(
        select(ProjectRow.id, ProjectRow.name).where(
            ProjectRow.id.in_({row.project_id for row in rows})
        )
    )
    queues = await session.execute(
        select(QueueRow.id, QueueRow.name).where(QueueRow.id.in_({row.queue_id for row in rows}))
    )
    return Names(
        {project_id: name for project_id, name in projects},
        await service.user_names(session, {row.user_id for row in rows}),
        {queue_id: name for queue_id, name in queues},
        await names_in_reasons(session, principal, [*(row.reason for row in rows), *reasons]),
    )


def to_spec(request: JobCreate, project_id: str, user_id: str) -> WorkloadSpec:
    """Raises InvalidInput."""
    return WorkloadSpec(
        kind=WorkloadKind.JOB,
        name=request.name or name_from(request.command),
        project_id=project_id,
        user_id=user_id,
        roles=(
            _role_spec(WORKER, request),
            *(_role_spec(role.name, role) for role in request.roles),
        ),
        environment=request.environment,
        mounts=tuple(
            MountSpec(folder=mount.folder, target=mount.target, read_only=mount.read_only)
            for mount in request.mounts
        ),
        datasets=tuple(request.datasets),
        environment_variables=dict(request.environment_variables),
        code=request.code,
        working_directory=request.working_directory,
        retry=RetryPolicy(
            count=request.retries,
            backoff_s=request.retry_backoff_s,
            exit_codes=tuple((low, high) for low, high in request.retry_exit_codes),
        ),
        time_limit_s=request.time_limit_s,
        expected_s=request.expected_s,
        grace_s=request.grace_s,
        priority=parse_priority(request.priority),
        queue=request.queue,
        on_node_lost=request.on_node_lost,
        labels=dict(request.labels),
        preemptible=request.preemptible,
        resizable=request.resizable,
        reservation=request.reservation,
        wait_for_nodes=request.wait_for_nodes,
    )


def _role_spec(name: str, request: JobCreate | JobRole) -> RoleSpec:
    most = request.replicas if request.replicas_max is None else request.replicas_max
    if not request.replicas <= most <= MAX_REPLICAS:
        raise InvalidInput(
            f"replicas can't be {request.replicas}..{most}",
            field="replicas_max",
            hint="Write N, or MIN..MAX with MIN not above MAX.",
        )
    return RoleSpec(
        name=name,
        replicas_min=request.replicas,
        replicas_max=most,
        resources=Resources.parse(request.resources),
        command=tuple(request.command),
        where=Where(
            pool=request.pool,
            labels=tuple(sorted(request.node_labels.items())),
            together=request.together,
            apart=request.apart,
        ),
    )


def _role_request(role: RoleSpec) -> JobRole:
    return JobRole(
        name=role.name,
        command=list(role.command),
        resources=dict(role.resources.to_request()),
        replicas=role.replicas_min,
        replicas_max=role.replicas_max if role.replicas_max != role.replicas_min else None,
        pool=role.where.pool,
        node_labels=dict(role.where.labels),
        together=cast(Breadth, role.where.together),
        apart=cast(Breadth, role.where.apart),
    )


def to_request(spec: WorkloadSpec, project: str) -> JobCreate:
    """What to ask for to get the same again."""
    role = _role_request(spec.roles[0])
    return JobCreate(
        command=role.command,
        name=spec.name,
        project=project,
        queue=spec.queue,
        priority=spec.priority,
        resources=role.resources,
        replicas=role.replicas,
        replicas_max=role.replicas_max,
        resizable=spec.resizable,
        pool=role.pool,
        node_labels=role.node_labels,
        together=role.together,
        apart=role.apart,
        roles=[_role_request(other) for other in spec.roles[1:]],
        environment=spec.environment,
        mounts=[JobMount(mount.folder, mount.target, mount.read_only) for mount in spec.mounts],
        datasets=list(spec.datasets),
        environment_variables=dict(spec.environment_variables),
        code=spec.code,
        working_directory=spec.working_directory,
        retries=spec.retry.count,
        retry_backoff_s=spec.retry.backoff_s,
        retry_exit_codes=list(spec.retry.exit_codes),
        time_limit_s=spec.time_limit_s,
        expected_s=spec.expected_s,
        grace_s=spec.grace_s,
        on_node_lost=spec.on_node_lost,
        labels=dict(spec.labels),
        preemptible=spec.preemptible,
        reservation=spec.reservation,
        wait_for_nodes=spec.wait_for_nodes,
    )


def name_from(command: Sequence[str]) -> str:
    """A name for a job that was given none: `python src/train.py --lr 1` is `train`."""
    words = [word for word in command if not _INTERPRETERS.fullmatch(word)]
    word = (words or list(command))[0].rsplit("/", 1)[-1].lower()
    stem = word.rsplit(".", 1)[0] if "." in word[1:] else word
    return _NOT_IN_NAMES.sub("-", stem)[:40].strip("-") or "job"


async def _parent(session: AsyncSession, principal: Principal) -> str | None:
    """A job that is submitted by a task of another one is its child."""
    if principal.task_id is None:
        return None
    return await session.scalar(select(TaskRow.workload_id).where(TaskRow.id == principal.task_id))


async def _user_id(session: AsyncSession, principal: Principal, user: str | None) -> str:
    """The id of a user by name or id (`me`: who asks). A name that nobody has matches nothing."""
    if not user:
        return ""
    if user == "me":
        return principal.user_id
    found = await session.scalar(
        select(UserRow.id).where(or_(UserRow.id == user, UserRow.name == user))
    )
    return found or user
