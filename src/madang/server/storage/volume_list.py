"""What volumes there are, what they can do, how full they are."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import select

from madang.server.context import ServerContext
from madang.server.identity.principal import Principal
from madang.server.storage.folders import main_volume
from madang.server.storage.tables import FolderRow, VolumeRow
from madang.server.storage.volumes import Space, SupportsQuota, open_volume

_ANSWER_S = 2.0


@dataclass(frozen=True, slots=True)
class VolumeInfo:
    """A volume as it is now; `space` is None when its file system does not answer."""

    row: VolumeRow
    kind: str
    abilities: list[str]
    root: Path
    space: Space | None


async def list_volumes(
    context: ServerContext, principal: Principal, *, limit: int, cursor: str | None
) -> list[VolumeInfo]:
    """The main volume, and registered directories of the projects that she sees."""
    async with context.db.transaction() as session:
        await main_volume(session, context)
    query = select(VolumeRow).order_by(VolumeRow.id.desc()).limit(limit + 1)
    if cursor:
        query = query.where(VolumeRow.id < cursor)
    if (visible := principal.visible_projects) is not None:
        theirs = select(FolderRow.volume_id).where(FolderRow.project_id.in_(visible))
        query = query.where((VolumeRow.in_place.is_(False)) | VolumeRow.id.in_(theirs))
    async with context.db.read() as session:
        rows = list(await session.scalars(query))
    return list(await asyncio.gather(*(_examined(context, row) for row in rows)))


async def _examined(context: ServerContext, row: VolumeRow) -> VolumeInfo:
    """A NAS that hangs must not hang the list."""
    root = Path(row.root) if row.in_place else context.paths.volume
    looking = asyncio.to_thread(_look, row, root)
    try:
        return await asyncio.wait_for(looking, _ANSWER_S)
    except (TimeoutError, OSError):
        return VolumeInfo(row, "path", [], root, None)


def _look(row: VolumeRow, root: Path) -> VolumeInfo:
    volume = open_volume(root)
    enforces = isinstance(volume, SupportsQuota) and not row.in_place
    return VolumeInfo(row, volume.kind, ["quota"] if enforces else [], root, volume.space())
