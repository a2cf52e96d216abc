"""Routes of the files in folders: looking, tidying. Their content goes through the gateway."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query

from madang.core.permissions import Permission
from madang.schemas import Page
from madang.schemas.files import (
    MAX_PATH_CHARACTERS,
    DirectoryCreate,
    Entry,
    EntrySort,
    Move,
    TrashedEntry,
)
from madang.server.api.deps import Actor, Context, permit
from madang.server.api.folders import ProjectQuery
from madang.server.storage import browse

router = APIRouter(prefix="/folders/{folder}", tags=["folders"])

PathQuery = Annotated[str, Query(max_length=MAX_PATH_CHARACTERS)]


@router.get("/entries", dependencies=[permit(Permission.FOLDERS_READ)])
async def list_entries(
    folder: str,
    context: Context,
    actor: Actor,
    project: ProjectQuery = None,
    path: PathQuery = "",
    sort: EntrySort = EntrySort.NAME,
    descending: bool = False,
    limit: Annotated[int, Query(ge=1, le=1000)] = 50,
    cursor: Annotated[str | None, Query(max_length=4000)] = None,
) -> Page[Entry]:
    """One page of a directory: directories first."""
    listed = await browse.list_entries(
        context,
        actor,
        project,
        folder,
        path,
        sort=sort,
        descending=descending,
        limit=limit,
        cursor=cursor,
    )
    return Page(listed.entries, listed.next_cursor)


@router.get("/entry", dependencies=[permit(Permission.FOLDERS_READ)])
async def get_entry(
    folder: str, context: Context, actor: Actor, path: PathQuery, project: ProjectQuery = None
) -> Entry:
    """One file or directory, described."""
    return await browse.get_entry(context, actor, project, folder, path)


@router.post("/directories", status_code=201, dependencies=[permit(Permission.FOLDERS_WRITE)])
async def make_directory(
    folder: str,
    body: DirectoryCreate,
    context: Context,
    actor: Actor,
    project: ProjectQuery = None,
) -> Entry:
    """Make a directory, with those above it."""
    return await browse.make_directory(context, actor, project, folder, body.path)


@router.post("/move", dependencies=[permit(Permission.FOLDERS_WRITE)])
async def move_entry(
    folder: str, body: Move, context: Context, actor: Actor, project: ProjectQuery = None
) -> Entry:
    """Move or rename something within the folder."""
    return await browse.move_entry(
        context,
        actor,
        project,
        folder,
        body.source,
        body.target,
        overwrite=body.overwrite,
    )


@router.delete("/entries", status_code=204, dependencies=[permit(Permission.FOLDERS_WRITE)])
async def remove_entry(
    folder: str,
    context: Context,
    actor: Actor,
    path: PathQuery,
    project: ProjectQuery = None,
    permanent: bool = False,
) -> None:
    """Put a file or directory into the folder's trash, or remove it for good."""
    await browse.remove_entry(context, actor, project, folder, path, permanent=permanent)


@router.get("/trash", dependencies=[permit(Permission.FOLDERS_READ)])
async def list_trash(
    folder: str, context: Context, actor: Actor, project: ProjectQuery = None
) -> Page[TrashedEntry]:
    """What was removed inside the folder, newest first."""
    return Page(await browse.list_trash(context, actor, project, folder))


@router.post("/trash/{entry}/restore", dependencies=[permit(Permission.FOLDERS_WRITE)])
async def restore_entry(
    folder: str, entry: str, context: Context, actor: Actor, project: ProjectQuery = None
) -> Entry:
    """Put something back where it was."""
    return await browse.restore_entry(context, actor, project, folder, entry)


@router.delete("/trash", status_code=204, dependencies=[permit(Permission.FOLDERS_WRITE)])
async def empty_trash(
    folder: str,
    context: Context,
    actor: Actor,
    project: ProjectQuery = None,
    entry: Annotated[str | None, Query(max_length=200)] = None,
) -> None:
    """Remove all (or one `entry`) in the folder's trash for good."""
    await browse.purge_trashed(context, actor, project, folder, entry)
