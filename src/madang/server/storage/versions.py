"""Saving versions of datasets, and views of them."""

from __future__ import annotations

import asyncio
import contextlib
import shutil
from pathlib import Path
from typing import Any

from sqlalchemy import func, select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession

from madang.core.errors import Conflict, InvalidInput
from madang.core.ids import check_name, new_id
from madang.core.permissions import Permission
from madang.data.build import BuildResult, build_manifest, summary
from madang.data.manifest import NO_LABEL, Manifest, read_manifest, write_manifest
from madang.data.views import hash_split, rule_mask
from madang.schemas.files import from_wire, to_wire
from madang.schemas.folders import FolderAccessLevel
from madang.server.context import ServerContext
from madang.server.db.engine import announce, take_turn
from madang.server.identity.principal import Principal
from madang.server.identity.tables import UserRow
from madang.server.storage.datasets import (
    chosen_view,
    find_dataset,
    find_version,
    manifest_file,
    views_of,
)
from madang.server.storage.folders import folder_path
from madang.server.storage.paths import DIRECTORY, opened, opened_root, translated
from madang.server.storage.rights import require_access
from madang.server.storage.tables import (
    DatasetRow,
    DatasetVersionRow,
    DatasetViewRow,
    FolderRow,
)

MAX_VIEWS = 100
SAVE_TRIES = 8

NamedVersion = tuple[DatasetVersionRow, str]
"""A version and the name of who saved it."""


async def create_version(
    context: ServerContext, principal: Principal, project: str | None, dataset: str
) -> NamedVersion:
    """Save what the dataset's files are now.

    The same content again is the same version: the one that exists is returned. Raises NotFound,
    Forbidden, InvalidInput when there is no file.
    """
    async with context.db.read() as session:
        row = await find_dataset(session, principal, project, dataset)
        principal.require(Permission.DATASETS_WRITE, row.project_id, "dataset")
        folder = await session.get_one(FolderRow, row.folder_id)
        await require_access(session, principal, folder, FolderAccessLevel.READ_ONLY)
    built = await asyncio.to_thread(_build, folder_path(context, folder), from_wire(row.path))
    if not len(built.manifest):
        raise InvalidInput(
            f"dataset {row.name!r} has no files yet",
            field="dataset",
            hint=f"`madang folder upload {folder.name} LOCAL` puts some there.",
        )
    report = await asyncio.to_thread(_report, built)
    for _ in range(SAVE_TRIES):
        try:
            return await _save(context, principal, row, built.manifest, report)
        except IntegrityError:
            continue  # somebody saved at the same moment: the same content, or this number
    raise Conflict("others are saving versions of this dataset", hint="Try again.")


async def _save(
    context: ServerContext,
    principal: Principal,
    dataset: DatasetRow,
    manifest: Manifest,
    report: dict[str, Any],
) -> NamedVersion:
    async with context.db.read() as session:
        same = await _version_with(session, dataset.id, manifest.digest)
    if same is not None:
        return same
    version = DatasetVersionRow(
        id=new_id("ver"),
        dataset_id=dataset.id,
        number=0,
        digest=manifest.digest,
        num_items=len(manifest),
        total_bytes=manifest.total_bytes,
        report=report,
        created_by=principal.user_id,
        created_at=context.clock.now(),
    )
    # The file first: a row without a manifest must never be seen, a file without a row is only
    # forgotten (and removed here when the transaction fails).
    target = manifest_file(context, version)
    await asyncio.to_thread(_write, manifest, target)
    try:
        async with context.db.transaction() as session:
            await take_turn(session, DatasetRow.id, dataset.id)
            last = await session.scalar(
                select(func.max(DatasetVersionRow.number)).where(
                    DatasetVersionRow.dataset_id == dataset.id
                )
            )
            version.number = (last or 0) + 1
            session.add(version)
            await session.flush()
            announce(session, f"dataset:{dataset.id}", f"project:{dataset.project_id}:datasets")
    except BaseException:
        await asyncio.to_thread(shutil.rmtree, target.parent, True)
        raise
    return version, principal.name


async def list_versions(
    context: ServerContext,
    principal: Principal,
    project: str | None,
    dataset: str,
    *,
    limit: int,
    cursor: int | None,
) -> tuple[DatasetRow, list[NamedVersion]]:
    """The newest first; `cursor` is the number that the previous page ended with."""
    query = (
        select(DatasetVersionRow, UserRow.name)
        .join(UserRow, UserRow.id == DatasetVersionRow.created_by)
        .order_by(DatasetVersionRow.number.desc())
        .limit(limit + 1)
    )
    if cursor is not None:
        query = query.where(DatasetVersionRow.number < cursor)
    async with context.db.read() as session:
        row = await find_dataset(session, principal, project, dataset)
        principal.require(Permission.DATASETS_READ, row.project_id, "dataset")
        found = await session.execute(query.where(DatasetVersionRow.dataset_id == row.id))
        return row, [(version, name) for version, name in found]


async def get_version(
    context: ServerContext,
    principal: Principal,
    project: str | None,
    dataset: str,
    number: int | None,
) -> tuple[DatasetRow, NamedVersion]:
    async with context.db.read() as session:
        row = await find_dataset(session, principal, project, dataset)
        principal.require(Permission.DATASETS_READ, row.project_id, "dataset")
        version = await find_version(session, row, number)
        user = await session.get_one(UserRow, version.created_by)
        return row, (version, user.name)


