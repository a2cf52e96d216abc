"""What the gateway needs to know before it touches a folder's files."""

from __future__ import annotations

from pathlib import Path

from sqlalchemy.ext.asyncio import AsyncSession

from madang.schemas.folders import FolderAccessLevel
from madang.server.context import ServerContext
from madang.server.db.engine import announce
from madang.server.identity.principal import Principal
from madang.server.storage.folders import folder_path, resolve_folder
from madang.server.storage.granted import SERVICE_NAME, FolderAccess
from madang.server.storage.ownership import owner_of_files
from madang.server.storage.rights import require_access
from madang.server.storage.tables import VolumeRow
from madang.server.storage.usage import quota_left


async def folder_access(
    context: ServerContext,
    session: AsyncSession,
    principal: Principal,
    project: str | None,
    folder: str,
    write: bool,
) -> FolderAccess:
    """Check that she may read (or write) the folder, and say where it is and whose files become.

    Raises NotFound, Forbidden. With `write`, `session` must be a transaction's: she is given a
    uid at her first file.
    """
    row = await resolve_folder(session, principal, project, folder)
    level = FolderAccessLevel.READ_WRITE if write else FolderAccessLevel.READ_ONLY
    await require_access(session, principal, row, level)
    volume = await session.get_one(VolumeRow, row.volume_id)
    root = folder_path(context, row)
    service = service_path(root, volume.in_place)
    if not write:
        return FolderAccess(row.id, str(root), str(service), True, volume.in_place, principal.name)
    announce(session, f"folder-usage:{row.id}")
    owner = await owner_of_files(context, session, principal.user_id, row, volume)
    return FolderAccess(
        row.id,
        str(root),
        str(service),
        False,
        volume.in_place,
        principal.name,
        owner.uid,
        owner.gid,
        quota_left(row),
    )


def service_path(root: Path, in_place: bool) -> Path:
    """The server's own directory of a folder: on its file system, out of people's sight."""
    return root / SERVICE_NAME if in_place else root.parent
