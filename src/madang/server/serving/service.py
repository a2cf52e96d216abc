"""What can be done with endpoints."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from sqlalchemy import func, or_, select
from sqlalchemy.ext.asyncio import AsyncSession

from madang.core.errors import InvalidInput, NotFound
from madang.core.ids import check_name, new_id
from madang.core.permissions import Permission
from madang.core.reasons import Reason
from madang.core.resources import Resources
from madang.core.states import WorkloadKind, WorkloadState
from madang.schemas.endpoints import EndpointState
from madang.server.context import ServerContext
from madang.server.db.engine import announce
from madang.server.environments.service import resolve_environment
from madang.server.identity.principal import Principal
from madang.server.identity.projects import resolve_project
from madang.server.identity.tables import ProjectRow
from madang.server.serving.status import RevisionView, describe
from madang.server.serving.tables import EndpointRevisionRow, EndpointRow
from madang.server.tracking.models import artifact_folder, resolve_model
from madang.server.tracking.tables import ModelVersionRow, RunRow
from madang.server.workloads.history import record_event
from madang.server.workloads.service import live_apps, submit_in
from madang.server.workloads.spec import MountSpec, RetryPolicy, RoleSpec, WorkloadSpec
from madang.server.workloads.tables import WorkloadRow

APP_PORT = 8080
MODEL_TARGET = "/mnt/model"
READY_PATH = "/v2/health/ready"
REPLICA_ROLE = "replica"
LABEL = "madang/endpoint"

_RETRY = RetryPolicy(count=3, backoff_s=1.0, backoff_max_s=60.0)
_DEFAULT_MEMORY = "2GiB"
_MAX_NAME_LENGTH = 50
"""Leaves room for the revision in the name of the workload."""


@dataclass(frozen=True, slots=True)
class Deployment:
    """What to deploy: see `schemas.endpoints.EndpointDeploy`."""

    name: str
    model: str
    environment: str = ""
    resources: dict[str, str | int | float] = field(default_factory=dict)
    replicas: int = 1


@dataclass(frozen=True, slots=True)
class EndpointView:
    """An endpoint with all that there is to say of it."""

    row: EndpointRow
    project: str
    target: EndpointRevisionRow
    target_ready: int
    active: EndpointRevisionRow | None
    state: EndpointState
    message: str


async def deploy(
    context: ServerContext, principal: Principal, project: str | None, wanted: Deployment
) -> EndpointView:
    """Have an endpoint answer with a model version; make the endpoint when there is none.

    The revision that answers now goes on until the new one is ready. Deploying what is deployed
    already changes nothing. Raises InvalidInput, NotFound, Forbidden.
    """
    async with context.db.transaction() as session:
        owner = await resolve_project(session, principal, project)
        principal.require(Permission.ENDPOINTS_WRITE, owner.id)
        revision = await _revision(context, session, principal, owner, wanted)
        endpoint = await find_row(session, owner.id, wanted.name)
        if endpoint is not None and await _is_deployed(session, endpoint, revision):
            return (await views_of(session, [endpoint]))[0]
        now = context.clock.now()
        if endpoint is None:
            _check_name(wanted.name)
            endpoint = EndpointRow(
                id=new_id("endp"),
                project_id=owner.id,
                name=wanted.name,
                created_at=now,
                target_id=revision.id,
            )
            session.add(endpoint)
            await session.flush()
        revision.endpoint_id = endpoint.id
        revision.number = await _next_number(session, endpoint.id)
        workload = await submit_in(
            context,
            session,
            principal,
            await _spec(context, session, principal, endpoint, revision),
        )
        revision.workload_id = workload.id
        session.add(revision)
        endpoint.target_id = revision.id
        record_event(
            session,
            at=now,
            subject=endpoint.id,
            action="deployed",
            actor=principal.name,
            project_id=owner.id,
            workload_id=workload.id,
            new=f"{revision.model_name}/{revision.model_version}",
        )
        announce(session, f"endpoint:{endpoint.id}")
        await session.flush()
        return (await views_of(session, [endpoint]))[0]


async def get(
    context: ServerContext, principal: Principal, endpoint: str, project: str | None = None
) -> EndpointView:
    """One endpoint, by id or name. Raises NotFound, Forbidden."""
    async with context.db.read() as session:
        row = await find(session, principal, Permission.ENDPOINTS_READ, endpoint, project)
        return (await views_of(session, [row]))[0]


async def list_endpoints(
    context: ServerContext,
    principal: Principal,
    *,
    project: str | None = None,
    limit: int,
    cursor: str | None,
) -> list[EndpointView]:
    """Endpoints that she sees, newest first; one more than `limit` when there are more."""
    query = select(EndpointRow).where(EndpointRow.deleted_at.is_(None))
    query = query.order_by(EndpointRow.id.desc()).limit(limit + 1)
    if cursor:
        query = query.where(EndpointRow.id < cursor)
    async with context.db.read() as session:
        if project is not None:
            owner = await resolve_project(session, principal, project)
            principal.require(Permission.ENDPOINTS_READ, owner.id)
            query = query.where(EndpointRow.project_id == owner.id)
        elif (visible := principal.visible_projects) is not None:
            query = query.where(EndpointRow.project_id.in_(visible))
        return await views_of(session, list(await session.scalars(query)))


async def delete(
    context: ServerContext, principal: Principal, endpoint: str, project: str | None = None
) -> None:
    """Stop an endpoint and forget it; requests are refused from now on. Raises NotFound,
    Forbidden."""
    async with context.db.transaction() as session:
        row = await find(session, principal, Permission.ENDPOINTS_WRITE, endpoint, project)
        row.deleted_at = context.clock.now()
        row.deleted_by = principal.name
        record_event(
            session,
            at=row.deleted_at,
            subject=row.id,
            action="deleted",
            actor=principal.name,
            project_id=row.project_id,
        )
        announce(session, f"endpoint:{row.id}")


async def find(
    session: AsyncSession,
    principal: Principal,
    permission: Permission,
    endpoint: str,
    project: str | None = None,
) -> EndpointRow:
    """The endpoint that is meant, by id or by name in a project. Raises NotFound, Forbidden."""
    row = await session.get(EndpointRow, endpoint)
    if row is None:
        owner = await resolve_project(session, principal, project)
        row = await find_row(session, owner.id, endpoint)
    if row is None or row.deleted_at is not None or not principal.sees(row.project_id):
        raise NotFound(
            f"there is no endpoint {endpoint!r}, or none that you may see",
            field="endpoint",
            hint="`madang endpoint list` shows yours.",
        )
    principal.require(permission, row.project_id, what="endpoint")
    return row


async def find_row(session: AsyncSession, project_id: str, name: str) -> EndpointRow | None:
    """The endpoint of that name or id in a project, unless it was deleted."""
    found: EndpointRow | None = await session.scalar(
        select(EndpointRow).where(
            EndpointRow.project_id == project_id,
            or_(EndpointRow.name == name, EndpointRow.id == name),
            EndpointRow.deleted_at.is_(None),
        )
    )
    return found


async def _revision(
    context: ServerContext,
    session: AsyncSession,
    principal: Principal,
    owner: ProjectRow,
    wanted: Deployment,
) -> EndpointRevisionRow:
    """The revision that is asked for, with names resolved; not yet of any endpoint."""
    model = await resolve_model(session, principal, owner.id, wanted.model)
    asked = wanted.environment or await _training_environment(session, model)
    environment = await resolve_environment(session, principal, owner.id, asked)
    resources = Resources.parse({"memory": _DEFAULT_MEMORY, **wanted.resources})
    return EndpointRevisionRow(
        id=new_id("rev"),
        endpoint_id="",
        number=0,
        model_version_id=model.id,
        model_name=model.name,
        model_version=model.version,
        environment=f"{environment.name}@{environment.version}",
        resources=resources.to_request(),
        replicas=wanted.replicas,
        workload_id="",
        user_name=principal.name,
        created_at=context.clock.now(),
    )


async def _training_environment(session: AsyncSession, model: ModelVersionRow) -> str:
    """The environment of the job whose run made the model: what it was trained with serves it."""
    environment_id = await session.scalar(
        select(WorkloadRow.environment_id)
        .join(RunRow, RunRow.workload_id == WorkloadRow.id)
        .where(RunRow.id == model.run_id)
    )
    if environment_id is None:
        raise InvalidInput(
            f"no environment is known for model {model.name}/{model.version}: it was not made by "
            "a job that ran in one",
            field="environment",
            hint="Name one with the model's packages: --environment NAME.",
        )
    return str(environment_id)


async def _is_deployed(
    session: AsyncSession, endpoint: EndpointRow, wanted: EndpointRevisionRow
) -> bool:
    """Whether the endpoint's target is just that, and has not failed."""
    target = await session.get_one(EndpointRevisionRow, endpoint.target_id)
    workload = await session.get_one(WorkloadRow, target.workload_id)
    compared = ("model_version_id", "environment", "resources", "replicas")
    same = all(getattr(target, name) == getattr(wanted, name) for name in compared)
    return same and not WorkloadState(workload.state).ended and workload.stop is None