async def list_items(
    context: ServerContext,
    principal: Principal,
    project: str | None,
    dataset: str,
    number: int | None,
    *,
    view: str | None,
    start: int,
    limit: int,
) -> tuple[list[tuple[bytes, int, str | None]], bool]:
    """`(path, size, class)` of the items from position `start` on, and whether there are more."""
    async with context.db.read() as session:
        row = await find_dataset(session, principal, project, dataset)
        principal.require(Permission.DATASETS_READ, row.project_id, "dataset")
        folder = await session.get_one(FolderRow, row.folder_id)
        await require_access(session, principal, folder, FolderAccessLevel.READ_ONLY)
        version = await find_version(session, row, number)
        chosen = chosen_view(await views_of(session, row), row, view)
    path = manifest_file(context, version)
    return await asyncio.to_thread(_items, path, chosen.rule if chosen else None, start, limit)


async def hold_out(
    context: ServerContext,
    principal: Principal,
    project: str | None,
    dataset: str,
    *,
    name: str,
    fraction: float,
    rest: str,
    seed: int,
) -> list[DatasetViewRow]:
    """Make two views that share out every version: `name` with this fraction, `rest` with the
    others. An item stays on its side in all versions.

    Repeating it with the same numbers changes nothing. Raises Conflict when a view of one of the
    names is another part: jobs may have used it.
    """
    if name == rest:
        raise InvalidInput(f"both views would be called {name!r}", field="rest")
    rules = hash_split(
        {check_name(rest, "view"): 1 - fraction, check_name(name, "view"): fraction}, seed
    )
    try:
        async with context.db.transaction() as session:
            row = await find_dataset(session, principal, project, dataset)
            principal.require(Permission.DATASETS_WRITE, row.project_id, "dataset")
            existing = {view.name: view for view in await views_of(session, row)}
            if len(existing) + 2 > MAX_VIEWS:
                raise Conflict(f"dataset {row.name!r} has {len(existing)} views already")
            return [
                _ensure_view(context, session, principal, row, existing.get(view), view, rule)
                for view, rule in rules.items()
            ]
    except IntegrityError:
        raise Conflict("somebody else is making this view", hint="Try again.") from None


def _ensure_view(
    context: ServerContext,
    session: AsyncSession,
    principal: Principal,
    dataset: DatasetRow,
    existing: DatasetViewRow | None,
    name: str,
    rule: dict[str, Any],
) -> DatasetViewRow:
    if existing is not None:
        if existing.rule == rule:
            return existing
        raise Conflict(
            f"dataset {dataset.name!r} has a view {name!r} already, another part of it",
            field="name",
            hint="Jobs may have used it: choose another name.",
        )
    view = DatasetViewRow(
        id=new_id("view"),
        dataset_id=dataset.id,
        name=name,
        rule=rule,
        created_by=principal.user_id,
        created_at=context.clock.now(),
    )
    session.add(view)
    announce(session, f"dataset:{dataset.id}", f"project:{dataset.project_id}:datasets")
    return view


def parse_number(number: str) -> int | None:
    """A version's number; None for `latest`. Raises InvalidInput."""
    if number == "latest":
        return None
    if not number.isascii() or not number.isdigit() or len(number) > 9:
        raise InvalidInput(
            f"{number!r} is not a version's number",
            field="number",
            hint="Write a number, or 'latest'.",
        )
    return int(number)


async def _version_with(
    session: AsyncSession, dataset_id: str, digest: str
) -> NamedVersion | None:
    found = await session.execute(
        select(DatasetVersionRow, UserRow.name)
        .join(UserRow, UserRow.id == DatasetVersionRow.created_by)
        .where(DatasetVersionRow.dataset_id == dataset_id, DatasetVersionRow.digest == digest)
    )
    first = found.first()
    return (first[0], first[1]) if first else None


def _build(folder: Path, path: bytes) -> BuildResult:
    with opened_root(folder) as root, translated(path), opened(root, path, DIRECTORY) as top:
        return build_manifest(top)


def _write(manifest: Manifest, target: Path) -> None:
    target.parent.mkdir(mode=0o755, parents=True, exist_ok=True)
    for directory in (target.parent, target.parent.parent):
        with contextlib.suppress(PermissionError):
            directory.chmod(0o755)
    write_manifest(manifest, target)


def _report(built: BuildResult) -> dict[str, Any]:
    """The report as it is kept and sent: names as on the wire."""
    found = summary(built.manifest)
    counts = [entry["count"] for entry in found["classes"]]
    return {
        "classes": [
            {"name": to_wire(entry["name"]), "count": entry["count"], "num_bytes": entry["bytes"]}
            for entry in found["classes"]
        ],
        "unlabelled": found["unlabelled"],
        "imbalance": round(max(counts) / min(counts), 3) if counts else None,
        "sizes": found["sizes"],
        "formats": {to_wire(suffix): count for suffix, count in found["formats"].items()},
        "skipped": built.skipped,
        "errors": [to_wire(error) for error in built.errors],
        "stable": built.stable,
        "listed_with": built.listed_with,
    }


def _items(
    path: Path, rule: dict[str, Any] | None, start: int, limit: int
) -> tuple[list[tuple[bytes, int, str | None]], bool]:
    import numpy as np

    manifest = read_manifest(path)
    chosen = (
        np.arange(len(manifest))
        if rule is None
        else np.flatnonzero(rule_mask(rule, manifest.hashes))
    )
    items = []
    for position in chosen[start : start + limit]:
        index = int(position)
        label = int(manifest.labels[index])
        name = None if label == NO_LABEL else manifest.classes[label]
        items.append((manifest.path(index), int(manifest.sizes[index]), name))
    return items, start + limit < len(chosen)
