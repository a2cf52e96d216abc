"""Directories that exist already, used where they are: a NAS export, a colleague's data disk."""

from __future__ import annotations

import asyncio
import os
import stat
from pathlib import Path

from sqlalchemy.exc import IntegrityError

from madang.core.errors import Conflict, InvalidInput
from madang.core.ids import check_name, new_id
from madang.core.permissions import Permission
from madang.schemas.folders import FolderAccessLevel, FolderRegister
from madang.server.context import ServerContext
from madang.server.db.engine import announce
from madang.server.identity.principal import Principal
from madang.server.identity.projects import resolve_project
from madang.server.storage.folders import FolderView, grant_access, view_of
from madang.server.storage.tables import FolderRow, VolumeRow

SYSTEM_TREES = (
    *map(Path, ("/bin", "/boot", "/dev", "/etc", "/lib", "/lib32", "/lib64", "/libx32")),
    *map(Path, ("/proc", "/root", "/run", "/sbin", "/sys", "/usr")),
    *map(Path, ("/var/cache", "/var/db", "/var/lib/dpkg", "/var/log", "/var/run", "/var/spool")),
)
"""None of these, nor anything in them, can be a folder: who writes there owns the node."""

_TOP_LEVELS = (
    *map(Path, ("/", "/home", "/media", "/mnt", "/opt", "/srv", "/tmp", "/var", "/var/lib")),
)
"""These hold many people's things: one directory in them can be a folder, not all at once."""

_FIRST_ORDINARY_GID = 1000


async def register_folder(
    context: ServerContext, principal: Principal, wanted: FolderRegister
) -> FolderView:
    """Make a folder of a directory that exists, without copying or changing anything in it.

    Administrators only. Raises InvalidInput for what is no directory and for paths that must not
    be shared (the system's, the platform's own), Conflict when it or its name is taken.
    """
    principal.require(Permission.VOLUMES_WRITE)
    path, gid = await asyncio.to_thread(_examine, context, wanted.path)
    name = check_name(wanted.name or path.name.lower().replace(" ", "-"), "folder")
    now = context.clock.now()
    try:
        async with context.db.transaction() as session:
            project = await resolve_project(session, principal, wanted.project)
            volume = VolumeRow(
                id=new_id("vol"),
                name=f"{project.name}.{name}",
                root=str(path),
                created_at=now,
                identity=wanted.identity,
                in_place=True,
            )
            session.add(volume)
            await session.flush()
            row = FolderRow(
                id=new_id("fold"),
                project_id=project.id,
                name=name,
                volume_id=volume.id,
                path=str(path),
                owner_id=principal.user_id,
                created_at=now,
                description=wanted.description,
                gid=gid,
                read_only=wanted.read_only,
            )
            session.add(row)
            await session.flush()
            if wanted.share != "none":
                grant_access(session, context, row.id, project.id, FolderAccessLevel(wanted.share))
            announce(session, f"folder:{row.id}", f"project:{project.id}:folders")
            return await view_of(session, principal, row)
    except IntegrityError:
        raise Conflict(
            f"{str(path)!r} or the name {name!r} is registered already",
            field="path",
            hint="`madang folder list` shows it; another name is given with --name.",
        ) from None


def _examine(context: ServerContext, given: str) -> tuple[Path, int | None]:
    """The directory's real path and the group through which tasks may reach its files."""
    if not os.path.isabs(given):
        raise InvalidInput(f"{given!r} is not an absolute path", field="path")
    try:
        path = Path(given).resolve(strict=True)
        status = path.stat()
    except (OSError, ValueError) as error:
        cause = getattr(error, "strerror", None) or str(error)
        raise InvalidInput(f"{given!r} can't be registered: {cause}", field="path") from None
    if not stat.S_ISDIR(status.st_mode):
        raise InvalidInput(f"{given!r} is not a directory", field="path")
    refuse_protected(path, context.paths.state_dir.resolve())
    return path, status.st_gid if status.st_gid >= _FIRST_ORDINARY_GID else None


def refuse_protected(path: Path, state_dir: Path) -> None:
    """Raises InvalidInput for a (resolved) path that must not become a folder."""
    reason = None
    if path in _TOP_LEVELS or any(tree.is_relative_to(path) for tree in SYSTEM_TREES):
        reason = "holds parts of the system"
    elif any(path.is_relative_to(tree) for tree in SYSTEM_TREES):
        reason = "belongs to the system"
    elif path.is_relative_to(state_dir) or state_dir.is_relative_to(path):
        reason = "holds the platform's own state"
    if reason:
        raise InvalidInput(
            f"{str(path)!r} can't be registered: it {reason}",
            field="path",
            hint="Register the directory that holds the data itself.",
        )
