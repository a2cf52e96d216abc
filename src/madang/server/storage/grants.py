"""Sharing folders: with a person, or with all members of a project."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from sqlalchemy import delete, or_, select
from sqlalchemy.ext.asyncio import AsyncSession

from madang.core.errors import NotFound
from madang.schemas.folders import FolderAccessLevel
from madang.server.context import ServerContext
from madang.server.db.engine import announce
from madang.server.identity.principal import Principal
from madang.server.identity.tables import ProjectRow, UserRow
from madang.server.storage.folders import grant_access, resolve_folder
from madang.server.storage.rights import require_access
from madang.server.storage.tables import GrantRow

GranteeKind = Literal["user", "project"]


@dataclass(frozen=True, slots=True)
class NamedGrant:
    kind: GranteeKind
    name: str
    access: FolderAccessLevel
    created_at: datetime


async def list_grants(
    context: ServerContext, principal: Principal, project: str | None, folder: str
) -> list[NamedGrant]:
    """Who it is shared with, oldest first; its owner and the maintainers need no grant."""
    async with context.db.read() as session:
        row = await resolve_folder(session, principal, project, folder)
        await require_access(session, principal, row, FolderAccessLevel.READ_ONLY)
        grants = await session.execute(
            select(GrantRow, UserRow.name, ProjectRow.name)
            .outerjoin(UserRow, UserRow.id == GrantRow.grantee_id)
            .outerjoin(ProjectRow, ProjectRow.id == GrantRow.grantee_id)
            .where(GrantRow.folder_id == row.id)
            .order_by(GrantRow.id)
        )
        return [
            NamedGrant(
                "user" if user else "project",
                user or project_name or grant.grantee_id,
                FolderAccessLevel(grant.access),
                grant.created_at,
            )
            for grant, user, project_name in grants
        ]


async def set_grant(
    context: ServerContext,
    principal: Principal,
    project: str | None,
    folder: str,
    *,
    kind: GranteeKind,
    name: str,
    access: FolderAccessLevel | None,
) -> None:
    """Share it, or stop sharing (None); safe to repeat. Tasks that run keep what they have."""
    async with context.db.transaction() as session:
        row = await resolve_folder(session, principal, project, folder)
        await require_access(session, principal, row, FolderAccessLevel.MANAGE)
        grantee_id = await _grantee(session, kind, name)
        await session.execute(
            delete(GrantRow).where(GrantRow.folder_id == row.id, GrantRow.grantee_id == grantee_id)
        )
        if access is not None:
            grant_access(session, context, row.id, grantee_id, access)
        announce(session, f"folder:{row.id}", f"project:{row.project_id}:folders")


async def _grantee(session: AsyncSession, kind: GranteeKind, name: str) -> str:
    table = UserRow if kind == "user" else ProjectRow
    found = await session.scalar(select(table.id).where(or_(table.id == name, table.name == name)))
    if found is None:
        raise NotFound(f"there is no {kind} {name!r}", field="name")
    return found
