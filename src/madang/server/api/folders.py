"""Routes of folders: making, sharing, limiting, trashing them. Their files: folder_files.py."""

from __future__ import annotations

from typing import Annotated
from urllib.parse import quote

from fastapi import APIRouter, Query

from madang.core.permissions import Permission
from madang.schemas import Page
from madang.schemas.folders import (
    Folder,
    FolderAccessLevel,
    FolderChange,
    FolderCreate,
    FolderRegister,
    FolderRestore,
    Grant,
    GrantSet,
    Quota,
    QuotaSet,
    Usage,
)
from madang.server.api.deps import Actor, Context, PagingQuery, page_of, permit
from madang.server.context import ServerContext
from madang.server.identity.principal import Principal
from madang.server.settings import gateway_url
from madang.server.storage import folders, grants, registered, usage

router = APIRouter(prefix="/folders", tags=["folders"])

ProjectQuery = Annotated[str | None, Query(max_length=200)]


@router.get("", dependencies=[permit(Permission.FOLDERS_READ)])
async def list_folders(
    context: Context,
    actor: Actor,
    paging: PagingQuery,
    project: ProjectQuery = None,
    trashed: bool = False,
) -> Page[Folder]:
    """Folders of your projects and those shared with you, newest first; or those in the trash."""
    views = await folders.list_folders(
        context,
        actor,
        project=project,
        trashed=trashed,
        limit=paging.limit,
        cursor=paging.cursor,
    )
    return page_of(
        views, paging, lambda view: to_folder(context, actor, view), lambda view: view.row.id
    )


@router.post("", status_code=201, dependencies=[permit(Permission.FOLDERS_WRITE)])
async def create_folder(body: FolderCreate, context: Context, actor: Actor) -> Folder:
    """Make a folder."""
    view = await folders.create_folder(
        context,
        actor,
        body.name,
        project=body.project,
        description=body.description,
        share=FolderAccessLevel(body.share),
    )
    return to_folder(context, actor, view)


@router.post("/register", status_code=201, dependencies=[permit(Permission.VOLUMES_WRITE)])
async def register_folder(body: FolderRegister, context: Context, actor: Actor) -> Folder:
    """Use a directory that exists on the nodes, in place."""
    return to_folder(context, actor, await registered.register_folder(context, actor, body))


@router.get("/{folder}", dependencies=[permit(Permission.FOLDERS_READ)])
async def get_folder(
    folder: str, context: Context, actor: Actor, project: ProjectQuery = None
) -> Folder:
    """One folder, by name or id; from the trash too."""
    return to_folder(context, actor, await folders.get_folder(context, actor, project, folder))


@router.patch("/{folder}", dependencies=[permit(Permission.FOLDERS_WRITE)])
async def change_folder(
    folder: str, body: FolderChange, context: Context, actor: Actor, project: ProjectQuery = None
) -> Folder:
    """Rename a folder, or describe it anew."""
    view = await folders.change_folder(
        context, actor, project, folder, name=body.name, description=body.description
    )
    return to_folder(context, actor, view)


@router.delete("/{folder}", dependencies=[permit(Permission.FOLDERS_WRITE)])
async def trash_folder(
    folder: str, context: Context, actor: Actor, project: ProjectQuery = None
) -> Folder:
    """Put a folder into the trash; refused while a live workload has it mounted."""
    return to_folder(context, actor, await folders.trash_folder(context, actor, project, folder))


@router.post("/{folder}/restore", dependencies=[permit(Permission.FOLDERS_WRITE)])
async def restore_folder(
    folder: str,
    body: FolderRestore,
    context: Context,
    actor: Actor,
    project: ProjectQuery = None,
) -> Folder:
    """Take a folder out of the trash."""
    view = await folders.restore_folder(context, actor, project, folder, name=body.name)
    return to_folder(context, actor, view)


@router.post("/{folder}/purge", status_code=204, dependencies=[permit(Permission.FOLDERS_WRITE)])
async def purge_folder(
    folder: str, context: Context, actor: Actor, project: ProjectQuery = None
) -> None:
    """Remove a folder that is in the trash for good, with all its files."""
    await folders.purge_folder(context, actor, project, folder)


@router.get("/{folder}/grants", dependencies=[permit(Permission.FOLDERS_READ)])
async def list_grants(
    folder: str, context: Context, actor: Actor, project: ProjectQuery = None
) -> Page[Grant]:
    """Whom a folder is shared with."""
    found = await grants.list_grants(context, actor, project, folder)
    return Page(
        [
            Grant(
                grant.kind,
                grant.name,
                "read-only" if grant.access is FolderAccessLevel.READ_ONLY else "read-write",
                grant.created_at,
            )
            for grant in found
        ]
    )


@router.put("/{folder}/grants", status_code=204, dependencies=[permit(Permission.FOLDERS_WRITE)])
async def set_grant(
    folder: str, body: GrantSet, context: Context, actor: Actor, project: ProjectQuery = None
) -> None:
    """Share a folder with a person or with all members of a project, or stop that."""
    await grants.set_grant(
        context,
        actor,
        project,
        folder,
        kind=body.kind,
        name=body.name,
        access=FolderAccessLevel(body.access) if body.access else None,
    )


@router.put("/{folder}/quota", dependencies=[permit(Permission.VOLUMES_WRITE)])
async def set_quota(
    folder: str, body: QuotaSet, context: Context, actor: Actor, project: ProjectQuery = None
) -> Folder:
    """Limit how much a folder may hold."""
    view = await usage.set_quota(context, actor, project, folder, body.limit_bytes)
    return to_folder(context, actor, view)


@router.post("/{folder}/usage", dependencies=[permit(Permission.FOLDERS_READ)])
async def measure_folder(
    folder: str, context: Context, actor: Actor, project: ProjectQuery = None
) -> Folder:
    """Measure now how much a folder holds."""
    return to_folder(context, actor, await usage.measure_folder(context, actor, project, folder))


def to_folder(context: ServerContext, actor: Principal, view: folders.FolderView) -> Folder:
    row = view.row
    url = f"{gateway_url(context.settings)}/files/{quote(view.project)}/{quote(row.name)}"
    return Folder(
        id=row.id,
        name=row.name,
        project=view.project,
        owner=view.owner,
        volume=view.volume.name,
        description=row.description,
        access=view.access,
        read_only=row.read_only,
        in_place=view.volume.in_place,
        files_url=url,
        created_at=row.created_at,
        quota=_quota(view),
        usage=_usage(view),
        trashed_at=row.trashed_at,
        location=str(folders.folder_path(context, row)) if actor.is_admin else None,
    )


def _quota(view: folders.FolderView) -> Quota | None:
    if view.row.quota_bytes is None:
        return None
    return Quota(view.row.quota_bytes, "enforced" if view.row.quota_enforced else "measured")


def _usage(view: folders.FolderView) -> Usage | None:
    row = view.row
    if row.usage_at is None:
        return None
    return Usage(row.usage_bytes or 0, row.usage_files or 0, row.usage_at)
