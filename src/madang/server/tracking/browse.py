"""Experiments and runs as our own API lists them: by cursor, over all projects she sees."""

from __future__ import annotations

import re
from collections.abc import Iterable

from sqlalchemy import select, tuple_
from sqlalchemy.ext.asyncio import AsyncSession

from madang.core.errors import InvalidInput, NotFound
from madang.core.permissions import Permission
from madang.server.context import ServerContext
from madang.server.identity.principal import Principal
from madang.server.identity.projects import resolve_project
from madang.server.identity.tables import ProjectRow
from madang.server.tracking import runs
from madang.server.tracking.experiments import Experiment, with_tags
from madang.server.tracking.tables import ExperimentRow, RunRow

_RUN_ID = re.compile(r"[0-9a-zA-Z_-]{1,64}")


async def project_names(session: AsyncSession, project_ids: Iterable[str]) -> dict[str, str]:
    """Project id → name."""
    query = select(ProjectRow.id, ProjectRow.name).where(ProjectRow.id.in_(set(project_ids)))
    return {project_id: name for project_id, name in await session.execute(query)}


async def names_of_projects(context: ServerContext, project_ids: Iterable[str]) -> dict[str, str]:
    async with context.db.read() as session:
        return await project_names(session, project_ids)


async def names_of_experiments(
    context: ServerContext, experiment_ids: Iterable[str]
) -> dict[str, str]:
    """Experiment id → name."""
    async with context.db.read() as session:
        query = select(ExperimentRow.id, ExperimentRow.name)
        rows = await session.execute(query.where(ExperimentRow.id.in_(set(experiment_ids))))
        return {experiment_id: name for experiment_id, name in rows}


async def find_experiment(
    session: AsyncSession, principal: Principal, experiment: str, project: str | None
) -> ExperimentRow:
    """By id, or by name in a project. Raises NotFound; InvalidInput for want of a project."""
    found = await session.get(ExperimentRow, experiment) if experiment.isdecimal() else None
    if found is None:
        project_row = await resolve_project(session, principal, project)
        found = await session.scalar(
            select(ExperimentRow).where(
                ExperimentRow.project_id == project_row.id, ExperimentRow.name == experiment
            )
        )
    if found is None or not principal.sees(found.project_id):
        raise NotFound(
            f"there is no experiment {experiment!r}, or none that you may see",
            field="experiment",
            hint="`madang experiment list` shows them.",
        )
    principal.require(Permission.TRACKING_READ, found.project_id)
    return found


async def list_experiments(
    context: ServerContext,
    principal: Principal,
    *,
    project: str | None,
    limit: int,
    cursor: str | None,
) -> list[Experiment]:
    """Newest first; one more than `limit` when there are more. Deleted ones are left out."""
    query = select(ExperimentRow).where(ExperimentRow.lifecycle_stage == "active")
    query = query.order_by(ExperimentRow.id.desc()).limit(limit + 1)
    if cursor:
        query = query.where(ExperimentRow.id < cursor)
    async with context.db.read() as session:
        if project is not None:
            found = await resolve_project(session, principal, project)
            principal.require(Permission.TRACKING_READ, found.id)
            query = query.where(ExperimentRow.project_id == found.id)
        elif (visible := principal.visible_projects) is not None:
            query = query.where(ExperimentRow.project_id.in_(visible))
        return await with_tags(session, list(await session.scalars(query)))


async def get_experiment(
    context: ServerContext, principal: Principal, experiment: str, project: str | None
) -> Experiment:
    """One experiment, by name or id."""
    async with context.db.read() as session:
        row = await find_experiment(session, principal, experiment, project)
        return (await with_tags(session, [row]))[0]


async def list_runs(
    context: ServerContext,
    principal: Principal,
    *,
    project: str | None = None,
    experiment: str | None = None,
    job_id: str | None = None,
    status: str | None = None,
    filter_text: str | None = None,
    limit: int,
    cursor: str | None = None,
) -> list[runs.Run]:
    """Newest start first; one more than `limit` when there are more. Deleted ones are left out.

    `filter_text` is in MLflow's language, e.g. `metrics.loss < 0.5`.
    """
    query = select(RunRow).where(RunRow.lifecycle_stage == "active")
    query = query.where(*runs.SPACE.condition(filter_text))
    query = query.order_by(RunRow.start_ms.desc(), RunRow.id.desc()).limit(limit + 1)
    if cursor:
        query = query.where(tuple_(RunRow.start_ms, RunRow.id) < _read_cursor(cursor))
    if job_id is not None:
        query = query.where(RunRow.workload_id == job_id)
    if status is not None:
        query = query.where(RunRow.status == status)
    async with context.db.read() as session:
        if experiment is not None:
            found = await find_experiment(session, principal, experiment, project)
            query = query.where(RunRow.experiment_id == found.id)
        if project is not None:
            project_row = await resolve_project(session, principal, project)
            principal.require(Permission.TRACKING_READ, project_row.id)
            query = query.where(RunRow.project_id == project_row.id)
        elif (visible := principal.visible_projects) is not None:
            query = query.where(RunRow.project_id.in_(visible))
        return await runs.with_details(session, list(await session.scalars(query)))


def cursor_of(run: runs.Run) -> str:
    return f"{run.row.start_ms}.{run.row.id}"


def _read_cursor(cursor: str) -> tuple[int, str]:
    start_ms, _, run_id = cursor.partition(".")
    try:
        number = int(start_ms)
    except ValueError:
        number = 2**63
    if not -(2**63) <= number < 2**63 or not _RUN_ID.fullmatch(run_id):
        raise InvalidInput(f"{cursor!r} is not a cursor of this list", field="cursor")
    return number, run_id
