"""Looking into folders and tidying them: list, make, move, remove, put back."""

from __future__ import annotations

import asyncio
import errno
import os
from collections.abc import Callable
from typing import TypeVar

from madang.core.errors import InvalidInput
from madang.schemas.files import Entry, EntrySort, TrashedEntry, from_wire
from madang.server.context import ServerContext
from madang.server.db.engine import announce
from madang.server.identity.principal import Principal
from madang.server.storage.access import folder_access
from madang.server.storage.entries import Listed, describe, list_directory
from madang.server.storage.file_trash import (
    move_to_trash,
    purge_entry,
    restore_from_trash,
    trashed_entries,
)
from madang.server.storage.granted import FolderAccess
from madang.server.storage.paths import translated
from madang.server.storage.place import Place, open_place, rename_new

T = TypeVar("T")


async def list_entries(
    context: ServerContext,
    principal: Principal,
    project: str | None,
    folder: str,
    path: str,
    *,
    sort: EntrySort = EntrySort.NAME,
    descending: bool = False,
    limit: int = 50,
    cursor: str | None = None,
) -> Listed:
    """One page of a directory: directories first, then by `sort`, then by name.

    Raises NotFound, Forbidden, InvalidInput. A page is as of when it was asked for.
    """
    access = await _access(context, principal, project, folder, write=False)
    given = from_wire(path)

    def work(place: Place) -> Listed:
        return list_directory(
            place, given, sort=sort, descending=descending, limit=limit, cursor=cursor
        )

    return await _in_thread(access, given, work)


async def get_entry(
    context: ServerContext, principal: Principal, project: str | None, folder: str, path: str
) -> Entry:
    """One file or directory. Raises NotFound."""
    access = await _access(context, principal, project, folder, write=False)
    given = from_wire(path)
    return await _in_thread(access, given, lambda place: describe(place, given))


async def make_directory(
    context: ServerContext, principal: Principal, project: str | None, folder: str, path: str
) -> Entry:
    """Make a directory, with those above it; one that exists is fine."""
    access = await _access(context, principal, project, folder, write=True)
    given = from_wire(path)

    def work(place: Place) -> Entry:
        place.make_directories(given)
        return describe(place, given)

    return await _in_thread(access, given, work)


async def move_entry(
    context: ServerContext,
    principal: Principal,
    project: str | None,
    folder: str,
    source: str,
    target: str,
    *,
    overwrite: bool = False,
) -> Entry:
    """Give something a new path in the same folder. Raises Conflict when that exists."""
    access = await _access(context, principal, project, folder, write=True)
    old, new = from_wire(source), from_wire(target)

    def work(place: Place) -> Entry:
        with (
            translated(old),
            place.opened_parent(old) as (old_parent, old_name),
        ):
            os.stat(old_name, dir_fd=old_parent, follow_symlinks=False)
            with translated(new), place.opened_parent(new, make=True) as (parent, name):
                try:
                    if overwrite:
                        os.rename(old_name, name, src_dir_fd=old_parent, dst_dir_fd=parent)
                    else:
                        rename_new(old_name, old_parent, name, parent)
                except OSError as error:
                    if error.errno == errno.EINVAL:
                        raise InvalidInput(
                            f"{source!r} can't be moved into itself", field="target"
                        ) from None
                    raise
        return describe(place, new)

    return await _in_thread(access, old, work)


async def remove_entry(
    context: ServerContext,
    principal: Principal,
    project: str | None,
    folder: str,
    path: str,
    *,
    permanent: bool = False,
) -> None:
    """Put something into the folder's trash, or remove it for good with all that is in it."""
    access = await _access(context, principal, project, folder, write=True)
    given = from_wire(path)
    removed_at = context.clock.now()

    def work(place: Place) -> None:
        entry_id = move_to_trash(place, given, removed_at)
        if permanent:
            purge_entry(place, entry_id)

    await _in_thread(access, given, work)


async def list_trash(
    context: ServerContext, principal: Principal, project: str | None, folder: str
) -> list[TrashedEntry]:
    """What was removed inside the folder, newest first."""
    access = await _access(context, principal, project, folder, write=False)
    return await _in_thread(access, b"", trashed_entries)


async def restore_entry(
    context: ServerContext, principal: Principal, project: str | None, folder: str, entry_id: str
) -> Entry:
    """Put something back where it was. Raises Conflict when there is something by now."""
    access = await _access(context, principal, project, folder, write=True)

    def work(place: Place) -> Entry:
        return restore_from_trash(place, entry_id)

    return await _in_thread(access, b"", work)


async def purge_trashed(
    context: ServerContext,
    principal: Principal,
    project: str | None,
    folder: str,
    entry_id: str | None,
) -> None:
    """Remove one thing in the folder's trash for good, or (None) all of them."""
    access = await _access(context, principal, project, folder, write=True)

    def work(place: Place) -> None:
        for entry in trashed_entries(place):
            if entry_id in (None, entry.id):
                purge_entry(place, entry.id)

    await _in_thread(access, b"", work)


async def _access(
    context: ServerContext, principal: Principal, project: str | None, folder: str, *, write: bool
) -> FolderAccess:
    opening = context.db.transaction() if write else context.db.read()
    async with opening as session:
        access = await folder_access(context, session, principal, project, folder, write)
        if write:
            announce(session, f"folder:{access.folder_id}")
        return access


async def _in_thread(access: FolderAccess, path: bytes, work: Callable[[Place], T]) -> T:
    def run() -> T:
        with translated(path), open_place(access) as place:
            return work(place)

    return await asyncio.to_thread(run)
