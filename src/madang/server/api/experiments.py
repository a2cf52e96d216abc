"""Experiments, for reading; they are made with MLflow's client."""

from __future__ import annotations

from collections.abc import Sequence

from fastapi import APIRouter

from madang.core.permissions import Permission
from madang.schemas import Page
from madang.schemas.experiments import Experiment
from madang.server.api.deps import Actor, Context, PagingQuery, page_of, permit
from madang.server.api.models import Project, time_of
from madang.server.context import ServerContext
from madang.server.tracking import browse, experiments

router = APIRouter(prefix="/experiments", tags=["experiments"])


async def _experiments(
    context: ServerContext, found: Sequence[experiments.Experiment]
) -> dict[str, Experiment]:
    names = await browse.names_of_projects(context, [item.row.project_id for item in found])
    return {
        item.row.id: Experiment(
            id=item.row.id,
            name=item.row.name,
            project=names[item.row.project_id],
            created_at=time_of(item.row.created_ms),
            updated_at=time_of(item.row.updated_ms),
            tags=item.tags,
        )
        for item in found
    }


@router.get("", dependencies=[permit(Permission.TRACKING_READ)])
async def list_experiments(
    context: Context, actor: Actor, paging: PagingQuery, project: Project = None
) -> Page[Experiment]:
    """Experiments that you see, newest first."""
    found = await browse.list_experiments(
        context, actor, project=project, limit=paging.limit, cursor=paging.cursor
    )
    shown = await _experiments(context, found)
    return page_of(found, paging, lambda item: shown[item.row.id], lambda item: item.row.id)


@router.get("/{experiment}", dependencies=[permit(Permission.TRACKING_READ)])
async def get_experiment(
    experiment: str, context: Context, actor: Actor, project: Project = None
) -> Experiment:
    """One experiment, by name or id."""
    found = await browse.get_experiment(context, actor, experiment, project)
    return (await _experiments(context, [found]))[found.row.id]
