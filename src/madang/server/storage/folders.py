"""Folders: making, finding, renaming, trashing them; who of the project sees what."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import func, or_, select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession

from madang.core.errors import Conflict, NotFound
from madang.core.ids import check_name, new_id
from madang.core.permissions import Permission
from madang.schemas.folders import FolderAccessLevel
from madang.server.context import ServerContext
from madang.server.db.engine import announce
from madang.server.identity.principal import Principal
from madang.server.identity.projects import resolve_project
from madang.server.identity.tables import ProjectRow, UserRow
from madang.server.storage.ownership import is_shared_mode, owner_of_files
from madang.server.storage.rights import may_see, require_access, rights_on
from madang.server.storage.tables import FolderRow, GrantRow, VolumeRow
from madang.server.storage.volumes import Owner, open_volume

MAIN_VOLUME = "main"

_FIRST_GID = 870_000
"""Folders' groups count up from here, apart from those of people and of the system."""


@dataclass(frozen=True, slots=True)
class FolderView:
    """A folder as one person sees it."""

    row: FolderRow
    project: str
    owner: str
    volume: VolumeRow
    access: FolderAccessLevel


async def resolve_folder(
    session: AsyncSession,
    principal: Principal,
    project: str | None,
    folder: str,
    *,
    live: bool = True,
    trashed: bool = False,
) -> FolderRow:
    """The folder that is meant: an id, a name in `project`, or `PROJECT/NAME`.

    Raises NotFound for a folder that is not hers to see, InvalidInput when it is not clear which
    project is meant. `live` and `trashed` say where to look; a live one goes before one in the
    trash, there the newest.
    """
    name, project_id = folder, None
    if not folder.startswith("fold-"):
        if "/" in folder:
            project, _, name = folder.partition("/")
        project_id = await _project_id(session, principal, project)
    query = select(FolderRow).where(FolderRow.purged_at.is_(None))
    if project_id:
        query = query.where(FolderRow.project_id == project_id)
    query = query.where(or_(FolderRow.id == folder, FolderRow.name == name))
    if not trashed:
        query = query.where(FolderRow.trashed_at.is_(None))
    if not live:
        query = query.where(FolderRow.trashed_at.is_not(None))
    newest_first = query.order_by(FolderRow.trashed_at.is_not(None), FolderRow.id.desc())
    found = await session.scalar(newest_first.limit(1))
    if found is None or not await may_see(session, principal, found):
        where = f" in project {project!r}" if project and project_id else ""
        raise NotFound(
            f"there is no folder {folder!r}{where}, or none that you may see",
            field="folder",
            hint="`madang folder list` shows yours, with --trash what is in the trash.",
        )
    return found


async def create_folder(
    context: ServerContext,
    principal: Principal,
    name: str,
    *,
    project: str | None = None,
    description: str = "",
    share: FolderAccessLevel = FolderAccessLevel.READ_WRITE,
) -> FolderView:
    """Make a folder; `share` is what the members of the project may do in it (NONE: only she).

    Raises InvalidInput, Forbidden, Conflict when the project has a folder of this name.
    """
    check_name(name, "folder")
    try:
        async with context.db.transaction() as session:
            found = await resolve_project(session, principal, project)
            principal.require(Permission.FOLDERS_WRITE, found.id)
            row = await _insert_folder(
                session, context, found.id, name, principal.user_id, description
            )
            if share is not FolderAccessLevel.NONE:
                grant_access(session, context, row.id, found.id, share)
            view = await view_of(session, principal, row)
            owner = await owner_of_files(context, session, principal.user_id, row, view.volume)
    except IntegrityError:
        raise Conflict(
            f"there is a folder {name!r} in this project already", field="name"
        ) from None
    await make_on_disk(context, row, owner)
    return view


async def ensure_folder(
    session: AsyncSession, context: ServerContext, project_id: str, name: str, owner_id: str
) -> FolderRow:
    """The project's folder of this name, made when missing: for what the platform itself keeps.

    It is shared with the project's members, read-write. Joins the caller's transaction; its
    directory is there afterwards, whether or not the transaction commits.
    """
    wanted = select(FolderRow).where(
        FolderRow.project_id == project_id,
        FolderRow.name == name,
        FolderRow.trashed_at.is_(None),
    )
    found = await session.scalar(wanted)
    if found is None:
        await _take_turns(session)
        found = await session.scalar(wanted)
    if found is None:
        found = await _insert_folder(session, context, project_id, name, owner_id, "")
        grant_access(session, context, found.id, project_id, FolderAccessLevel.READ_WRITE)
        await session.flush()
    if not folder_path(context, found).is_dir():
        volume = await session.get_one(VolumeRow, found.volume_id)
        owner = await owner_of_files(context, session, owner_id, found, volume)
        await make_on_disk(context, found, owner)
    return found