async def _spec(
    context: ServerContext,
    session: AsyncSession,
    principal: Principal,
    endpoint: EndpointRow,
    revision: EndpointRevisionRow,
) -> WorkloadSpec:
    model = await session.get_one(ModelVersionRow, revision.model_version_id)
    artifacts = await artifact_folder(context, session, model)
    resources = Resources.parse(revision.resources)
    command = (
        "python", "-m", "madang.runtimes",
        "--model", f"{MODEL_TARGET}/{artifacts.relative}",
        "--name", model.name,
        "--version", str(model.version),
        "--port", str(APP_PORT),
    )  # fmt: skip
    threads = str(max(1, resources.cpu_milli // 1000))
    return WorkloadSpec(
        kind=WorkloadKind.SERVICE,
        name=f"{endpoint.name}-r{revision.number}",
        project_id=endpoint.project_id,
        user_id=principal.user_id,
        roles=(
            RoleSpec(
                name=REPLICA_ROLE,
                replicas_min=revision.replicas,
                replicas_max=revision.replicas,
                resources=resources,
                command=command,
                app_port=APP_PORT,
                ready_path=READY_PATH,
            ),
        ),
        environment=revision.environment,
        mounts=(MountSpec(folder=artifacts.folder_name, target=MODEL_TARGET, read_only=True),),
        environment_variables={"OMP_NUM_THREADS": threads, "MKL_NUM_THREADS": threads},
        retry=_RETRY,
        parent_id=endpoint.id,
        labels={LABEL: endpoint.name},
    )


async def _next_number(session: AsyncSession, endpoint_id: str) -> int:
    newest = await session.scalar(
        select(func.max(EndpointRevisionRow.number)).where(
            EndpointRevisionRow.endpoint_id == endpoint_id
        )
    )
    return (newest or 0) + 1


def _check_name(name: str) -> None:
    check_name(name, "endpoint")
    if len(name) > _MAX_NAME_LENGTH:
        raise InvalidInput(
            f"{name!r} is too long for an endpoint",
            field="name",
            hint=f"Use at most {_MAX_NAME_LENGTH} characters.",
        )


async def views_of(session: AsyncSession, rows: Sequence[EndpointRow]) -> list[EndpointView]:
    """What there is to say of endpoints; a handful of queries, however many they are."""
    wanted = {id_ for row in rows for id_ in (row.target_id, row.active_id) if id_}
    revisions = {
        revision.id: revision
        for revision in await session.scalars(
            select(EndpointRevisionRow).where(EndpointRevisionRow.id.in_(wanted))
        )
    }
    workload_ids = {revision.workload_id for revision in revisions.values()}
    workloads = {
        workload.id: workload
        for workload in await session.scalars(
            select(WorkloadRow).where(WorkloadRow.id.in_(workload_ids))
        )
    }
    projects = {
        project_id: name
        for project_id, name in await session.execute(
            select(ProjectRow.id, ProjectRow.name).where(
                ProjectRow.id.in_({row.project_id for row in rows})
            )
        )
    }
    ready: dict[str, int] = {}
    for app in await live_apps(session) if workload_ids else []:
        ready[app.workload_id] = ready.get(app.workload_id, 0) + 1

    def view_of(revision: EndpointRevisionRow) -> RevisionView:
        workload = workloads[revision.workload_id]
        reason = str(Reason.from_json(workload.reason)) if workload.reason else ""
        num_ready = ready.get(revision.workload_id, 0)
        state = WorkloadState(workload.state)
        return RevisionView(revision.number, revision.replicas, num_ready, state, reason)

    views = []
    for row in rows:
        target = revisions[row.target_id]
        active = revisions[row.active_id] if row.active_id else None
        state, message = describe(
            view_of(target),
            view_of(active) if active else None,
            deleting=row.deleted_at is not None,
        )
        target_ready = ready.get(target.workload_id, 0)
        project = projects[row.project_id]
        views.append(EndpointView(row, project, target, target_ready, active, state, message))
    return views
