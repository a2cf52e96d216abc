"""Registered models."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Annotated

from fastapi import APIRouter, Path, Query

from madang.core.permissions import Permission
from madang.schemas import Page
from madang.schemas.models import AliasSet, Model, ModelChange, ModelVersion
from madang.server.api.deps import Actor, Context, PagingQuery, page_of, permit
from madang.server.context import ServerContext
from madang.server.tracking import browse, models, versions

router = APIRouter(prefix="/models", tags=["models"])

Project = Annotated[str | None, Query(description="Name or id; yours when you have one only.")]
Version = Annotated[int, Path(ge=1, le=2**62)]


def time_of(milliseconds: int) -> datetime:
    return datetime(1970, 1, 1, tzinfo=UTC) + timedelta(milliseconds=milliseconds)


async def _models(
    context: ServerContext, found: Sequence[models.RegisteredModel]
) -> dict[str, Model]:
    names = await browse.names_of_projects(context, [item.row.project_id for item in found])
    return {
        item.row.id: Model(
            id=item.row.id,
            name=item.row.name,
            project=names[item.row.project_id],
            user=item.row.user_name,
            description=item.row.description or "",
            latest_version=max((version.row.version for version in item.latest), default=None),
            created_at=time_of(item.row.created_ms),
            updated_at=time_of(item.row.updated_ms),
            aliases=item.aliases,
            tags=item.tags,
        )
        for item in found
    }


async def _model(context: ServerContext, found: models.RegisteredModel) -> Model:
    return (await _models(context, [found]))[found.row.id]


async def _versions(
    context: ServerContext, found: Sequence[models.VersionDetails]
) -> dict[str, ModelVersion]:
    names = await browse.names_of_projects(context, [item.row.project_id for item in found])
    return {
        item.row.id: ModelVersion(
            id=item.row.id,
            model=item.row.name,
            version=item.row.version,
            ref=f"{item.row.name}/{item.row.version}",
            project=names[item.row.project_id],
            user=item.row.user_name,
            source=item.row.source,
            run_id=item.row.run_id,
            description=item.row.description or "",
            created_at=time_of(item.row.created_ms),
            updated_at=time_of(item.row.updated_ms),
            aliases=item.aliases,
            tags=item.tags,
        )
        for item in found
    }


async def _version(context: ServerContext, found: models.VersionDetails) -> ModelVersion:
    return (await _versions(context, [found]))[found.row.id]


@router.get("", dependencies=[permit(Permission.MODELS_READ)])
async def list_models(
    context: Context, actor: Actor, paging: PagingQuery, project: Project = None
) -> Page[Model]:
    """Models that you see, newest first."""
    found = await models.list_models(
        context, actor, project=project, limit=paging.limit, cursor=paging.cursor
    )
    shown = await _models(context, found)
    return page_of(found, paging, lambda item: shown[item.row.id], lambda item: item.row.id)


@router.get("/{model}", dependencies=[permit(Permission.MODELS_READ)])
async def get_model(model: str, context: Context, actor: Actor, project: Project = None) -> Model:
    """One model, by name or id."""
    return await _model(context, await models.get_model(context, actor, model, project))


@router.patch("/{model}", dependencies=[permit(Permission.MODELS_WRITE)])
async def change_model(
    model: str, body: ModelChange, context: Context, actor: Actor, project: Project = None
) -> Model:
    """Rename or describe it; endpoints keep serving its versions."""
    found = await models.update_model(
        context, actor, model, new_name=body.name, description=body.description, project=project
    )
    return await _model(context, found)


@router.delete("/{model}", status_code=204, dependencies=[permit(Permission.MODELS_WRITE)])
async def delete_model(
    model: str, context: Context, actor: Actor, project: Project = None
) -> None:
    """Forget a model and its versions; the files of the runs that made them stay."""
    await models.delete_model(context, actor, model, project)


@router.get("/{model}/versions", dependencies=[permit(Permission.MODELS_READ)])
async def list_versions(
    model: str, context: Context, actor: Actor, paging: PagingQuery, project: Project = None
) -> Page[ModelVersion]:
    """A model's versions, newest first."""
    found = await versions.list_versions(
        context, actor, model, project=project, limit=paging.limit, cursor=paging.cursor
    )
    shown = await _versions(context, found)
    return page_of(
        found, paging, lambda item: shown[item.row.id], lambda item: str(item.row.version)
    )


@router.get("/{model}/versions/{version}", dependencies=[permit(Permission.MODELS_READ)])
async def get_version(
    model: str, version: Version, context: Context, actor: Actor, project: Project = None
) -> ModelVersion:
    """One version, by its number."""
    found = await versions.get_version(context, actor, model, version, project)
    return await _version(context, found)


@router.delete(
    "/{model}/versions/{version}",
    status_code=204,
    dependencies=[permit(Permission.MODELS_WRITE)],
)
async def delete_version(
    model: str, version: Version, context: Context, actor: Actor, project: Project = None
) -> None:
    """Forget a version and its aliases; the run's files stay."""
    await versions.delete_version(context, actor, model, version, project)


@router.put("/{model}/aliases/{alias}", dependencies=[permit(Permission.MODELS_WRITE)])
async def set_alias(
    model: str,
    alias: str,
    body: AliasSet,
    context: Context,
    actor: Actor,
    project: Project = None,
) -> ModelVersion:
    """Let an alias mean a version from now on."""
    await versions.set_alias(context, actor, model, alias, body.version, project)
    found = await versions.get_version(context, actor, model, body.version, project)
    return await _version(context, found)


@router.delete(
    "/{model}/aliases/{alias}", status_code=204, dependencies=[permit(Permission.MODELS_WRITE)]
)
async def delete_alias(
    model: str, alias: str, context: Context, actor: Actor, project: Project = None
) -> None:
    """Take an alias away; does nothing when there is none."""
    await versions.set_alias(context, actor, model, alias, None, project)
