"""Numbered versions of registered models, and the aliases that refer to them."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from urllib.parse import unquote

from sqlalchemy import delete, select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession

from madang.core.errors import Conflict, InvalidInput, NotFound
from madang.core.ids import new_id
from madang.core.permissions import Permission
from madang.server.context import ServerContext
from madang.server.db.engine import announce
from madang.server.identity.principal import Principal
from madang.server.identity.projects import resolve_project
from madang.server.tracking import limits
from madang.server.tracking.experiments import now_ms
from madang.server.tracking.filters import SearchSpace
from madang.server.tracking.logged_models import find_logged_model
from madang.server.tracking.models import (
    VersionDetails,
    check_tags,
    find_model,
    resolve_model,
    version_details,
)
from madang.server.tracking.runs import find_run
from madang.server.tracking.sql import insert_or_update
from madang.server.tracking.tables import (
    ExperimentRow,
    ModelAliasRow,
    ModelVersionRow,
    ModelVersionTagRow,
    RegisteredModelRow,
)

STAGES = ("None", "Staging", "Production", "Archived")
ARTIFACT_SCHEME = "mlflow-artifacts:"

SPACE = SearchSpace(
    row=ModelVersionRow,
    texts={
        "name": ModelVersionRow.name,
        "run_id": ModelVersionRow.run_id,
        "source_path": ModelVersionRow.source,
    },
    numbers={
        "version_number": ModelVersionRow.version,
        "creation_timestamp": ModelVersionRow.created_ms,
        "last_updated_timestamp": ModelVersionRow.updated_ms,
    },
    keyed={"tag": ModelVersionTagRow},
    owner="version_id",
    orderable=("name", "version_number", "creation_timestamp", "last_updated_timestamp"),
)


@dataclass(frozen=True, slots=True)
class Source:
    """Where a version comes from: its files, and the run and logged model that made them."""

    artifact_path: str
    run_id: str | None
    logged_model_id: str | None


def download_uri(row: ModelVersionRow) -> str:
    """Where MLflow's clients fetch the version's files."""
    return f"{ARTIFACT_SCHEME}/{row.artifact_path}"


async def find_version(
    session: AsyncSession,
    principal: Principal,
    name: str,
    version: int,
    permission: Permission = Permission.MODELS_READ,
    project: str | None = None,
) -> ModelVersionRow:
    """Raises NotFound, Forbidden."""
    model = await find_model(session, principal, name, permission, project)
    found = await session.scalar(
        select(ModelVersionRow).where(
            ModelVersionRow.model_id == model.id, ModelVersionRow.version == version
        )
    )
    if found is None:
        raise NotFound(f"model version (name={name}, version={version}) not found")
    return found


async def create_version(
    context: ServerContext,
    principal: Principal,
    name: str,
    source: str,
    *,
    run_id: str | None = None,
    run_link: str | None = None,
    logged_model_id: str | None = None,
    description: str | None = None,
    tags: dict[str, str] | None = None,
    project: str | None = None,
) -> VersionDetails:
    """Register the files at `source` as the model's next version.

    `source` is `models:/m-…` (a logged model), `runs:/RUN/path`, `models:/name/version` or a path
    among the project's artifacts. Numbers count up without gaps and are never used again.
    """
    tags = check_tags(tags or {})
    async with context.db.transaction() as session:
        model = await find_model(session, principal, name, Permission.MODELS_WRITE, project)
        found = await _resolve_source(
            session, principal, model.project_id, source, run_id, logged_model_id
        )
        now = now_ms(context.clock)
        number = await session.scalar(
            update(RegisteredModelRow)
            .where(RegisteredModelRow.id == model.id)
            .values(last_version=RegisteredModelRow.last_version + 1, updated_ms=now)
            .returning(RegisteredModelRow.last_version)
            .execution_options(synchronize_session=False)
        )
        assert number is not None
        row = ModelVersionRow(
            id=new_id("ver"),
            model_id=model.id,
            project_id=model.project_id,
            name=model.name,
            version=number,
            source=source,
            artifact_path=found.artifact_path,
            created_ms=now,
            updated_ms=now,
            user_name=principal.name,
            run_id=found.run_id,
            run_link=run_link,
            logged_model_id=found.logged_model_id,
            description=description,
        )
        session.add(row)
        await session.flush()
        await _write_tags(session, row.id, tags)
        announce(session, f"project:{row.project_id}:models")
    return VersionDetails(row, tags)


async def get_version(
    context: ServerContext,
    principal: Principal,
    name: str,
    version: int,
    project: str | None = None,
) -> VersionDetails:
    async with context.db.read() as session:
        row = await find_version(session, principal, name, version, project=project)
        return (await version_details(session, [row]))[0]


async def get_by_alias(
    context: ServerContext, principal: Principal, name: str, alias: str, project: str | None = None
) -> VersionDetails:
    async with context.db.read() as session:
        model = await find_model(session, principal, name, project=project)
        row = await session.scalar(
            select(ModelVersionRow)
            .join(ModelAliasRow, ModelAliasRow.version_id == ModelVersionRow.id)
            .where(ModelAliasRow.model_id == model.id, ModelAliasRow.alias == alias)
        )
        if row is None:
            raise InvalidInput(f"registered model alias {alias} not found")
        return (await version_details(session, [row]))[0]


async def update_version(
    context: ServerContext,
    principal: Principal,
    name: str,
    version: int,
    *,
    description: str | None = None,
    stage: str | None = None,
    archive_existing: bool = False,
    project: str | None = None,
) -> VersionDetails:
    """Describe a version anew, or move it to a stage (MLflow's older way; prefer aliases)."""
    canonical = canonical_stage(stage) if stage is not None else None
    if archive_existing and canonical not in ("Staging", "Production"):
        raise InvalidInput(
            f"cannot archive existing model versions: {stage!r} is not an Active stage",
            hint="Valid stages are Staging and Production.",
        )
    async with context.db.transaction() as session:
        row = await find_version(
            session, principal, name, version, Permission.MODELS_WRITE, project
        )
        row.updated_ms = now_ms(context.clock)
        if description is not None:
            row.description = description
        if canonical is not None:
            row.stage = canonical
        if archive_existing:
            await session.execute(
                update(ModelVersionRow)
                .where(
                    ModelVersionRow.model_id == row.model_id,
                    ModelVersionRow.id != row.id,
                    ModelVersionRow.stage == canonical,
                )
                .values(stage="Archived", updated_ms=row.updated_ms)
                .execution_options(synchronize_session=False)
            )
        announce(session, f"project:{row.project_id}:models")
        await session.flush()
        return (await version_details(session, [row]))[0]


async def delete_version(
    context: ServerContext,
    principal: Principal,
    name: str,
    version: int,
    project: str | None = None,
) -> None:
    """Forget a version and its aliases; the files stay with their run. Raises Conflict while an
    endpoint serves it."""
    try:
        async with context.db.transaction() as session:
            row = await find_version(
                session, principal, name, version, Permission.MODELS_WRITE, project
            )
            for table in (ModelAliasRow, ModelVersionTagRow):
                await session.execute(delete(table).where(table.version_id == row.id))
            await session.delete(row)
            await session.flush()
            announce(session, f"project:{row.project_id}:models")
    except IntegrityError:
        raise Conflict(
            f"version {version} of model {name!r} is in use",
            hint="An endpoint serves it: deploy another version or delete the endpoint first.",
        ) from None


async def search_versions(
    context: ServerContext,
    principal: Principal,
    *,
    filter_text: str | None = None,
    order_by: Sequence[str] = (),
    limit: int,
    offset: int = 0,
    project: str | None = None,
) -> list[VersionDetails]:
    """One more than `limit` when there are more; newest first unless told otherwise."""
    query = select(ModelVersionRow).where(*SPACE.condition(filter_text))
    query = SPACE.order(query, order_by).order_by(
        ModelVersionRow.updated_ms.desc(), ModelVersionRow.name, ModelVersionRow.version.desc()
    )
    async with context.db.read() as session:
        found = await resolve_project(session, principal, project)
        principal.require(Permission.MODELS_READ, found.id)
        query = query.where(ModelVersionRow.project_id == found.id)
        rows = list(await session.scalars(query.limit(limit + 1).offset(offset)))
        return await version_details(session, rows)


async def set_version_tag(
    context: ServerContext,
    principal: Principal,
    name: str,
    version: int,
    key: str,
    value: str | None,
    project: str | None = None,
) -> None:
    """Set a tag, or take it away (None); safe to repeat."""
    if value is not None:
        check_tags({key: value})
    async with context.db.transaction() as session:
        row = await find_version(
            session, principal, name, version, Permission.MODELS_WRITE, project
        )
        if value is not None:
            await _write_tags(session, row.id, {key: value})
            return
        mine = (ModelVersionTagRow.version_id == row.id, ModelVersionTagRow.key == key)
        await session.execute(delete(ModelVersionTagRow).where(*mine))


async def set_alias(
    context: ServerContext,
    principal: Principal,
    name: str,
    alias: str,
    version: int | None,
    project: str | None = None,
) -> None:
    """Let `alias` refer to a version, or to nothing (None); safe to repeat."""
    if version is not None:
        limits.check_alias(alias)
    async with context.db.transaction() as session:
        model = await find_model(session, principal, name, Permission.MODELS_WRITE, project)
        if version is None:
            mine = (ModelAliasRow.model_id == model.id, ModelAliasRow.alias == alias)
            await session.execute(delete(ModelAliasRow).where(*mine))
        else:
            row = await find_version(
                session, principal, model.id, version, Permission.MODELS_WRITE
            )
            values = {"model_id": model.id, "alias": alias, "version_id": row.id}
            await insert_or_update(session, ModelAliasRow, [values], update=["version_id"])
        model.updated_ms = now_ms(context.clock)
        announce(session, f"model:{model.id}", f"project:{model.project_id}:models")


async def _resolve_source(
    session: AsyncSession,
    principal: Principal,
    project_id: str,
    source: str,
    run_id: str | None,
    logged_model_id: str | None,
) -> Source:
    """Find what is registered, within the project alone. Raises InvalidInput, NotFound."""
    found = await _place_of(session, principal, project_id, source)
    run_id = run_id or found.run_id
    logged_model_id = logged_model_id or found.logged_model_id
    if logged_model_id:
        model = await find_logged_model(session, principal, logged_model_id)
        if model.project_id != project_id:
            raise InvalidInput(f"logged model {logged_model_id} is not of this project")
        run_id = run_id or model.source_run_id
    if run_id:
        run = await find_run(session, principal, run_id)
        if run.project_id != project_id:
            raise InvalidInput(f"run {run_id} is not of this project", field="run_id")
    return Source(found.artifact_path, run_id, logged_model_id)


async def _place_of(
    session: AsyncSession, principal: Principal, project_id: str, source: str
) -> Source:
    scheme, _, rest = source.partition(":")
    path = unquote(rest.removeprefix("/").rstrip("/"))
    if ".." in path.split("/") or "\0" in path:
        raise _invalid_source(source)
    if scheme == "models" and re.fullmatch(r"m-\w+", path):
        model = await find_logged_model(session, principal, path)
        return Source(_relative(model.artifact_uri), model.source_run_id, model.id)
    if scheme == "models" and path:
        version = await resolve_model(session, principal, project_id, path)
        return Source(version.artifact_path, version.run_id, version.logged_model_id)
    run_id, _, below = path.partition("/")
    if scheme == "runs" and below:
        run = await find_run(session, principal, run_id)
        return Source(f"{run.experiment_id}/{run.id}/artifacts/{below}", run.id, None)
    if scheme != "mlflow-artifacts" or rest.startswith("//"):
        raise _invalid_source(source)
    return await _artifact_source(session, project_id, source, path)


async def _artifact_source(
    session: AsyncSession, project_id: str, source: str, path: str
) -> Source:
    parts = path.split("/")
    experiment = await session.get(ExperimentRow, parts[0])
    if experiment is None or experiment.project_id != project_id or len(parts) < 3:
        raise _invalid_source(source)
    if parts[1] == "models":
        return Source(path, None, parts[2])
    return Source(path, parts[1], None)


def _invalid_source(source: str) -> InvalidInput:
    return InvalidInput(
        f"invalid model version source: {source!r}",
        field="source",
        hint="Register what was logged here: models:/m-…, runs:/RUN/path or models:/NAME/VERSION.",
    )


def _relative(uri: str) -> str:
    return uri.removeprefix(ARTIFACT_SCHEME).lstrip("/")


def canonical_stage(stage: str) -> str:
    """A stage as MLflow writes it. Raises InvalidInput for others."""
    by_name = {name.lower(): name for name in STAGES}
    if stage.lower() not in by_name:
        raise InvalidInput(
            f"invalid Model Version stage: {stage}", hint=f"Use one of {', '.join(STAGES)}."
        )
    return by_name[stage.lower()]


async def _write_tags(session: AsyncSession, version_id: str, tags: dict[str, str]) -> None:
    values = [
        {"version_id": version_id, "key": key, "value": value} for key, value in tags.items()
    ]
    await insert_or_update(session, ModelVersionTagRow, values, update=["value"])


async def list_versions(
    context: ServerContext,
    principal: Principal,
    model: str,
    *,
    project: str | None,
    limit: int,
    cursor: str | None,
) -> list[VersionDetails]:
    """A model's versions, newest first; one more than `limit` when there are more."""
    query = select(ModelVersionRow).order_by(ModelVersionRow.version.desc()).limit(limit + 1)
    if cursor is not None:
        if not cursor.isdecimal() or len(cursor) > 18:
            raise InvalidInput(f"{cursor!r} is not a cursor of this list", field="cursor")
        query = query.where(ModelVersionRow.version < int(cursor))
    async with context.db.read() as session:
        row = await find_model(session, principal, model, project=project)
        rows = await session.scalars(query.where(ModelVersionRow.model_id == row.id))
        return await version_details(session, list(rows))
