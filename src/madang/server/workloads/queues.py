"""Queues: what a project's workloads wait in."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import func, or_, select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession

from madang.core.errors import Conflict, NotFound
from madang.core.ids import check_name, new_id
from madang.core.permissions import Permission
from madang.core.states import WorkloadState
from madang.server.context import ServerContext
from madang.server.db.engine import announce
from madang.server.identity.principal import Principal
from madang.server.identity.projects import resolve_project
from madang.server.workloads.tables import QueueRow, WorkloadRow

DEFAULT_QUEUE = "default"


@dataclass(frozen=True, slots=True)
class QueueUse:
    """A queue with how many workloads wait in it and run from it now."""

    queue: QueueRow
    waiting: int
    running: int


async def resolve_queue(
    session: AsyncSession, context: ServerContext, project_id: str, queue: str
) -> QueueRow:
    """The queue of that name or id in the project; the default one for an empty name, made when
    the project has none yet. Needs a writing transaction. Raises NotFound."""
    name = queue or DEFAULT_QUEUE
    found = await session.scalar(
        select(QueueRow).where(
            QueueRow.project_id == project_id, or_(QueueRow.name == name, QueueRow.id == name)
        )
    )
    if found is not None:
        return found
    if name != DEFAULT_QUEUE:
        raise NotFound(
            f"there is no queue {queue!r} in this project",
            field="queue",
            hint="`madang queue list` shows them.",
        )
    return await _make_default(session, context, project_id)


async def create_queue(
    context: ServerContext,
    principal: Principal,
    project: str | None,
    name: str,
    description: str = "",
) -> QueueRow:
    """Make a queue. Raises Forbidden, InvalidInput, Conflict when the name is taken."""
    try:
        async with context.db.transaction() as session:
            found = await resolve_project(session, principal, project)
            principal.require(Permission.QUEUES_WRITE, found.id)
            row = QueueRow(
                id=new_id("queue"),
                project_id=found.id,
                name=check_name(name, "queue"),
                created_at=context.clock.now(),
                description=description,
            )
            session.add(row)
            announce(session, f"queue:{row.id}")
    except IntegrityError:
        raise Conflict(f"there is a queue {name!r} already", field="name") from None
    return row


async def list_queues(
    context: ServerContext,
    principal: Principal,
    project: str | None,
    *,
    limit: int,
    cursor: str | None,
) -> list[QueueUse]:
    """Queues of a project (or of all that she sees), newest first; one more than `limit` when
    there are more."""
    query = select(QueueRow).order_by(QueueRow.id.desc()).limit(limit + 1)
    async with context.db.read() as session:
        if project is not None:
            found = await resolve_project(session, principal, project)
            principal.require(Permission.QUEUES_READ, found.id)
            query = query.where(QueueRow.project_id == found.id)
        elif (visible := principal.visible_projects) is not None:
            query = query.where(QueueRow.project_id.in_(visible))
        if cursor:
            query = query.where(QueueRow.id < cursor)
        return await _with_use(session, list(await session.scalars(query)))


async def get_queue(
    context: ServerContext, principal: Principal, project: str | None, queue: str
) -> QueueUse:
    """One queue by id, or by name in a project. Raises NotFound."""
    async with context.db.read() as session:
        query = select(QueueRow).where(QueueRow.id == queue)
        row = await session.scalar(query)
        if row is None:
            found = await resolve_project(session, principal, project)
            row = await session.scalar(
                select(QueueRow).where(QueueRow.project_id == found.id, QueueRow.name == queue)
            )
        if row is None:
            raise NotFound(f"there is no queue {queue!r}", hint="`madang queue list` shows yours.")
        principal.require(Permission.QUEUES_READ, row.project_id, what="queue")
        return (await _with_use(session, [row]))[0]


async def _with_use(session: AsyncSession, rows: Sequence[QueueRow]) -> list[QueueUse]:
    """Counts come from the rows of what lives: there is no counter that could drift."""
    counts = await session.execute(
        select(WorkloadRow.queue_id, WorkloadRow.state, func.count())
        .where(WorkloadRow.ended_at.is_(None), WorkloadRow.queue_id.in_([row.id for row in rows]))
        .group_by(WorkloadRow.queue_id, WorkloadRow.state)
    )
    waiting: dict[str, int] = {}
    running: dict[str, int] = {}
    for queue_id, state, count in counts:
        target = waiting if state == WorkloadState.PENDING else running
        target[queue_id] = target.get(queue_id, 0) + count
    return [QueueUse(row, waiting.get(row.id, 0), running.get(row.id, 0)) for row in rows]


async def _make_default(
    session: AsyncSession, context: ServerContext, project_id: str
) -> QueueRow:
    row = QueueRow(
        id=new_id("queue"),
        project_id=project_id,
        name=DEFAULT_QUEUE,
        created_at=context.clock.now(),
    )
    try:
        async with session.begin_nested():
            session.add(row)
    except IntegrityError:  # somebody else's first submission was quicker
        found = await session.scalar(
            select(QueueRow).where(
                QueueRow.project_id == project_id, QueueRow.name == DEFAULT_QUEUE
            )
        )
        assert found is not None
        return found
    return row
