"""Routes of queues."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query

from madang.core.permissions import Permission
from madang.schemas import Page
from madang.schemas.queues import Queue, QueueCreate
from madang.server.api.deps import Actor, Context, PagingQuery, page_of, permit
from madang.server.workloads import queues
from madang.server.workloads.queues import QueueUse
from madang.server.workloads.service import project_names

router = APIRouter(prefix="/queues", tags=["queues"])

ProjectQuery = Annotated[str | None, Query(description="Project, by name or id.")]


def _queue(use: QueueUse, projects: dict[str, str]) -> Queue:
    return Queue(
        id=use.queue.id,
        name=use.queue.name,
        project=projects[use.queue.project_id],
        description=use.queue.description,
        waiting=use.waiting,
        running=use.running,
        created_at=use.queue.created_at,
    )


@router.get("", dependencies=[permit(Permission.QUEUES_READ)])
async def list_queues(
    context: Context, actor: Actor, paging: PagingQuery, project: ProjectQuery = None
) -> Page[Queue]:
    """Queues of a project, or of all that you see, newest first."""
    uses = await queues.list_queues(
        context, actor, project, limit=paging.limit, cursor=paging.cursor
    )
    names = await project_names(context, {use.queue.project_id for use in uses})
    return page_of(uses, paging, lambda use: _queue(use, names), lambda use: use.queue.id)


@router.post("", status_code=201, dependencies=[permit(Permission.QUEUES_WRITE)])
async def create_queue(body: QueueCreate, context: Context, actor: Actor) -> Queue:
    """Make a queue in a project."""
    row = await queues.create_queue(context, actor, body.project, body.name, body.description)
    names = await project_names(context, {row.project_id})
    return _queue(QueueUse(row, 0, 0), names)


@router.get("/{queue}", dependencies=[permit(Permission.QUEUES_READ)])
async def get_queue(
    queue: str, context: Context, actor: Actor, project: ProjectQuery = None
) -> Queue:
    """One queue, by id, or by name in a project."""
    use = await queues.get_queue(context, actor, project, queue)
    return _queue(use, await project_names(context, {use.queue.project_id}))
