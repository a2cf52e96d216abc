"""Datasets: naming a folder's content, and what a reference such as `digits@1:train` means."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from sqlalchemy import or_, select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession

from madang.core.errors import Conflict, InvalidInput, NotFound
from madang.core.ids import check_name, new_id
from madang.core.permissions import Permission
from madang.schemas.files import from_wire, to_wire
from madang.schemas.folders import FolderAccessLevel
from madang.server.context import ServerContext
from madang.server.db.engine import announce
from madang.server.identity.principal import Principal
from madang.server.identity.projects import resolve_project
from madang.server.identity.tables import ProjectRow, UserRow
from madang.server.storage.folders import folder_path, resolve_folder
from madang.server.storage.mounts import ResolvedMount
from madang.server.storage.paths import check_relative
from madang.server.storage.rights import require_access
from madang.server.storage.tables import (
    DatasetRow,
    DatasetVersionRow,
    DatasetViewRow,
    FolderRow,
)

DATA_TARGET = "/mnt/datasets"
MANIFEST_TARGET = "/mnt/.manifests"
MANIFEST_NAME = "manifest"

_REF = re.compile(
    r"(?:(?P<project>[^/@:]+)/)?(?P<name>[^/@:]+)"
    r"(?:@(?P<number>[0-9]{1,9}))?(?::(?P<view>[^/@:]+))?"
)


@dataclass(frozen=True, slots=True)
class ResolvedDataset:
    """What a task needs to read a version.

    `mount` has the folder, `manifest_mount` the directory with the manifest; both are read-only.
    `manifest_path` is the manifest inside the task. `entry` is the value for this reference in
    the variable MADANG_DATASETS.
    """

    dataset_id: str
    version_id: str
    view_id: str | None
    ref: str
    mount: ResolvedMount
    manifest_mount: ResolvedMount
    manifest_path: str
    entry: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class DatasetInfo:
    """A dataset with what belongs to it, as read in one go."""

    row: DatasetRow
    project: str
    folder: str
    created_by: str
    views: list[DatasetViewRow]
    latest: tuple[DatasetVersionRow, str] | None


async def resolve_dataset(
    context: ServerContext,
    session: AsyncSession,
    principal: Principal,
    project_id: str,
    ref: str,
) -> ResolvedDataset:
    """What `NAME[@VERSION][:VIEW]` means now, for a workload of this project.

    `PROJECT/NAME` names another project's. Raises InvalidInput, NotFound, Forbidden when the
    folder may not be read by her.
    """
    match = parse_ref(ref)
    dataset = await find_dataset(session, principal, match["project"] or project_id, match["name"])
    principal.require(Permission.DATASETS_READ, dataset.project_id, "dataset")
    number = int(match["number"]) if match["number"] else None
    version = await find_version(session, dataset, number)
    views = await views_of(session, dataset)
    view = chosen_view(views, dataset, match["view"])
    folder = await session.get_one(FolderRow, dataset.folder_id)
    if folder.trashed_at is not None:
        raise NotFound(
            f"the files of dataset {dataset.name!r} are in the trash",
            field="dataset",
            hint=f"`madang folder restore {folder.name}` brings them back.",
        )
    await require_access(session, principal, folder, FolderAccessLevel.READ_ONLY)
    mount = ResolvedMount(
        folder.id,
        folder.name,
        str(folder_path(context, folder)),
        f"{DATA_TARGET}/{folder.id}",
        True,
        folder.gid,
    )
    manifest = manifest_file(context, version)
    manifest_mount = ResolvedMount(
        folder.id,
        f"{dataset.name}@{version.number}",
        str(manifest.parent),
        f"{MANIFEST_TARGET}/{version.id}",
        True,
        None,
    )
    manifest_path = f"{manifest_mount.target}/{MANIFEST_NAME}"
    # The path below the folder is a person's: it is looked up inside the task, with the task's
    # rights, where a link that leads out leads nowhere.
    below = f"/{_plain_path(dataset)}" if dataset.path else ""
    entry = {
        "root": f"{mount.target}{below}",
        "manifest": manifest_path,
        "version_id": version.id,
        "view": view.rule if view else None,
        "views": {row.name: row.rule for row in views},
    }
    return ResolvedDataset(
        dataset.id,
        version.id,
        view.id if view else None,
        ref,
        mount,
        manifest_mount,
        manifest_path,
        entry,
    )


async def create_dataset(
    context: ServerContext,
    principal: Principal,
    name: str,
    folder: str,
    path: str = "",
    *,
    project: str | None = None,
    description: str = "",
) -> DatasetRow:
    """Name the files below `path` (as on the wire) in a folder; no version is made yet.

    When the dataset exists already with the same files it is returned as it is. Raises NotFound,
    Forbidden, InvalidInput, Conflict when the name stands for something else.
    """
    check_name(name, "dataset")
    plain = to_wire(check_relative(from_wire(path)))
    try:
        async with context.db.transaction() as session:
            found_project = await resolve_project(session, principal, project)
            principal.require(Permission.DATASETS_WRITE, found_project.id)
            source = await resolve_folder(session, principal, found_project.id, folder)
            await require_access(session, principal, source, FolderAccessLevel.READ_ONLY)
            existing = await session.scalar(
                select(DatasetRow).where(
                    DatasetRow.project_id == found_project.id, DatasetRow.name == name
                )
            )
            if existing is not None:
                if (existing.folder_id, existing.path) == (source.id, plain):
                    return existing
                raise _name_taken(name)
            row = DatasetRow(
                id=new_id("data"),
                project_id=found_project.id,
                name=name,
                folder_id=source.id,
                path=plain,
                created_by=principal.user_id,
                created_at=context.clock.now(),
                description=description,
            )
            session.add(row)
            announce(session, f"dataset:{row.id}", f"project:{row.project_id}:datasets")
    except IntegrityError:
        raise _name_taken(name) from None
    return row


async def list_datasets(
    context: ServerContext,
    principal: Principal,
    *,
    project: str | None,
    limit: int,
    cursor: str | None,
) -> list[DatasetInfo]:
    """Datasets of the projects that she sees, newest first."""
    query = select(DatasetRow).order_by(DatasetRow.id.desc()).limit(limit + 1)
    if cursor:
        query = query.where(DatasetRow.id < cursor)
    async with context.db.read() as session:
        if project is not None:
            found = await resolve_project(session, principal, project)
            query = query.where(DatasetRow.project_id == found.id)
        elif (visible := principal.visible_projects) is not None:
            query = query.where(DatasetRow.project_id.in_(visible))
        return [await info_of(session, row) for row in await session.scalars(query)]


async def get_dataset(
    context: ServerContext, principal: Principal, project: str | None, dataset: str
) -> DatasetInfo:
    async with context.db.read() as session:
        row = await find_dataset(session, principal, project, dataset)
        principal.require(Permission.DATASETS_READ, row.project_id, "dataset")
        return await info_of(session, row)


async def find_dataset(
    session: AsyncSession, principal: Principal, project: str | None, dataset: str
) -> DatasetRow:
    """By id, or by name in `project` or in `PROJECT/NAME`. Raises NotFound, InvalidInput."""
    if "/" in dataset:
        project, _, dataset = dataset.partition("/")
    query = select(DatasetRow).where(or_(DatasetRow.id == dataset, DatasetRow.name == dataset))
    if not dataset.startswith("data-"):
        found_project = await resolve_project(session, principal, project)
        query = query.where(DatasetRow.project_id == found_project.id)
    row = await session.scalar(query)
    if row is None or not principal.sees(row.project_id):
        raise NotFound(
            f"there is no dataset {dataset!r}, or none that you may see",
            field="dataset",
            hint="`madang dataset list` shows yours.",
        )
    return row


async def find_version(
    session: AsyncSession, dataset: DatasetRow, number: int | None
) -> DatasetVersionRow:
    """One version, the newest without a `number`. Raises NotFound."""
    query = select(DatasetVersionRow).where(DatasetVersionRow.dataset_id == dataset.id)
    if number is not None:
        query = query.where(DatasetVersionRow.number == number)
    row = await session.scalar(query.order_by(DatasetVersionRow.number.desc()).limit(1))
    if row is None:
        which = f"no version {number}" if number is not None else "no version yet"
        raise NotFound(
            f"dataset {dataset.name!r} has {which}",
            field="version",
            hint=f"`madang dataset version {dataset.name}` saves one.",
        )
    return row


async def views_of(session: AsyncSession, dataset: DatasetRow) -> list[DatasetViewRow]:
    query = select(DatasetViewRow).where(DatasetViewRow.dataset_id == dataset.id)
    return list(await session.scalars(query.order_by(DatasetViewRow.name)))


async def info_of(session: AsyncSession, row: DatasetRow) -> DatasetInfo:
    folder = await session.get_one(FolderRow, row.folder_id)
    folder_project = await session.get_one(ProjectRow, folder.project_id)
    latest = (
        await session.execute(
            select(DatasetVersionRow, UserRow.name)
            .join(UserRow, UserRow.id == DatasetVersionRow.created_by)
            .where(DatasetVersionRow.dataset_id == row.id)
            .order_by(DatasetVersionRow.number.desc())
            .limit(1)
        )
    ).first()
    return DatasetInfo(
        row,
        (await session.get_one(ProjectRow, row.project_id)).name,
        f"{folder_project.name}/{folder.name}",
        (await session.get_one(UserRow, row.created_by)).name,
        await views_of(session, row),
        (latest[0], latest[1]) if latest else None,
    )


def parse_ref(ref: str) -> re.Match[str]:
    """The parts of `[PROJECT/]NAME[@VERSION][:VIEW]`. Raises InvalidInput."""
    match = _REF.fullmatch(ref)
    if match is None:
        raise InvalidInput(
            f"{ref!r} is not a dataset reference",
            field="dataset",
            hint="Write NAME, NAME@VERSION or NAME@VERSION:VIEW, e.g. digits@1:train.",
        )
    return match


def manifest_file(context: ServerContext, version: DatasetVersionRow) -> Path:
    """Where a version's manifest is kept: a directory of its own, which tasks mount."""
    return context.paths.volume / "manifests" / version.id / MANIFEST_NAME


def chosen_view(
    views: list[DatasetViewRow], dataset: DatasetRow, name: str | None
) -> DatasetViewRow | None:
    """The view of this name; None for no name. Raises NotFound."""
    if name is None:
        return None
    for view in views:
        if view.name == name:
            return view
    had = ", ".join(view.name for view in views) or "none"
    raise NotFound(
        f"dataset {dataset.name!r} has no view {name!r}",
        field="dataset",
        hint=f"It has: {had}. `madang dataset view {dataset.name}` makes them.",
    )


def _plain_path(dataset: DatasetRow) -> str:
    """The dataset's path below its folder, as Python holds names of files."""
    return os.fsdecode(from_wire(dataset.path))


def _name_taken(name: str) -> Conflict:
    return Conflict(
        f"there is a dataset {name!r} already, of other files",
        field="name",
        hint="Choose another name, or save a new version of that one.",
    )