def folder_path(context: ServerContext, folder: FolderRow) -> Path:
    """Where the folder's data is on the nodes: what tasks mount."""
    # A registered directory's path is absolute, which joining keeps as it is.
    return context.paths.volume / folder.path


async def list_folders(
    context: ServerContext,
    principal: Principal,
    *,
    project: str | None,
    trashed: bool,
    limit: int,
    cursor: str | None,
) -> list[FolderView]:
    """Folders of the projects that she sees, and those shared with her; newest first."""
    query = (
        select(FolderRow)
        .where(FolderRow.purged_at.is_(None))
        .where(FolderRow.trashed_at.is_not(None) if trashed else FolderRow.trashed_at.is_(None))
        .order_by(FolderRow.id.desc())
        .limit(limit + 1)
    )
    if cursor:
        query = query.where(FolderRow.id < cursor)
    async with context.db.read() as session:
        if project is not None:
            query = query.where(
                FolderRow.project_id == (await resolve_project(session, principal, project)).id
            )
        visible = principal.visible_projects
        if visible is not None:
            grantees = visible if principal.project_id else {*visible, principal.user_id}
            shared = select(GrantRow.folder_id).where(GrantRow.grantee_id.in_(grantees))
            query = query.where(or_(FolderRow.project_id.in_(visible), FolderRow.id.in_(shared)))
        return [await view_of(session, principal, row) for row in await session.scalars(query)]


async def get_folder(
    context: ServerContext, principal: Principal, project: str | None, folder: str
) -> FolderView:
    """One folder, from the trash too."""
    async with context.db.read() as session:
        row = await resolve_folder(session, principal, project, folder, trashed=True)
        return await view_of(session, principal, row)


async def change_folder(
    context: ServerContext,
    principal: Principal,
    project: str | None,
    folder: str,
    *,
    name: str | None = None,
    description: str | None = None,
) -> FolderView:
    """Rename it or describe it anew; running tasks keep their mounts. Raises Conflict."""
    if name is not None:
        check_name(name, "folder")
    try:
        async with context.db.transaction() as session:
            row = await resolve_folder(session, principal, project, folder)
            await require_access(session, principal, row, FolderAccessLevel.MANAGE)
            row.name = name if name is not None else row.name
            row.description = description if description is not None else row.description
            announce(session, f"folder:{row.id}", f"project:{row.project_id}:folders")
            await session.flush()
            return await view_of(session, principal, row)
    except IntegrityError:
        raise Conflict(f"there is a folder {name!r} already", field="name") from None


async def trash_folder(
    context: ServerContext, principal: Principal, project: str | None, folder: str
) -> FolderView:
    """Put it into the trash: its name is free at once, its files stay for `trash_days`.

    Raises Conflict while a live workload has it mounted.
    """
    async with context.db.transaction() as session:
        row = await resolve_folder(session, principal, project, folder)
        await require_access(session, principal, row, FolderAccessLevel.MANAGE)
        await require_unused(session, context, row)
        row.trashed_at = context.clock.now()
        announce(session, f"folder:{row.id}", f"project:{row.project_id}:folders")
        return await view_of(session, principal, row)


async def restore_folder(
    context: ServerContext,
    principal: Principal,
    project: str | None,
    folder: str,
    *,
    name: str | None = None,
) -> FolderView:
    """Take it out of the trash, under another `name` when its own is taken. Raises Conflict."""
    if name is not None:
        check_name(name, "folder")
    try:
        async with context.db.transaction() as session:
            row = await _resolve_trashed(session, principal, project, folder)
            await require_access(session, principal, row, FolderAccessLevel.MANAGE)
            row.trashed_at = None
            row.name = name or row.name
            announce(session, f"folder:{row.id}", f"project:{row.project_id}:folders")
            await session.flush()
            return await view_of(session, principal, row)
    except IntegrityError:
        raise Conflict(
            "there is another folder of this name by now",
            field="name",
            hint="Restore it under another one: --name NAME.",
        ) from None


async def purge_folder(
    context: ServerContext, principal: Principal, project: str | None, folder: str
) -> None:
    """Remove a trashed folder's files for good. A directory in place is only forgotten."""
    async with context.db.transaction() as session:
        row = await _resolve_trashed(session, principal, project, folder)
        await require_access(session, principal, row, FolderAccessLevel.MANAGE)
        await require_unused(session, context, row)
    await purge(context, row.id)


