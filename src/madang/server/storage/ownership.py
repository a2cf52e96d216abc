"""Whom files belong to: architecture decision 4.

Shared mode (the server is root): a file is its writer's (her own uid) and the folder's (a gid of
its own), readable and writable for both, setgid directories hand the group down. Personal mode:
everything is the one user's who runs the server.
"""

from __future__ import annotations

import os
from pathlib import Path

from sqlalchemy.ext.asyncio import AsyncSession

from madang.server.context import ServerContext
from madang.server.identity import os_users
from madang.server.storage.tables import FolderRow, VolumeRow
from madang.server.storage.volumes import Owner


def is_shared_mode() -> bool:
    return os.geteuid() == 0


async def owner_of_files(
    context: ServerContext,
    session: AsyncSession,
    user_id: str,
    folder: FolderRow,
    volume: VolumeRow,
) -> Owner:
    """Whom a file that this person puts into the folder must belong to.

    `session` must be a transaction's when she may not have a uid yet.
    """
    if not is_shared_mode():
        return Owner()
    if volume.identity == "single":
        top = os.stat(Path(volume.root))
        return Owner(top.st_uid, top.st_gid)
    uid = (await os_users.task_user(context, session, user_id)).uid
    return Owner(uid, folder.gid)
