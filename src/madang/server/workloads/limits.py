"""Limits of users and projects, in the whole cluster."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from sqlalchemy import or_, select
from sqlalchemy.ext.asyncio import AsyncSession

from madang.core.amounts import parse_amounts
from madang.core.errors import InvalidInput, NotFound
from madang.core.permissions import Permission
from madang.schemas.limits import LimitSet
from madang.server.context import ServerContext
from madang.server.db.engine import announce
from madang.server.identity.principal import Principal
from madang.server.identity.tables import ProjectRow, UserRow
from madang.server.workloads.history import record_event
from madang.server.workloads.queue_use import read_capacity
from madang.server.workloads.tables import LimitRow

EVERYBODY = "*"

_TABLES: dict[str, type[UserRow] | type[ProjectRow]] = {"user": UserRow, "project": ProjectRow}


@dataclass(frozen=True, slots=True)
class NamedLimit:
    """A limit with its subject in words: `user:mina`."""

    row: LimitRow
    subject: str
    kinds: tuple[str, ...]


async def list_limits(context: ServerContext, principal: Principal) -> list[NamedLimit]:
    """All limits for administrators; for others what holds for them and their projects."""
    principal.require(Permission.SCHEDULING_READ)
    async with context.db.read() as session:
        rows = list(await session.scalars(select(LimitRow).order_by(LimitRow.subject)))
        kinds = (await read_capacity(session)).kinds
        names = await _names(session)
    visible = principal.visible_projects
    if visible is not None:
        allowed = {f"user:{principal.user_id}", f"user:{EVERYBODY}", f"project:{EVERYBODY}"}
        allowed |= {f"project:{project_id}" for project_id in visible}
        rows = [row for row in rows if row.subject in allowed]
    return [
        NamedLimit(row, _in_words(row.subject, names), kinds)
        for row in rows
        if row.subject in names or row.subject.endswith(EVERYBODY)
    ]


async def set_limit(context: ServerContext, principal: Principal, request: LimitSet) -> NamedLimit:
    """Set what a subject may have at once; without any bound the limit is removed. What runs
    already goes on. Raises Forbidden, NotFound, InvalidInput."""
    principal.require(Permission.SCHEDULING_WRITE)
    async with context.db.transaction() as session:
        subject = await _resolve(session, request.subject)
        kinds = (await read_capacity(session)).kinds
        row = LimitRow(
            subject=subject,
            running=request.running,
            pending=request.pending,
            amounts=parse_amounts(request.amounts, "amounts", kinds),
        )
        known = await session.get(LimitRow, subject)
        if row.running is None and row.pending is None and not row.amounts:
            if known is not None:
                await session.delete(known)
        else:
            await session.merge(row)
        record_event(
            session,
            at=context.clock.now(),
            subject=subject,
            action="limited",
            actor=principal.name,
            project_id=None,
        )
        announce(session, f"limit:{subject}")
        return NamedLimit(row, _in_words(subject, await _names(session)), kinds)


async def _resolve(session: AsyncSession, subject: str) -> str:
    """`user:ID` from `user:NAME`."""
    kind, separator, name = subject.partition(":")
    table = _TABLES.get(kind)
    if table is None or not separator or not name:
        raise InvalidInput(
            f"{subject!r} is nobody who could be limited",
            field="subject",
            hint="Write user:NAME, project:NAME, user:* or project:*.",
        )
    if name == EVERYBODY:
        return subject
    found = await session.scalar(select(table.id).where(or_(table.id == name, table.name == name)))
    if found is None:
        raise NotFound(f"there is no {kind} {name!r}", field="subject")
    return f"{kind}:{found}"


async def _names(session: AsyncSession) -> dict[str, str]:
    names = {}
    for kind, table in _TABLES.items():
        for found, name in await session.execute(select(table.id, table.name)):
            names[f"{kind}:{found}"] = f"{kind}:{name}"
    return names


def _in_words(subject: str, names: Mapping[str, str]) -> str:
    return names.get(subject, subject)
