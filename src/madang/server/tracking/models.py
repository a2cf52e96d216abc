"""Registered models: names, and what refers to one of their versions."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from sqlalchemy import delete, func, select, update
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
from madang.server.tracking.artifacts import project_folder
from madang.server.tracking.filters import SearchSpace
from madang.server.tracking.sql import chunks, insert_or_update
from madang.server.tracking.tables import (
    ModelAliasRow,
    ModelVersionRow,
    ModelVersionTagRow,
    RegisteredModelRow,
    RegisteredModelTagRow,
)

SPACE = SearchSpace(
    row=RegisteredModelRow,
    texts={"name": RegisteredModelRow.name},
    numbers={
        "creation_timestamp": RegisteredModelRow.created_ms,
        "last_updated_timestamp": RegisteredModelRow.updated_ms,
        "timestamp": RegisteredModelRow.updated_ms,
    },
    keyed={"tag": RegisteredModelTagRow},
    owner="model_id",
    orderable=("name", "creation_timestamp", "last_updated_timestamp", "timestamp"),
)


@dataclass(frozen=True, slots=True)
class ArtifactFolder:
    """Where a model version's files are: `relative` in the folder `folder_id`, `path` on disk."""

    folder_id: str
    folder_name: str
    relative: str
    path: Path


@dataclass(frozen=True, slots=True)
class VersionDetails:
    """A version with its tags and the aliases that refer to it."""

    row: ModelVersionRow
    tags: dict[str, str] = field(default_factory=dict)
    aliases: list[str] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class RegisteredModel:
    """A model with its tags, aliases (name → version) and the newest version of each stage."""

    row: RegisteredModelRow
    tags: dict[str, str] = field(default_factory=dict)
    aliases: dict[str, int] = field(default_factory=dict)
    latest: list[VersionDetails] = field(default_factory=list)


async def resolve_model(
    session: AsyncSession, principal: Principal, project_id: str, ref: str
) -> ModelVersionRow:
    """The version that `ref` means: `digits/3`, `digits@champion`, or `digits` for the newest.

    `models:/digits/3` is understood too. Raises NotFound, InvalidInput, Forbidden.
    """
    principal.require(Permission.MODELS_READ, project_id)
    name, version, alias = split_ref(ref)
    query = select(ModelVersionRow).where(
        ModelVersionRow.project_id == project_id, ModelVersionRow.name == name
    )
    if alias is not None:
        query = query.join(ModelAliasRow, ModelAliasRow.version_id == ModelVersionRow.id).where(
            ModelAliasRow.alias == alias
        )
    elif version is not None:
        query = query.where(ModelVersionRow.version == version)
    found = await session.scalar(query.order_by(ModelVersionRow.version.desc()).limit(1))
    if found is None:
        raise NotFound(
            f"there is no model version {ref!r}, or none that you may see",
            field="model",
            hint=f"`madang model versions {name}` shows them.",
        )
    return found


def split_ref(ref: str) -> tuple[str, int | None, str | None]:
    """`(name, version, alias)` of a reference to a model version; at most one of the last two."""
    text = ref.removeprefix("models:/")
    name, at, alias = text.partition("@")
    if at and name and alias:
        return name, None, alias
    name, slash, version = text.partition("/")
    if name and not slash and not at:
        return name, None, None
    if name and version.isdecimal() and len(version) < 19:
        return name, int(version), None
    raise InvalidInput(
        f"{ref!r} does not name a model version",
        field="model",
        hint="Use NAME, NAME/VERSION or NAME@ALIAS, e.g. digits/3 or digits@champion.",
    )


async def artifact_folder(
    context: ServerContext, session: AsyncSession, version: ModelVersionRow
) -> ArtifactFolder:
    """Where the version's files are: mount the folder read-only and look at `relative`.

    Raises NotFound when the project's artifact folder is gone.
    """
    folder, path = await project_folder(context, session, version.project_id)
    relative = version.artifact_path
    return ArtifactFolder(folder.id, folder.name, relative, path / relative)


