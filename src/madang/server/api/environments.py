"""Routes of environments."""

from __future__ import annotations

from typing import Annotated, cast

from fastapi import APIRouter, Query, Response

from madang.core.permissions import Permission
from madang.schemas import Page
from madang.schemas.environments import (
    Environment,
    EnvironmentCreate,
    EnvironmentLog,
    EnvironmentState,
)
from madang.server.api.deps import Actor, Context, PagingQuery, page_of, permit
from madang.server.environments import service
from madang.server.environments.tables import EnvironmentRow

router = APIRouter(prefix="/environments", tags=["environments"])

ProjectQuery = Annotated[str | None, Query(description="Project, by name or id.")]


def _environment(row: EnvironmentRow) -> Environment:
    return Environment(
        id=row.id,
        name=row.name,
        version=row.version,
        project_id=row.project_id,
        state=cast(EnvironmentState, row.state),
        python=row.python,
        packages=row.packages,
        lock=row.lock,
        error=row.error,
        digest=row.digest,
        size_bytes=row.size_bytes,
        build_seconds=row.build_seconds,
        created_at=row.created_at,
        ended_at=row.ended_at,
    )


@router.get("", dependencies=[permit(Permission.ENVIRONMENTS_READ)])
async def list_environments(
    context: Context,
    actor: Actor,
    paging: PagingQuery,
    project: ProjectQuery = None,
    name: str | None = None,
    state: EnvironmentState | None = None,
) -> Page[Environment]:
    """Environments that you see, newest first."""
    rows = await service.list_environments(
        context,
        actor,
        project=project,
        name=name,
        state=state,
        limit=paging.limit,
        cursor=paging.cursor,
    )
    return page_of(rows, paging, _environment)


@router.post("", status_code=201, dependencies=[permit(Permission.ENVIRONMENTS_WRITE)])
async def create_environment(
    body: EnvironmentCreate, context: Context, actor: Actor, response: Response
) -> Environment:
    """Ask for an environment. 200 instead of 201: there is a version with this content already."""
    row, is_new = await service.create_environment(
        context, actor, body.name, body.packages, project=body.project, python=body.python
    )
    if not is_new:
        response.status_code = 200
    return _environment(row)


@router.get("/{environment}", dependencies=[permit(Permission.ENVIRONMENTS_READ)])
async def get_environment(
    environment: str, context: Context, actor: Actor, project: ProjectQuery = None
) -> Environment:
    """One environment: a name (its newest version), `name@version` or an id."""
    return _environment(
        await service.get_environment(context, actor, environment, project=project)
    )


@router.get("/{environment}/log", dependencies=[permit(Permission.ENVIRONMENTS_READ)])
async def read_log(
    environment: str,
    context: Context,
    actor: Actor,
    project: ProjectQuery = None,
    offset: Annotated[int, Query(ge=0, le=2**40)] = 0,
    wait_s: Annotated[float, Query(ge=0, le=30)] = 0.0,
) -> EnvironmentLog:
    """What its build said, from `offset` on; waits up to `wait_s` seconds for more."""
    text, next_offset, complete = await service.read_log(
        context, actor, environment, project=project, offset=offset, wait_s=wait_s
    )
    return EnvironmentLog(text, next_offset, complete)


@router.post("/{environment}/retry", dependencies=[permit(Permission.ENVIRONMENTS_WRITE)])
async def retry_environment(
    environment: str, context: Context, actor: Actor, project: ProjectQuery = None
) -> Environment:
    """Build one again that failed."""
    row = await service.retry_environment(context, actor, environment, project=project)
    return _environment(row)


@router.delete(
    "/{environment}", status_code=204, dependencies=[permit(Permission.ENVIRONMENTS_WRITE)]
)
async def remove_environment(
    environment: str, context: Context, actor: Actor, project: ProjectQuery = None
) -> None:
    """Remove a version; refused while something that runs uses it."""
    await service.remove_environment(context, actor, environment, project=project)
