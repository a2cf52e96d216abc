"""Lineage: what was made from what."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query

from madang.core.errors import InvalidInput
from madang.core.permissions import Permission
from madang.schemas.lineage import LineageChain, LineageKind
from madang.server.api.deps import Actor, Context, permit
from madang.server.api.models import Project
from madang.server.lineage.service import trace

router = APIRouter(prefix="/lineage", tags=["lineage"])

Name = Annotated[str | None, Query(max_length=500)]


@router.get("", dependencies=[permit(Permission.TRACKING_READ)])
async def get_lineage(
    context: Context,
    actor: Actor,
    endpoint: Name = None,
    model_version: Name = None,
    run: Name = None,
    job: Name = None,
    dataset_version: Name = None,
    project: Project = None,
) -> LineageChain:
    """What one thing was made from and what was made from it; name exactly one."""
    named = {
        LineageKind.ENDPOINT: endpoint,
        LineageKind.MODEL_VERSION: model_version,
        LineageKind.RUN: run,
        LineageKind.JOB: job,
        LineageKind.DATASET_VERSION: dataset_version,
    }
    given = [(kind, ref) for kind, ref in named.items() if ref]
    if len(given) != 1:
        raise InvalidInput(
            f"{len(given)} things are named; lineage is shown of exactly one",
            hint=f"Give one of {', '.join(kind.value for kind in named)}.",
        )
    kind, ref = given[0]
    return await trace(context, actor, kind, ref, project)
