"""Routes of datasets, their versions and views."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query
from pydantic import TypeAdapter

from madang.core.permissions import Permission
from madang.schemas import Page
from madang.schemas.datasets import (
    Dataset,
    DatasetCreate,
    DatasetItem,
    DatasetVersion,
    DatasetView,
    HoldOut,
    VersionReport,
)
from madang.schemas.files import to_wire
from madang.server.api.deps import Actor, Context, PagingQuery, page_of, permit
from madang.server.api.folders import ProjectQuery
from madang.server.storage import datasets, versions
from madang.server.storage.tables import DatasetRow, DatasetVersionRow, DatasetViewRow

router = APIRouter(prefix="/datasets", tags=["datasets"])

_REPORT = TypeAdapter(VersionReport)


@router.get("", dependencies=[permit(Permission.DATASETS_READ)])
async def list_datasets(
    context: Context, actor: Actor, paging: PagingQuery, project: ProjectQuery = None
) -> Page[Dataset]:
    """Datasets that you see, newest first."""
    found = await datasets.list_datasets(
        context, actor, project=project, limit=paging.limit, cursor=paging.cursor
    )
    return page_of(found, paging, _dataset, lambda info: info.row.id)


@router.post("", status_code=201, dependencies=[permit(Permission.DATASETS_WRITE)])
async def create_dataset(body: DatasetCreate, context: Context, actor: Actor) -> Dataset:
    """Name a folder's files as a dataset, and save version 1 of them."""
    row = await datasets.create_dataset(
        context,
        actor,
        body.name,
        body.folder,
        body.path,
        project=body.project,
        description=body.description,
    )
    if body.save:
        await versions.create_version(context, actor, None, row.id)
    return _dataset(await datasets.get_dataset(context, actor, None, row.id))


@router.get("/{dataset}", dependencies=[permit(Permission.DATASETS_READ)])
async def get_dataset(
    dataset: str, context: Context, actor: Actor, project: ProjectQuery = None
) -> Dataset:
    """One dataset with its views and newest version."""
    return _dataset(await datasets.get_dataset(context, actor, project, dataset))


@router.get("/{dataset}/versions", dependencies=[permit(Permission.DATASETS_READ)])
async def list_versions(
    dataset: str,
    context: Context,
    actor: Actor,
    limit: Annotated[int, Query(ge=1, le=1000)] = 50,
    cursor: Annotated[int | None, Query(ge=1, le=2**31)] = None,
    project: ProjectQuery = None,
) -> Page[DatasetVersion]:
    """Versions, newest first."""
    row, found = await versions.list_versions(
        context, actor, project, dataset, limit=limit, cursor=cursor
    )
    more = len(found) > limit
    items = [_version(row, version, name) for version, name in found[:limit]]
    return Page(items, str(items[-1].number) if more else None)


@router.post(
    "/{dataset}/versions", status_code=201, dependencies=[permit(Permission.DATASETS_WRITE)]
)
async def create_version(
    dataset: str, context: Context, actor: Actor, project: ProjectQuery = None
) -> DatasetVersion:
    """Save what the dataset's files are now; the same content again is the same version."""
    version, name = await versions.create_version(context, actor, project, dataset)
    row, _ = await versions.get_version(context, actor, None, version.dataset_id, version.number)
    return _version(row, version, name)


@router.get("/{dataset}/versions/{number}", dependencies=[permit(Permission.DATASETS_READ)])
async def get_version(
    dataset: str, number: str, context: Context, actor: Actor, project: ProjectQuery = None
) -> DatasetVersion:
    """One version with its report; `latest` is the newest."""
    row, (version, name) = await versions.get_version(
        context, actor, project, dataset, versions.parse_number(number)
    )
    return _version(row, version, name)


@router.get("/{dataset}/versions/{number}/items", dependencies=[permit(Permission.DATASETS_READ)])
async def list_items(
    dataset: str,
    number: str,
    context: Context,
    actor: Actor,
    limit: Annotated[int, Query(ge=1, le=1000)] = 50,
    cursor: Annotated[int, Query(ge=0, le=2**62)] = 0,
    view: Annotated[str | None, Query(max_length=63)] = None,
    project: ProjectQuery = None,
) -> Page[DatasetItem]:
    """The files of a version, or of one view of it, by path."""
    found, more = await versions.list_items(
        context,
        actor,
        project,
        dataset,
        versions.parse_number(number),
        view=view,
        start=cursor,
        limit=limit,
    )
    items = [
        DatasetItem(to_wire(path), size, None if label is None else to_wire(label))
        for path, size, label in found
    ]
    return Page(items, str(cursor + limit) if more else None)


@router.post("/{dataset}/views", status_code=201, dependencies=[permit(Permission.DATASETS_WRITE)])
async def hold_out(
    dataset: str, body: HoldOut, context: Context, actor: Actor, project: ProjectQuery = None
) -> Page[DatasetView]:
    """Split a dataset in two views, the same way for all versions."""
    views = await versions.hold_out(
        context,
        actor,
        project,
        dataset,
        name=body.name,
        fraction=body.fraction,
        rest=body.rest,
        seed=body.seed,
    )
    return Page([_view(view) for view in views])


def _dataset(info: datasets.DatasetInfo) -> Dataset:
    row = info.row
    return Dataset(
        id=row.id,
        name=row.name,
        project=info.project,
        folder=info.folder,
        path=row.path,
        description=row.description,
        created_by=info.created_by,
        created_at=row.created_at,
        views=[_view(view) for view in info.views],
        latest=_version(row, *info.latest) if info.latest else None,
    )


def _version(dataset: DatasetRow, row: DatasetVersionRow, created_by: str) -> DatasetVersion:
    return DatasetVersion(
        id=row.id,
        dataset=dataset.name,
        number=row.number,
        ref=f"{dataset.name}@{row.number}",
        digest=row.digest,
        num_items=row.num_items,
        total_bytes=row.total_bytes,
        created_by=created_by,
        created_at=row.created_at,
        report=_REPORT.validate_python(row.report),
    )


def _view(row: DatasetViewRow) -> DatasetView:
    rule = row.rule
    return DatasetView(row.id, row.name, rule["seed"], rule["start"], rule["end"], row.created_at)