async def find_model(
    session: AsyncSession,
    principal: Principal,
    name: str,
    permission: Permission = Permission.MODELS_READ,
    project: str | None = None,
) -> RegisteredModelRow:
    """A registered model by name in a project, or by id. Raises NotFound, Forbidden."""
    found = await session.get(RegisteredModelRow, name) if name.startswith("model-") else None
    if found is None:
        project_row = await resolve_project(session, principal, project)
        found = await session.scalar(
            select(RegisteredModelRow).where(
                RegisteredModelRow.project_id == project_row.id, RegisteredModelRow.name == name
            )
        )
    if found is None or not principal.sees(found.project_id):
        raise NotFound(
            f"registered model with name={name} not found",
            field="model",
            hint="`madang model list` shows those that you may see.",
        )
    principal.require(permission, found.project_id)
    return found


async def create_model(
    context: ServerContext,
    principal: Principal,
    name: str,
    *,
    description: str | None = None,
    tags: dict[str, str] | None = None,
    project: str | None = None,
) -> RegisteredModel:
    """Register a name. Raises Conflict when the project has it already."""
    limits.check_model_name(name)
    tags = check_tags(tags or {})
    now = context.clock.now()
    try:
        async with context.db.transaction() as session:
            found = await resolve_project(session, principal, project)
            principal.require(Permission.MODELS_WRITE, found.id)
            row = RegisteredModelRow(
                id=new_id("model"),
                project_id=found.id,
                name=name,
                created_ms=int(now.timestamp() * 1000),
                updated_ms=int(now.timestamp() * 1000),
                user_name=principal.name,
                description=description,
            )
            session.add(row)
            await session.flush()
            await _write_tags(session, row.id, tags)
            announce(session, f"project:{row.project_id}:models")
    except IntegrityError:
        raise Conflict(f"registered model (name={name}) already exists", field="name") from None
    return RegisteredModel(row, tags)


async def get_model(
    context: ServerContext, principal: Principal, name: str, project: str | None = None
) -> RegisteredModel:
    async with context.db.read() as session:
        row = await find_model(session, principal, name, project=project)
        return (await with_details(session, [row]))[0]


async def search_models(
    context: ServerContext,
    principal: Principal,
    *,
    filter_text: str | None = None,
    order_by: Sequence[str] = (),
    limit: int,
    offset: int = 0,
    project: str | None = None,
) -> list[RegisteredModel]:
    """One more than `limit` when there are more; by name unless told otherwise."""
    query = select(RegisteredModelRow).where(*SPACE.condition(filter_text))
    query = SPACE.order(query, order_by).order_by(RegisteredModelRow.name)
    async with context.db.read() as session:
        found = await resolve_project(session, principal, project)
        principal.require(Permission.MODELS_READ, found.id)
        query = query.where(RegisteredModelRow.project_id == found.id)
        rows = list(await session.scalars(query.limit(limit + 1).offset(offset)))
        return await with_details(session, rows)


async def list_models(
    context: ServerContext,
    principal: Principal,
    *,
    project: str | None,
    limit: int,
    cursor: str | None,
) -> list[RegisteredModel]:
    """Models of one project or of all that she sees, newest first; one more than `limit` when
    there are more."""
    query = select(RegisteredModelRow).order_by(RegisteredModelRow.id.desc()).limit(limit + 1)
    if cursor:
        query = query.where(RegisteredModelRow.id < cursor)
    async with context.db.read() as session:
        if project is not None:
            found = await resolve_project(session, principal, project)
            principal.require(Permission.MODELS_READ, found.id)
            query = query.where(RegisteredModelRow.project_id == found.id)
        elif (visible := principal.visible_projects) is not None:
            query = query.where(RegisteredModelRow.project_id.in_(visible))
        return await with_details(session, list(await session.scalars(query)))


async def update_model(
    context: ServerContext,
    principal: Principal,
    name: str,
    *,
    new_name: str | None = None,
    description: str | None = None,
    project: str | None = None,
) -> RegisteredModel:
    """Rename it or describe it anew; what refers to its versions keeps doing so."""
    if new_name is not None:
        limits.check_model_name(new_name)
    try:
        async with context.db.transaction() as session:
            row = await find_model(session, principal, name, Permission.MODELS_WRITE, project)
            row.updated_ms = int(context.clock.now().timestamp() * 1000)
            if description is not None:
                row.description = description
            if new_name is not None:
                row.name = new_name
                await session.execute(
                    update(ModelVersionRow)
                    .where(ModelVersionRow.model_id == row.id)
                    .values(name=new_name)
                )
            announce(session, f"project:{row.project_id}:models")
            await session.flush()
            return (await with_details(session, [row]))[0]
    except IntegrityError:
        raise Conflict(
            f"registered model (name={new_name}) already exists", field="new_name"
        ) from None


