"""Housekeeping of storage: purging trash and old uploads, measuring usage, mending folders."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from datetime import timedelta

import structlog
from sqlalchemy import select

from madang.core.errors import MadangError
from madang.server.context import ServerContext
from madang.server.storage import staging
from madang.server.storage.access import service_path
from madang.server.storage.file_trash import purge_entry, trashed_entries
from madang.server.storage.folders import folder_path, make_on_disk, purge
from madang.server.storage.granted import FolderAccess
from madang.server.storage.ownership import owner_of_files
from madang.server.storage.place import open_place
from madang.server.storage.tables import FolderRow, VolumeRow
from madang.server.storage.usage import measure

log = structlog.get_logger()

HOUSEKEEPING_S = 3600.0
MEASURE_DELAY_S = 20.0
"""Usage is measured this long after the first write, so that one upload is measured once."""

UPLOAD_DAYS = 7.0
"""An upload that nobody goes on with is forgotten after this."""


async def run(context: ServerContext) -> None:
    """Keep house every hour; measure folders soon after they were written to."""
    next_housekeeping = context.clock.monotonic()
    written: set[str] = set()
    measure_at: float | None = None
    with context.bus.subscribe("folder-usage:") as subscription:
        while True:
            now = context.clock.monotonic()
            if now >= next_housekeeping:
                await keep_house(context)
                next_housekeeping = context.clock.monotonic() + HOUSEKEEPING_S
            if measure_at is not None and now >= measure_at:
                await _each(context, sorted(written), measure)
                written.clear()
                measure_at = None
            due = min(next_housekeeping, measure_at or next_housekeeping)
            topics = await subscription.wait(max(0.0, due - context.clock.monotonic()))
            if topics:
                written.update(topic.partition(":")[2] for topic in topics)
                measure_at = measure_at or context.clock.monotonic() + MEASURE_DELAY_S


async def keep_house(context: ServerContext) -> None:
    """Everything once; a folder that fails is logged and does not hinder the others."""
    too_old = context.clock.now() - timedelta(days=context.settings.trash_days)
    live = select(FolderRow.id).where(FolderRow.trashed_at.is_(None))
    async with context.db.read() as session:
        trashed = await session.scalars(
            select(FolderRow.id).where(
                FolderRow.trashed_at <= too_old, FolderRow.purged_at.is_(None)
            )
        )
        to_purge = list(trashed)
        folder_ids = list(await session.scalars(live))
        limited = list(await session.scalars(live.where(FolderRow.quota_bytes.is_not(None))))
    await _each(context, to_purge, purge)
    await _each(context, folder_ids, _tidy)
    await _each(context, limited, measure)


async def _each(
    context: ServerContext,
    folder_ids: list[str],
    work: Callable[[ServerContext, str], Awaitable[None]],
) -> None:
    for folder_id in folder_ids:
        try:
            await work(context, folder_id)
        except (MadangError, OSError) as error:
            log.warning("a folder could not be kept in order", folder=folder_id, error=str(error))


async def _tidy(context: ServerContext, folder_id: str) -> None:
    """Mend a directory that a crash left out; drop old uploads and old trash inside."""
    async with context.db.read() as session:
        row = await session.get_one(FolderRow, folder_id)
        volume = await session.get_one(VolumeRow, row.volume_id)
    if volume.in_place and row.read_only:
        return
    root = folder_path(context, row)
    if not volume.in_place and not root.is_dir():
        async with context.db.transaction() as session:
            owner = await owner_of_files(context, session, row.owner_id, row, volume)
        await make_on_disk(context, row, owner)
    access = FolderAccess(
        row.id,
        str(root),
        str(service_path(root, volume.in_place)),
        read_only=False,
        in_place=volume.in_place,
        user="",
    )
    await asyncio.to_thread(_tidy_files, context, access)


def _tidy_files(context: ServerContext, access: FolderAccess) -> None:
    too_old = context.clock.now() - timedelta(days=context.settings.trash_days)
    with open_place(access) as place:
        # Files carry the machine's time, whatever clock the rest goes by.
        staging.remove_stale(place, time.time() - UPLOAD_DAYS * 86_400)
        for entry in trashed_entries(place):
            if entry.removed_at <= too_old:
                purge_entry(place, entry.id)
