"""Runs, for reading; they are logged with MLflow's client."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Annotated, Literal

from fastapi import APIRouter, Query

from madang.core.permissions import Permission
from madang.schemas import Page
from madang.schemas.runs import MetricValue, Run
from madang.server.api.deps import Actor, Context, FreePagingQuery, page_of, permit
from madang.server.api.mlflow_base import read_token, write_token
from madang.server.api.models import Project, time_of
from madang.server.context import ServerContext
from madang.server.tracking import browse, metrics, runs
from madang.server.tracking.tables import MetricPointRow, RunMetricRow

router = APIRouter(prefix="/runs", tags=["runs"])

Status = Literal["RUNNING", "SCHEDULED", "FINISHED", "FAILED", "KILLED"]


def _value(row: RunMetricRow | MetricPointRow) -> MetricValue:
    number = metrics.number_of(row)
    finite = number if math.isfinite(number) else None
    return MetricValue(row.step, finite, time_of(row.timestamp_ms))


async def _runs(context: ServerContext, found: Sequence[runs.Run]) -> dict[str, Run]:
    projects = await browse.names_of_projects(context, [run.row.project_id for run in found])
    experiments = await browse.names_of_experiments(
        context, [run.row.experiment_id for run in found]
    )
    return {
        run.row.id: Run(
            id=run.row.id,
            name=run.row.name,
            project=projects[run.row.project_id],
            experiment_id=run.row.experiment_id,
            experiment=experiments[run.row.experiment_id],
            user=run.row.user_name,
            status=run.row.status,
            started_at=time_of(run.row.start_ms),
            ended_at=None if run.row.end_ms is None else time_of(run.row.end_ms),
            job_id=run.row.workload_id,
            params=run.params,
            metrics={row.key: _value(row) for row in run.metrics},
            tags=run.tags,
        )
        for run in found
    }


@router.get("", dependencies=[permit(Permission.TRACKING_READ)])
async def list_runs(
    context: Context,
    actor: Actor,
    paging: FreePagingQuery,
    project: Project = None,
    experiment: Annotated[str | None, Query(description="Name or id.")] = None,
    job: Annotated[str | None, Query(description="Id of the job that logged them.")] = None,
    status: Status | None = None,
    filter: Annotated[
        str | None, Query(max_length=10_000, description="E.g. `metrics.loss < 0.5`.")
    ] = None,
) -> Page[Run]:
    """Runs that you see, the one that started last first."""
    found = await browse.list_runs(
        context,
        actor,
        project=project,
        experiment=experiment,
        job_id=job,
        status=status,
        filter_text=filter,
        limit=paging.limit,
        cursor=paging.cursor,
    )
    shown = await _runs(context, found)
    return page_of(found, paging, lambda run: shown[run.row.id], browse.cursor_of)


@router.get("/{run}", dependencies=[permit(Permission.TRACKING_READ)])
async def get_run(run: str, context: Context, actor: Actor) -> Run:
    """One run, by its id."""
    found = await runs.get_run(context, actor, run)
    return (await _runs(context, [found]))[found.row.id]


@router.get("/{run}/metrics/{metric:path}", dependencies=[permit(Permission.TRACKING_READ)])
async def metric_history(
    run: str, metric: str, context: Context, actor: Actor, paging: FreePagingQuery
) -> Page[MetricValue]:
    """All values of a metric, in the order of their times."""
    after = metrics.read_position(read_token(paging.cursor)) if paging.cursor else None
    history = await metrics.metric_history(
        context, actor, run, metric, limit=paging.limit, after=after
    )
    position = history.next_position
    values = [_value(row) for row in history.points]
    return Page(values, write_token(position) if position else None)
