"""Routes of endpoints, and of tickets for what is behind the gateway."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query

from madang.core.permissions import Permission
from madang.schemas import Page
from madang.schemas.endpoints import (
    Endpoint,
    EndpointDeploy,
    EndpointRevision,
    Ticket,
    TicketCreate,
)
from madang.server.api.deps import Actor, Context, PagingQuery, page_of, permit
from madang.server.context import ServerContext
from madang.server.serving import service
from madang.server.serving.authorization import create_ticket, permission_named
from madang.server.serving.grants import Resource
from madang.server.settings import gateway_url

router = APIRouter(prefix="/endpoints", tags=["endpoints"])
ticket_router = APIRouter(prefix="/tickets", tags=["tickets"])

Project = Annotated[str | None, Query(description="Name or id; yours when you have one only.")]


def _endpoint(context: ServerContext, view: service.EndpointView) -> Endpoint:
    target = view.target
    return Endpoint(
        id=view.row.id,
        name=view.row.name,
        project=view.project,
        state=view.state,
        message=view.message,
        url=f"{gateway_url(context.settings)}/endpoints/{view.project}/{view.row.name}",
        revision=EndpointRevision(
            number=target.number,
            model=f"{target.model_name}/{target.model_version}",
            model_name=target.model_name,
            model_version=target.model_version,
            environment=target.environment,
            resources=target.resources,
            replicas=target.replicas,
            replicas_ready=view.target_ready,
            workload_id=target.workload_id,
            user=target.user_name,
            created_at=target.created_at,
        ),
        serving_revision=view.active.number if view.active else None,
        created_at=view.row.created_at,
    )


@router.get("", dependencies=[permit(Permission.ENDPOINTS_READ)])
async def list_endpoints(
    context: Context, actor: Actor, paging: PagingQuery, project: Project = None
) -> Page[Endpoint]:
    """Endpoints that you see, newest first."""
    views = await service.list_endpoints(
        context, actor, project=project, limit=paging.limit, cursor=paging.cursor
    )
    return page_of(views, paging, lambda view: _endpoint(context, view), lambda view: view.row.id)


@router.post("", status_code=201, dependencies=[permit(Permission.ENDPOINTS_WRITE)])
async def deploy_endpoint(
    body: EndpointDeploy, context: Context, actor: Actor, project: Project = None
) -> Endpoint:
    """Deploy a model version at an endpoint, new or existing; the revision that answers now goes
    on until this one is ready."""
    wanted = service.Deployment(
        body.name, body.model, body.environment, body.resources, body.replicas
    )
    return _endpoint(
        context, await service.deploy(context, actor, body.project or project, wanted)
    )


@router.get("/{endpoint}", dependencies=[permit(Permission.ENDPOINTS_READ)])
async def get_endpoint(
    endpoint: str, context: Context, actor: Actor, project: Project = None
) -> Endpoint:
    """One endpoint, by name or id."""
    return _endpoint(context, await service.get(context, actor, endpoint, project))


@router.delete("/{endpoint}", status_code=204, dependencies=[permit(Permission.ENDPOINTS_WRITE)])
async def delete_endpoint(
    endpoint: str, context: Context, actor: Actor, project: Project = None
) -> None:
    """Stop an endpoint and forget it; requests to it are refused from now on."""
    await service.delete(context, actor, endpoint, project)


@ticket_router.post("", status_code=201, dependencies=[permit(Permission.ACCOUNT_READ)])
async def create(body: TicketCreate, context: Context, actor: Actor) -> Ticket:
    """A signed word that lets a browser use one endpoint, folder or app for some minutes."""
    resource = Resource(body.resource, body.name, body.project or "")
    permission = permission_named(resource, body.permission)
    word, expires_at = await create_ticket(context, actor, resource, permission, body.ttl_s)
    return Ticket(word, expires_at)