async def delete_model(
    context: ServerContext, principal: Principal, name: str, project: str | None = None
) -> None:
    """Forget a model with all its versions; the files of its runs stay. Raises Conflict while
    an endpoint serves one of them."""
    try:
        async with context.db.transaction() as session:
            row = await find_model(session, principal, name, Permission.MODELS_WRITE, project)
            versions = select(ModelVersionRow.id).where(ModelVersionRow.model_id == row.id)
            await session.execute(delete(ModelAliasRow).where(ModelAliasRow.model_id == row.id))
            await session.execute(
                delete(ModelVersionTagRow).where(ModelVersionTagRow.version_id.in_(versions))
            )
            await session.execute(
                delete(ModelVersionRow).where(ModelVersionRow.model_id == row.id)
            )
            await session.execute(
                delete(RegisteredModelTagRow).where(RegisteredModelTagRow.model_id == row.id)
            )
            await session.delete(row)
            announce(session, f"project:{row.project_id}:models")
    except IntegrityError:
        raise Conflict(
            f"model {name!r} is in use",
            hint="An endpoint serves one of its versions: delete that first.",
        ) from None


async def set_model_tag(
    context: ServerContext,
    principal: Principal,
    name: str,
    key: str,
    value: str | None,
    project: str | None = None,
) -> None:
    """Set a tag, or take it away (None); safe to repeat."""
    if value is not None:
        check_tags({key: value})
    async with context.db.transaction() as session:
        row = await find_model(session, principal, name, Permission.MODELS_WRITE, project)
        if value is not None:
            await _write_tags(session, row.id, {key: value})
            return
        mine = (RegisteredModelTagRow.model_id == row.id, RegisteredModelTagRow.key == key)
        await session.execute(delete(RegisteredModelTagRow).where(*mine))


async def with_details(
    session: AsyncSession, rows: Sequence[RegisteredModelRow]
) -> list[RegisteredModel]:
    """Models with tags, aliases and newest versions, in the same order."""
    found = {row.id: RegisteredModel(row) for row in rows}
    for ids in chunks(list(found)):
        tag, alias, version = RegisteredModelTagRow, ModelAliasRow, ModelVersionRow
        for label in await session.scalars(select(tag).where(tag.model_id.in_(ids))):
            found[label.model_id].tags[label.key] = label.value
        aliases = (
            select(alias.model_id, alias.alias, version.version)
            .join(version, version.id == alias.version_id)
            .where(alias.model_id.in_(ids))
            .order_by(alias.alias)
        )
        for model_id, name, number in await session.execute(aliases):
            found[model_id].aliases[name] = number
        newest = (
            select(version.model_id, version.stage, func.max(version.version).label("number"))
            .where(version.model_id.in_(ids))
            .group_by(version.model_id, version.stage)
            .subquery()
        )
        latest = select(version).join(
            newest,
            (newest.c.model_id == version.model_id) & (newest.c.number == version.version),
        )
        versions = list(await session.scalars(latest.order_by(version.version)))
        for details in await version_details(session, versions):
            found[details.row.model_id].latest.append(details)
    return list(found.values())


async def version_details(
    session: AsyncSession, rows: Sequence[ModelVersionRow]
) -> list[VersionDetails]:
    """Versions with tags and aliases, in the same order."""
    found = {row.id: VersionDetails(row) for row in rows}
    for ids in chunks(list(found)):
        tag, alias = ModelVersionTagRow, ModelAliasRow
        for label in await session.scalars(select(tag).where(tag.version_id.in_(ids))):
            found[label.version_id].tags[label.key] = label.value
        names = select(alias).where(alias.version_id.in_(ids)).order_by(alias.alias)
        for name in await session.scalars(names):
            found[name.version_id].aliases.append(name.alias)
    return list(found.values())


def check_tags(tags: dict[str, str]) -> dict[str, str]:
    """Raises InvalidInput for keys and values that MLflow's registry would not take."""
    for key, value in tags.items():
        limits.check_key(key, "tag")
        limits.check_length(value, "tag value", limits.MAX_REGISTRY_TAG_LENGTH)
    return tags


async def _write_tags(session: AsyncSession, model_id: str, tags: dict[str, str]) -> None:
    values = [{"model_id": model_id, "key": key, "value": value} for key, value in tags.items()]
    await insert_or_update(session, RegisteredModelTagRow, values, update=["value"])