async def purge(context: ServerContext, folder_id: str) -> None:
    """Remove the files of a trashed folder, then note that they are gone; safe to repeat."""
    async with context.db.read() as session:
        row = await session.get_one(FolderRow, folder_id)
        volume_row = await session.get_one(VolumeRow, row.volume_id)
    if row.trashed_at is None or row.purged_at is not None:
        return
    if not volume_row.in_place:
        volume = open_volume(context.paths.volume)
        await asyncio.to_thread(volume.remove_folder, row.path)
    async with context.db.transaction() as session:
        row = await session.get_one(FolderRow, folder_id)
        row.purged_at = context.clock.now()
        announce(session, f"project:{row.project_id}:folders")


async def view_of(session: AsyncSession, principal: Principal, row: FolderRow) -> FolderView:
    project = await session.get_one(ProjectRow, row.project_id)
    owner = await session.get_one(UserRow, row.owner_id)
    volume = await session.get_one(VolumeRow, row.volume_id)
    access = await rights_on(session, principal, row)
    return FolderView(row, project.name, owner.name, volume, access)


async def require_unused(session: AsyncSession, context: ServerContext, folder: FolderRow) -> None:
    """Raises Conflict while a live workload has the folder mounted."""
    users = await context.folder_users(session, folder.id)
    if users:
        shown = ", ".join(users[:5]) + (f" and {len(users) - 5} more" if len(users) > 5 else "")
        raise Conflict(
            f"folder {folder.name!r} is in use by {shown}",
            hint="Cancel what uses it, or wait until it has ended.",
        )


async def make_on_disk(context: ServerContext, folder: FolderRow, owner: Owner) -> None:
    """Make the folder's directory; safe to repeat, which mends one that a crash left out."""
    volume = open_volume(context.paths.volume)
    await asyncio.to_thread(volume.create_folder, folder.path, owner)


async def _insert_folder(
    session: AsyncSession,
    context: ServerContext,
    project_id: str,
    name: str,
    owner_id: str,
    description: str,
) -> FolderRow:
    await _take_turns(session)
    folder_id = new_id("fold")
    volume = await main_volume(session, context)
    row = FolderRow(
        id=folder_id,
        project_id=project_id,
        name=name,
        volume_id=volume.id,
        path=open_volume(context.paths.volume).folder_path(folder_id),
        owner_id=owner_id,
        created_at=context.clock.now(),
        description=description,
        gid=await _next_gid(session) if is_shared_mode() else None,
    )
    session.add(row)
    announce(session, f"folder:{row.id}", f"project:{project_id}:folders")
    await session.flush()
    return row


async def main_volume(session: AsyncSession, context: ServerContext) -> VolumeRow:
    """The volume that every installation has; its root is where the state folder says."""
    found = await session.scalar(select(VolumeRow).where(VolumeRow.name == MAIN_VOLUME))
    if found is None:
        found = VolumeRow(
            id=new_id("vol"), name=MAIN_VOLUME, root="", created_at=context.clock.now()
        )
        session.add(found)
        await session.flush()
    return found


async def _take_turns(session: AsyncSession) -> None:
    """One transaction at a time makes folders: they count groups. SQLite has one writer anyway."""
    if session.get_bind().dialect.name == "postgresql":
        await session.execute(select(func.pg_advisory_xact_lock(_FIRST_GID)))


def grant_access(
    session: AsyncSession,
    context: ServerContext,
    folder_id: str,
    grantee_id: str,
    level: FolderAccessLevel,
) -> None:
    session.add(
        GrantRow(
            id=new_id("grant"),
            folder_id=folder_id,
            grantee_id=grantee_id,
            access=level.value,
            created_at=context.clock.now(),
        )
    )


async def _next_gid(session: AsyncSession) -> int:
    # Rows are never deleted, so a group is never handed to a second folder. Registered
    # directories (absolute paths) have groups that somebody else gave them.
    ours = select(func.max(FolderRow.gid)).where(FolderRow.path.not_like("/%"))
    last = await session.scalar(ours)
    return max(_FIRST_GID, (last or 0) + 1)


async def _project_id(
    session: AsyncSession, principal: Principal, project: str | None
) -> str | None:
    """The id of the project a folder is looked for in; one that only shares folders with her
    counts too, since `rights` decides afterwards."""
    if project is None:
        return (await resolve_project(session, principal, None)).id
    found: str | None = await session.scalar(
        select(ProjectRow.id).where(or_(ProjectRow.id == project, ProjectRow.name == project))
    )
    return found or project


async def _resolve_trashed(
    session: AsyncSession, principal: Principal, project: str | None, folder: str
) -> FolderRow:
    """The newest folder of this name in the trash."""
    return await resolve_folder(session, principal, project, folder, live=False, trashed=True)
