"""The things in a chain: finding the one that is meant, and describing all of them."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from madang.core.errors import InvalidInput, NotFound
from madang.core.permissions import Permission
from madang.schemas.lineage import LineageKind, LineageNode
from madang.server.environments.tables import EnvironmentRow
from madang.server.identity.principal import Principal
from madang.server.identity.projects import resolve_project
from madang.server.identity.tables import UserRow
from madang.server.serving import service as serving
from madang.server.serving.tables import EndpointRevisionRow, EndpointRow
from madang.server.storage.datasets import find_dataset, find_version
from madang.server.storage.tables import DatasetRow, DatasetVersionRow
from madang.server.tracking.browse import project_names
from madang.server.tracking.models import resolve_model
from madang.server.tracking.runs import find_run
from madang.server.tracking.sql import chunks
from madang.server.tracking.tables import ModelVersionRow, RunRow
from madang.server.workloads.service import find_workload
from madang.server.workloads.tables import WorkloadRow


async def find(
    session: AsyncSession,
    principal: Principal,
    kind: LineageKind,
    ref: str,
    project: str | None,
) -> str:
    """The id of the thing that is meant. Raises NotFound, Forbidden, InvalidInput."""
    return await _FINDERS[kind](session, principal, ref, project)


async def describe(
    session: AsyncSession, principal: Principal, kind: LineageKind, ids: Sequence[str]
) -> list[LineageNode]:
    """The things with these ids that she may see, oldest first."""
    found: list[LineageNode] = []
    for some in chunks(ids):
        found.extend(await _DESCRIBERS[kind](session, some))
    seen = [node for node in found if principal.sees(node.project)]
    names = await project_names(session, {node.project for node in seen})
    seen.sort(key=lambda node: (node.at, node.id))
    return [replace(node, project=names[node.project]) for node in seen]


async def _find_dataset_version(
    session: AsyncSession, principal: Principal, ref: str, project: str | None
) -> str:
    row = await session.get(DatasetVersionRow, ref)
    if row is not None:
        dataset = await session.get_one(DatasetRow, row.dataset_id)
    else:
        name, at, number = ref.partition("@")
        if at and not (number.isdecimal() and len(number) < 10):
            raise InvalidInput(
                f"{ref!r} does not name a dataset version",
                field="dataset_version",
                hint="Use NAME@VERSION, e.g. digits@1, or NAME for the newest.",
            )
        dataset = await find_dataset(session, principal, project, name)
        row = await find_version(session, dataset, int(number) if at else None)
    if not principal.sees(dataset.project_id):
        raise NotFound(f"there is no dataset version {ref!r}, or none that you may see")
    principal.require(Permission.DATASETS_READ, dataset.project_id, "dataset")
    return row.id


async def _find_job(
    session: AsyncSession, principal: Principal, ref: str, project: str | None
) -> str:
    project_id = (await resolve_project(session, principal, project)).id if project else None
    row = await find_workload(session, principal, Permission.JOBS_READ, ref, project_id=project_id)
    return row.id


async def _find_run(
    session: AsyncSession, principal: Principal, ref: str, project: str | None
) -> str:
    return (await find_run(session, principal, ref)).id


async def _find_model_version(
    session: AsyncSession, principal: Principal, ref: str, project: str | None
) -> str:
    row = await session.get(ModelVersionRow, ref)
    if row is not None and principal.sees(row.project_id):
        principal.require(Permission.MODELS_READ, row.project_id)
        return row.id
    found = await resolve_project(session, principal, project)
    return (await resolve_model(session, principal, found.id, ref)).id


async def _find_endpoint(
    session: AsyncSession, principal: Principal, ref: str, project: str | None
) -> str:
    found = await serving.find(session, principal, Permission.ENDPOINTS_READ, ref, project)
    return found.id


async def _describe_dataset_versions(
    session: AsyncSession, ids: Sequence[str]
) -> list[LineageNode]:
    rows = await session.execute(
        select(DatasetVersionRow, DatasetRow, UserRow.name)
        .join(DatasetRow, DatasetRow.id == DatasetVersionRow.dataset_id)
        .join(UserRow, UserRow.id == DatasetVersionRow.created_by)
        .where(DatasetVersionRow.id.in_(ids))
    )
    return [
        LineageNode(
            LineageKind.DATASET_VERSION,
            version.id,
            f"{dataset.name}@{version.number}",
            dataset.project_id,
            user,
            version.created_at,
        )
        for version, dataset, user in rows
    ]


async def _describe_jobs(session: AsyncSession, ids: Sequence[str]) -> list[LineageNode]:
    rows = await session.execute(
        select(WorkloadRow, EnvironmentRow, UserRow.name)
        .join(UserRow, UserRow.id == WorkloadRow.user_id)
        .outerjoin(EnvironmentRow, EnvironmentRow.id == WorkloadRow.environment_id)
        .where(WorkloadRow.id.in_(ids))
    )
    return [
        LineageNode(
            LineageKind.JOB,
            job.id,
            job.name,
            job.project_id,
            user,
            job.created_at,
            state=job.state,
            environment=environment.ref if environment else "",
        )
        for job, environment, user in rows
    ]


async def _describe_runs(session: AsyncSession, ids: Sequence[str]) -> list[LineageNode]:
    return [
        LineageNode(
            LineageKind.RUN,
            run.id,
            run.name,
            run.project_id,
            run.user_name,
            _time(run.start_ms),
            state=run.status,
        )
        for run in await session.scalars(select(RunRow).where(RunRow.id.in_(ids)))
    ]


async def _describe_model_versions(session: AsyncSession, ids: Sequence[str]) -> list[LineageNode]:
    query = select(ModelVersionRow).where(ModelVersionRow.id.in_(ids))
    return [
        LineageNode(
            LineageKind.MODEL_VERSION,
            version.id,
            f"{version.name}/{version.version}",
            version.project_id,
            version.user_name,
            _time(version.created_ms),
        )
        for version in await session.scalars(query)
    ]


async def _describe_endpoints(session: AsyncSession, ids: Sequence[str]) -> list[LineageNode]:
    rows = await session.execute(
        select(EndpointRow, EndpointRevisionRow)
        .join(EndpointRevisionRow, EndpointRevisionRow.id == EndpointRow.target_id)
        .where(EndpointRow.id.in_(ids), EndpointRow.deleted_at.is_(None))
    )
    return [
        LineageNode(
            LineageKind.ENDPOINT,
            endpoint.id,
            endpoint.name,
            endpoint.project_id,
            revision.user_name,
            endpoint.created_at,
            state="ready" if endpoint.active_id == endpoint.target_id else "updating",
        )
        for endpoint, revision in rows
    ]


def _time(milliseconds: int) -> datetime:
    return datetime(1970, 1, 1, tzinfo=UTC) + timedelta(milliseconds=milliseconds)


_FINDERS: dict[LineageKind, Callable[[AsyncSession, Principal, str, str | None], Awaitable[str]]]
_FINDERS = {
    LineageKind.DATASET_VERSION: _find_dataset_version,
    LineageKind.JOB: _find_job,
    LineageKind.RUN: _find_run,
    LineageKind.MODEL_VERSION: _find_model_version,
    LineageKind.ENDPOINT: _find_endpoint,
}
_DESCRIBERS: dict[
    LineageKind, Callable[[AsyncSession, Sequence[str]], Awaitable[list[LineageNode]]]
]
_DESCRIBERS = {
    LineageKind.DATASET_VERSION: _describe_dataset_versions,
    LineageKind.JOB: _describe_jobs,
    LineageKind.RUN: _describe_runs,
    LineageKind.MODEL_VERSION: _describe_model_versions,
    LineageKind.ENDPOINT: _describe_endpoints,
}
