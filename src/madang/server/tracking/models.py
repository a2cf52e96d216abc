"""Registered models, their numbered versions and aliases."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from madang.core.errors import InvalidInput, NotFound
from madang.core.permissions import Permission
from madang.server.context import ServerContext
from madang.server.identity.principal import Principal
from madang.server.tracking.tables import ModelAliasRow, ModelVersionRow, RegisteredModelRow


@dataclass(frozen=True, slots=True)
class ArtifactFolder:
    """Where a model version's files are: `relative` in the folder `folder_id`, `path` on disk."""

    folder_id: str
    folder_name: str
    relative: str
    path: Path


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
    name, separator, alias = text.partition("@")
    if separator and name and alias:
        return name, None, alias
    name, separator, version = text.partition("/")
    if name and not separator:
        return name, None, None
    if name and version.isdecimal():
        return name, int(version), None
    raise InvalidInput(
        f"{ref!r} does not name a model version",
        field="model",
        hint="Use NAME, NAME/VERSION or NAME@ALIAS, e.g. digits/3 or digits@champion.",
    )


async def artifact_folder(
    context: ServerContext, session: AsyncSession, version: ModelVersionRow
) -> ArtifactFolder:
    """Where the version's files are. Mount the folder read-only and look at `relative`."""
    from madang.server.tracking.artifacts import project_folder

    folder, path = await project_folder(context, session, version.project_id)
    return ArtifactFolder(
        folder.id, folder.name, version.artifact_path, path / version.artifact_path
    )


__all__ = ["ArtifactFolder", "RegisteredModelRow", "artifact_folder", "resolve_model", "split_ref"]
