"""Reading the history: what happened, to what, by whom."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence

from sqlalchemy import ColumnElement, and_, or_, select

from madang.core.permissions import Permission
from madang.server.context import ServerContext
from madang.server.identity.principal import Principal
from madang.server.identity.projects import resolve_project
from madang.server.workloads.tables import EventRow

_WAIT_S = 20.0
_LOOK_BACK = 200
"""On PostgreSQL a transaction may commit after one with a higher number: a stream looks this far
back, and remembers what it has told."""
_AT_ONCE = 500


async def list_events(
    context: ServerContext,
    principal: Principal,
    *,
    project: str | None = None,
    workload_id: str | None = None,
    subject: str | None = None,
    limit: int,
    cursor: str | None = None,
) -> Sequence[EventRow]:
    """Events that she may see, newest first; one more than `limit` when there are more."""
    query = select(EventRow).order_by(EventRow.id.desc()).limit(limit + 1)
    if cursor and cursor.isdigit():
        query = query.where(EventRow.id < int(cursor))
    if workload_id is not None:
        query = query.where(EventRow.workload_id == workload_id)
    if subject is not None:
        query = query.where(EventRow.subject == subject)
    async with context.db.read() as session:
        if project is not None:
            found = await resolve_project(session, principal, project)
            principal.require(Permission.EVENTS_READ, found.id)
            query = query.where(EventRow.project_id == found.id)
        elif (visible := _visible(principal)) is not None:
            query = query.where(visible)
        return (await session.scalars(query)).all()


async def stream_events(
    context: ServerContext,
    principal: Principal,
    *,
    project: str | None = None,
    workload_id: str | None = None,
    after: int | None = None,
) -> AsyncIterator[EventRow | None]:
    """Events as they happen, each once; those after number `after` first, when it is given.
    None now and then when there is nothing to tell."""
    conditions: list[ColumnElement[bool]] = []
    async with context.db.read() as session:
        if project is not None:
            found = await resolve_project(session, principal, project)
            principal.require(Permission.EVENTS_READ, found.id)
            conditions.append(EventRow.project_id == found.id)
        elif (visible := _visible(principal)) is not None:
            conditions.append(visible)
        newest = await session.scalar(select(EventRow.id).order_by(EventRow.id.desc()).limit(1))
    if workload_id is not None:
        conditions.append(EventRow.workload_id == workload_id)
    start = (newest or 0) if after is None else after
    told: set[int] = set()
    reached = start
    with context.bus.subscribe("workload:", "event:", "node:") as changes:
        while True:
            async with context.db.read() as session:
                rows = (
                    await session.scalars(
                        select(EventRow)
                        .where(EventRow.id > max(start, reached - _LOOK_BACK), *conditions)
                        .order_by(EventRow.id)
                        .limit(_AT_ONCE)
                    )
                ).all()
            fresh = [row for row in rows if row.id not in told]
            for row in fresh:
                told.add(row.id)
                reached = max(reached, row.id)
                yield row
            told = {number for number in told if number > reached - _LOOK_BACK}
            if not fresh:
                if not await changes.wait(_WAIT_S):
                    yield None
                await asyncio.sleep(0)


def _visible(principal: Principal) -> ColumnElement[bool] | None:
    """Events of her projects, and those of nodes, which belong to no project; None: all."""
    projects = principal.visible_projects
    if projects is None:
        return None
    readable = [name for name in projects if principal.allows(Permission.EVENTS_READ, name)]
    of_nodes = and_(EventRow.project_id.is_(None), EventRow.subject.startswith("node-"))
    return or_(EventRow.project_id.in_(readable), of_nodes)
