"""One's own account."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import select

from madang.core.permissions import Permission
from madang.server.context import ServerContext
from madang.server.identity.principal import Principal
from madang.server.identity.tables import ProjectRow, UserRow
from madang.server.identity.users import resolve_user

_MOST_PROJECTS = 200


@dataclass(frozen=True, slots=True)
class OwnAccount:
    user: UserRow
    projects: Sequence[ProjectRow]


async def describe(context: ServerContext, principal: Principal) -> OwnAccount:
    """The person and the projects that she sees (the first 200 by name)."""
    principal.require(Permission.ACCOUNT_READ)
    query = select(ProjectRow).order_by(ProjectRow.name).limit(_MOST_PROJECTS)
    if (visible := principal.visible_projects) is not None:
        query = query.where(ProjectRow.id.in_(visible))
    async with context.db.read() as session:
        user = await resolve_user(session, principal.user_id)
        return OwnAccount(user, list(await session.scalars(query)))
