"""How much a folder holds, and how much it may."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable
from pathlib import Path

from madang.core.errors import Unavailable, Unsupported
from madang.core.permissions import Permission
from madang.files import Kind, scan
from madang.schemas.folders import FolderAccessLevel
from madang.server.context import ServerContext
from madang.server.db.engine import announce
from madang.server.identity.principal import Principal
from madang.server.storage.folders import FolderView, folder_path, resolve_folder, view_of
from madang.server.storage.rights import require_access
from madang.server.storage.tables import FolderRow, VolumeRow
from madang.server.storage.volumes import SupportsQuota, open_volume


async def set_quota(
    context: ServerContext,
    principal: Principal,
    project: str | None,
    folder: str,
    limit_bytes: int | None,
) -> FolderView:
    """Limit a folder (administrators): by the file system where it can, else by measuring."""
    principal.require(Permission.VOLUMES_WRITE)
    async with context.db.read() as session:
        row = await resolve_folder(session, principal, project, folder)
        volume_row = await session.get_one(VolumeRow, row.volume_id)
    enforced = False
    if not volume_row.in_place:
        enforced = await asyncio.to_thread(
            _set_on_disk, context.paths.volume, row.path, row.gid or 0, limit_bytes
        )
    async with context.db.transaction() as session:
        row = await session.get_one(FolderRow, row.id)
        row.quota_bytes = limit_bytes
        row.quota_enforced = enforced and limit_bytes is not None
        announce(session, f"folder:{row.id}")
    await measure(context, row.id)
    async with context.db.read() as session:
        return await view_of(session, principal, await session.get_one(FolderRow, row.id))


async def measure_folder(
    context: ServerContext, principal: Principal, project: str | None, folder: str
) -> FolderView:
    """Measure now, and return the folder with its usage."""
    async with context.db.read() as session:
        row = await resolve_folder(session, principal, project, folder)
        await require_access(session, principal, row, FolderAccessLevel.READ_ONLY)
    await measure(context, row.id)
    async with context.db.read() as session:
        return await view_of(session, principal, await session.get_one(FolderRow, row.id))


async def measure(context: ServerContext, folder_id: str) -> None:
    """Count the folder's files and bytes and keep the sums; does nothing when it is gone."""
    async with context.db.read() as session:
        row = await session.get_one(FolderRow, folder_id)
    started_at = context.clock.now()
    try:
        num_bytes, num_files = await asyncio.to_thread(count_usage, folder_path(context, row))
    except FileNotFoundError:
        return
    except OSError as error:
        raise Unavailable(f"folder {row.name!r} can't be read: {error.strerror}") from None
    async with context.db.transaction() as session:
        row = await session.get_one(FolderRow, folder_id)
        row.usage_bytes, row.usage_files, row.usage_at = num_bytes, num_files, started_at
        announce(session, f"folder:{row.id}")


def quota_left(folder: FolderRow) -> int | None:
    """Bytes that may still be added, as of the last measurement; None without a quota."""
    if folder.quota_bytes is None:
        return None
    return max(0, folder.quota_bytes - (folder.usage_bytes or 0))


def count_usage(root: Path) -> tuple[int, int]:
    """Bytes and files below `root`: by native threads, or by Python where they are missing."""
    try:
        listing = scan(root)
    except Unsupported:
        return _count_with_python(root)
    files = listing.kinds == Kind.FILE
    return int(listing.sizes[files].sum()), int(files.sum())


def _count_with_python(root: Path) -> tuple[int, int]:
    num_bytes = num_files = 0
    on_error: Callable[[OSError], None] = _raise_for_root(os.fspath(root))
    for directory, _, names, descriptor in os.fwalk(root, onerror=on_error):
        del directory
        for name in names:
            try:
                status = os.stat(name, dir_fd=descriptor, follow_symlinks=False)
            except FileNotFoundError:
                continue
            num_bytes += status.st_size
            num_files += 1
    return num_bytes, num_files


def _raise_for_root(root: str) -> Callable[[OSError], None]:
    def on_error(error: OSError) -> None:
        if error.filename == root:
            raise error

    return on_error


def _set_on_disk(root: Path, path: str, quota_id: int, limit_bytes: int | None) -> bool:
    """Whether the file system enforces it."""
    volume = open_volume(root)
    if not isinstance(volume, SupportsQuota):
        return False
    try:
        volume.set_quota(path, quota_id, limit_bytes)
    except Unsupported:
        return False
    return True
