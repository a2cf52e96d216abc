"""Who may use what behind the gateway, and where it is: control's half."""

from __future__ import annotations

from dataclasses import asdict
from datetime import UTC, datetime, timedelta

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from madang.core.errors import Forbidden, InvalidInput, NotFound
from madang.core.permissions import Permission, scopes_allow
from madang.server.context import ServerContext
from madang.server.identity.principal import Principal
from madang.server.identity.tables import ProjectRow
from madang.server.identity.tokens import authenticate_token, load_principal
from madang.server.serving import service
from madang.server.serving.gateway.routes import AppRoute, EndpointRoute, Replica, RouteTable
from madang.server.serving.grants import RESOURCE_PERMISSIONS, Grant, Resource
from madang.server.serving.tables import EndpointRow
from madang.server.serving.tickets import TICKET_PREFIX, Ticket, read_ticket, sign_ticket
from madang.server.storage.access import folder_access
from madang.server.workloads.service import LiveApp, live_apps
from madang.server.workloads.tables import TaskRow, WorkloadRow

_SECRET = "tickets"


async def authorize(
    context: ServerContext, credential: str, permission: Permission, resource: Resource
) -> Grant:
    """Whether the owner of a token or ticket may do it. Raises Unauthenticated, Forbidden,
    NotFound, InvalidInput."""
    resource.check(permission)
    if not credential.startswith(TICKET_PREFIX):
        principal = await authenticate_token(context, credential)
        return await _grant(context, principal, permission, resource)
    now = context.clock.now().timestamp()
    ticket = read_ticket(credential, context.paths.secret(_SECRET), now)
    covered = _covered(ticket)
    async with context.db.read() as session:
        principal = await load_principal(session, ticket.user_id, scopes=covered)
    if permission not in covered or resource.kind != ticket.kind:
        raise Forbidden(f"this ticket is not for {permission.value} on a {resource.kind}")
    grant = await _grant(context, principal, permission, resource, ticket.expires_at)
    if grant.resource_id != ticket.resource_id:
        raise Forbidden(f"this ticket is for another {resource.kind}", hint="Ask for a new one.")
    return grant


async def create_ticket(
    context: ServerContext,
    principal: Principal,
    resource: Resource,
    permission: Permission,
    ttl_s: float,
) -> tuple[str, datetime]:
    """A ticket that does what she may do herself, and when it ends. Raises as `authorize`."""
    resource.check(permission)
    grant = await _grant(context, principal, permission, resource)
    expires_at = context.clock.now() + timedelta(seconds=ttl_s)
    ticket = Ticket(
        user_id=principal.user_id,
        permission=permission.value,
        kind=resource.kind,
        resource_id=grant.resource_id,
        expires_at=expires_at.timestamp(),
    )
    word = sign_ticket(ticket, context.paths.secret(_SECRET))
    return word, expires_at.astimezone(UTC)


def permission_named(resource: Resource, name: str) -> Permission:
    """The permission of that name; the usual one of the resource for none. Raises InvalidInput."""
    if not name:
        return RESOURCE_PERMISSIONS[resource.kind][0]
    for permission in Permission:
        if permission.value == name:
            return permission
    raise InvalidInput(
        f"{name!r} is not a permission",
        field="permission",
        hint=f"Use {', '.join(RESOURCE_PERMISSIONS[resource.kind])}.",
    )


async def route_table(context: ServerContext) -> RouteTable:
    """Where everything behind the gateway is now."""
    async with context.db.read() as session:
        apps = await live_apps(session)
        by_workload: dict[str, list[LiveApp]] = {}
        for app in apps:
            by_workload.setdefault(app.workload_id, []).append(app)
        rows = await session.scalars(
            select(EndpointRow).where(EndpointRow.deleted_at.is_(None)).order_by(EndpointRow.id)
        )
        views = await service.views_of(session, list(rows))
        projects = {
            workload_id: project_id
            for workload_id, project_id in await session.execute(
                select(WorkloadRow.id, WorkloadRow.project_id).where(
                    WorkloadRow.id.in_(by_workload)
                )
            )
        }
    return RouteTable(
        endpoints=tuple(_endpoint_route(view, by_workload) for view in views),
        apps=tuple(
            AppRoute(app.task_id, projects[app.workload_id], str(app.app_socket)) for app in apps
        ),
    )


def _endpoint_route(
    view: service.EndpointView, by_workload: dict[str, list[LiveApp]]
) -> EndpointRoute:
    apps = by_workload.get(view.active.workload_id, []) if view.active else []
    return EndpointRoute(
        id=view.row.id,
        name=view.row.name,
        project_id=view.row.project_id,
        project=view.project,
        replicas=tuple(Replica(app.task_id, str(app.app_socket)) for app in apps),
        message="" if apps else view.message,
    )


def _covered(ticket: Ticket) -> tuple[str, ...]:
    """What a ticket is good for: a kind's permissions are in order, each covers those before."""
    permissions = RESOURCE_PERMISSIONS[ticket.kind]
    names = [permission.value for permission in permissions]
    return permissions[: names.index(ticket.permission) + 1]


async def _grant(
    context: ServerContext,
    principal: Principal,
    permission: Permission,
    resource: Resource,
    expires_at: float | None = None,
) -> Grant:
    if not scopes_allow(principal.scopes, permission):
        raise Forbidden(
            f"this token may not {permission.text}",
            hint=f"Its scopes lack {permission}; make one that has it.",
        )
    details = {}
    writes = permission is Permission.FOLDERS_WRITE
    async with context.db.transaction() if writes else context.db.read() as session:
        if resource.kind == "folder":
            access = await folder_access(
                context, session, principal, resource.project or None, resource.name, writes
            )
            resource_id, project_id, details = access.folder_id, "", asdict(access)
        elif resource.kind == "endpoint":
            endpoint = await service.find(
                session, principal, permission, resource.name, resource.project or None
            )
            resource_id, project_id = endpoint.id, endpoint.project_id
        else:
            resource_id, project_id = await _app(session, principal, permission, resource.name)
    return Grant(principal.user_id, principal.name, project_id, resource_id, expires_at, details)


async def _app(
    session: AsyncSession, principal: Principal, permission: Permission, task_id: str
) -> tuple[str, str]:
    """The ids of a task that has an app, and of its project."""
    found = (
        await session.execute(
            select(TaskRow.id, ProjectRow.id)
            .join(WorkloadRow, WorkloadRow.id == TaskRow.workload_id)
            .join(ProjectRow, ProjectRow.id == WorkloadRow.project_id)
            .where(TaskRow.id == task_id, TaskRow.ended_at.is_(None), TaskRow.app_socket != "")
        )
    ).first()
    if found is None or not principal.sees(found[1]):
        raise NotFound(f"there is no task {task_id!r} with an app, or none that you may see")
    principal.require(permission, found[1], what="task")
    return found[0], found[1]
