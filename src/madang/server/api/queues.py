"""Routes of queues."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query

from madang.core.amounts import plain_amounts, scale_of
from madang.core.permissions import Permission
from madang.schemas import Page
from madang.schemas.queues import (
    Queue,
    QueueChange,
    QueueCreate,
    QueueExplanation,
    ShareLine,
    WaitingJob,
)
from madang.server.api.deps import Actor, Context, PagingQuery, page_of, permit
from madang.server.api.job_views import why_of
from madang.server.context import ServerContext
from madang.server.identity.principal import Principal
from madang.server.workloads import jobs, queue_explain, queues
from madang.server.workloads.queue_explain import Share
from madang.server.workloads.queue_use import QueueUse, read_capacity, read_tree
from madang.server.workloads.tables import WorkloadRow

router = APIRouter(prefix="/queues", tags=["queues"])

ProjectQuery = Annotated[str | None, Query(description="Project, by name or id.")]


@router.get("", dependencies=[permit(Permission.QUEUES_READ)])
async def list_queues(
    context: Context, actor: Actor, paging: PagingQuery, project: ProjectQuery = None
) -> Page[Queue]:
    """Queues of a project; or all that you see with the platform's own, newest first."""
    uses = await queues.list_queues(
        context, actor, project, limit=paging.limit, cursor=paging.cursor
    )
    shown = {queue.id: queue for queue in await _shown(context, actor, uses)}
    return page_of(uses, paging, lambda use: shown[use.queue.id], lambda use: use.queue.id)


@router.post("", status_code=201, dependencies=[permit(Permission.QUEUES_WRITE)])
async def create_queue(body: QueueCreate, context: Context, actor: Actor) -> Queue:
    """Make a queue: maintainers below one of their project's, administrators anywhere."""
    return (await _shown(context, actor, [await queues.create_queue(context, actor, body)]))[0]


@router.get("/{queue}", dependencies=[permit(Permission.QUEUES_READ)])
async def get_queue(
    queue: str, context: Context, actor: Actor, project: ProjectQuery = None
) -> Queue:
    """One queue, by id or by name."""
    use = await queues.get_queue(context, actor, project, queue)
    return (await _shown(context, actor, [use]))[0]


@router.patch("/{queue}", dependencies=[permit(Permission.QUEUES_WRITE)])
async def change_queue(
    queue: str, body: QueueChange, context: Context, actor: Actor, project: ProjectQuery = None
) -> Queue:
    """Change what is given: its share, bounds, place in the tree."""
    use = await queues.change_queue(context, actor, queue, body, project=project)
    return (await _shown(context, actor, [use]))[0]


@router.delete("/{queue}", status_code=204, dependencies=[permit(Permission.QUEUES_WRITE)])
async def delete_queue(
    queue: str, context: Context, actor: Actor, project: ProjectQuery = None
) -> None:
    """Remove a queue that has no other below it and no live work."""
    await queues.delete_queue(context, actor, queue, project=project)


@router.get("/{queue}/explain", dependencies=[permit(Permission.QUEUES_READ)])
async def explain_queue(
    queue: str,
    context: Context,
    actor: Actor,
    project: ProjectQuery = None,
    limit: Annotated[int, Query(ge=1, le=1000, description="Of those that wait.")] = 100,
) -> QueueExplanation:
    """The arithmetic of a queue's share, and who waits in it, why and for how long."""
    found = await queue_explain.explain_queue(context, actor, project, queue, limit=limit)
    rows = [row for _, row in found.waiting]
    async with context.db.read() as session:
        names = await jobs.names_of(session, actor, rows)
    return QueueExplanation(
        queue=(await _shown(context, actor, [found.use]))[0],
        sentences=found.sentences,
        shares=[_line(share, found.kinds) for share in found.shares],
        waiting=[_waiting(position, row, names, actor) for position, row in found.waiting],
    )


async def _shown(context: ServerContext, actor: Principal, uses: list[QueueUse]) -> list[Queue]:
    async with context.db.read() as session:
        names = await queues.project_names_of(session, [use.queue for use in uses])
        tree, capacity = await read_tree(session), await read_capacity(session)
    return [
        Queue(
            id=use.queue.id,
            name=use.queue.name,
            path=use.path,
            parent=use.queue.parent_id,
            project=names[use.queue.project_id] if use.queue.project_id else None,
            description=use.queue.description,
            weight=use.queue.weight,
            guarantee=plain_amounts(use.queue.guarantee, capacity.kinds),
            limit=plain_amounts(use.queue.limit, capacity.kinds),
            borrowing_limit=plain_amounts(use.queue.borrowing_limit, capacity.kinds),
            lending_limit=plain_amounts(use.queue.lending_limit, capacity.kinds),
            reclaimable=use.queue.reclaimable,
            ordering=use.queue.ordering,
            min_runtime_s=use.queue.min_runtime_s,
            open=use.queue.is_open,
            leaf=use.leaf,
            can_write=queues.may_write(actor, tree, use.queue),
            used=plain_amounts(use.used, capacity.kinds),
            borrowed=plain_amounts(use.borrowed, capacity.kinds),
            share=use.share,
            fair_share=use.fair_share,
            waiting=use.waiting,
            running=use.running,
            created_at=use.queue.created_at,
        )
        for use in uses
    ]


def _line(share: Share, kinds: tuple[str, ...]) -> ShareLine:
    scale = scale_of(share.resource, kinds)
    return ShareLine(
        resource=share.resource,
        cluster=share.cluster / scale,
        guarantee=share.guarantee / scale,
        fair=share.fair / scale,
        limit=None if share.limit is None else share.limit / scale,
        used=share.used / scale,
        borrowed=share.borrowed / scale,
        lent=share.lent / scale,
        available=None if share.available is None else share.available / scale,
    )


def _waiting(position: int, row: WorkloadRow, names: jobs.Names, actor: Principal) -> WaitingJob:
    """What belongs to a project that she does not see has its place in the line, and no name."""
    shown = actor.sees(row.project_id)
    return WaitingJob(
        position=position,
        job_id=row.id if shown else "",
        name=row.name if shown else "",
        project=names.projects[row.project_id] if shown else "",
        user=names.users[row.user_id],
        priority=row.priority,
        submitted_at=row.created_at,
        reason=why_of(row.reason, names.jobs) if shown else None,
        expected_start=row.expected_start,
    )
