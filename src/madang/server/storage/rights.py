"""What a person may do in a folder: from her role, from ownership and from grants."""

from __future__ import annotations

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from madang.core.errors import Forbidden
from madang.core.permissions import Permission, Role, scopes_allow
from madang.schemas.folders import FolderAccessLevel
from madang.server.identity.principal import Principal
from madang.server.storage.tables import FolderRow, GrantRow


async def rights_on(
    session: AsyncSession, principal: Principal, folder: FolderRow
) -> FolderAccessLevel:
    """The highest of: manage for administrators, maintainers and the owner; what is granted to
    her or to a project of hers. Roles and the token's scopes cap it; `read_only` folders are not
    capped here, since managing one stays possible."""
    found = _by_role(principal, folder)
    if found is FolderAccessLevel.MANAGE:
        return _capped(principal, found)
    for grant in await session.scalars(select(GrantRow).where(GrantRow.folder_id == folder.id)):
        granted = _by_grant(principal, folder, grant)
        found = granted if granted.includes(found) else found
    return _capped(principal, found)


async def may_see(session: AsyncSession, principal: Principal, folder: FolderRow) -> bool:
    """Members of its project see that a folder exists; others when it is shared with them."""
    if principal.sees(folder.project_id):
        return True
    return await rights_on(session, principal, folder) is not FolderAccessLevel.NONE


async def require_access(
    session: AsyncSession, principal: Principal, folder: FolderRow, wanted: FolderAccessLevel
) -> None:
    """Raises Forbidden, saying what she lacks and who can help."""
    found = await rights_on(session, principal, folder)
    if wanted is FolderAccessLevel.READ_WRITE and folder.read_only:
        raise Forbidden(f"folder {folder.name!r} is read-only for everyone", field="folder")
    if found.includes(wanted):
        return
    if principal.sees(folder.project_id):
        needed = (
            Permission.FOLDERS_READ
            if wanted is FolderAccessLevel.READ_ONLY
            else Permission.FOLDERS_WRITE
        )
        principal.require(needed, folder.project_id, "folder")
    raise Forbidden(
        f"you have {found} access to folder {folder.name!r}; this takes {wanted}",
        field="folder",
        hint="Its owner or a maintainer of its project can share it: `madang folder share`.",
    )


def _by_role(principal: Principal, folder: FolderRow) -> FolderAccessLevel:
    if not principal.sees(folder.project_id):
        return FolderAccessLevel.NONE
    if principal.is_admin or principal.roles.get(folder.project_id) is Role.MAINTAINER:
        return FolderAccessLevel.MANAGE
    if folder.owner_id != principal.user_id:
        return FolderAccessLevel.NONE
    if principal.allows(Permission.FOLDERS_WRITE, folder.project_id):
        return FolderAccessLevel.MANAGE
    return FolderAccessLevel.READ_ONLY


def _by_grant(principal: Principal, folder: FolderRow, grant: GrantRow) -> FolderAccessLevel:
    level = FolderAccessLevel(grant.access)
    if grant.grantee_id == principal.user_id:
        if principal.sees(folder.project_id):
            return _within_role(principal, folder.project_id, level)
        # A token for one project must not reach what its owner may use elsewhere.
        return FolderAccessLevel.NONE if principal.project_id else level
    if principal.sees(grant.grantee_id):
        return _within_role(principal, grant.grantee_id, level)
    return FolderAccessLevel.NONE


def _within_role(
    principal: Principal, project_id: str, level: FolderAccessLevel
) -> FolderAccessLevel:
    if principal.allows(Permission.FOLDERS_WRITE, project_id):
        return level
    if principal.allows(Permission.FOLDERS_READ, project_id):
        return FolderAccessLevel.READ_ONLY
    return FolderAccessLevel.NONE


def _capped(principal: Principal, level: FolderAccessLevel) -> FolderAccessLevel:
    if level is FolderAccessLevel.NONE or not scopes_allow(
        principal.scopes, Permission.FOLDERS_READ
    ):
        return FolderAccessLevel.NONE
    if not scopes_allow(principal.scopes, Permission.FOLDERS_WRITE):
        return FolderAccessLevel.READ_ONLY
    return level
