"""Environments: asking for one, finding it, retrying and removing it. The building is the
controller's."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Sequence
from pathlib import Path

from sqlalchemy import func, or_, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from madang.core.errors import Conflict, InvalidInput, NotFound
from madang.core.ids import check_name, new_id
from madang.core.permissions import Permission
from madang.server.context import ServerContext
from madang.server.db.engine import announce, take_turn
from madang.server.environments.base_wheels import ensure_base_wheels
from madang.server.environments.builder import log_path
from madang.server.environments.specs import check_python, environment_digest, normal_packages
from madang.server.environments.tables import EnvironmentRow
from madang.server.identity.principal import Principal
from madang.server.identity.projects import resolve_project
from madang.server.identity.tables import ProjectRow

TOPIC = "environment:"
_LOG_CHUNK = 64 * 1024
_LOG_PERIOD_S = 0.2


def environment_path(context: ServerContext, row: EnvironmentRow) -> Path:
    """Where the environment is, on every node; nothing is there before it is ready."""
    return context.paths.environments / row.digest


async def create_environment(
    context: ServerContext,
    principal: Principal,
    name: str,
    packages: Sequence[str],
    *,
    project: str | None = None,
    python: str | None = None,
) -> tuple[EnvironmentRow, bool]:
    """Ask for an environment; returns it and whether it is a new version.

    The same content again is the same version (built once more when it failed), new content the
    next one. It is built once for all who ask for the same, whatever they call it. Raises
    InvalidInput for what can't be asked.
    """
    check_name(name, "environment")
    python = check_python(python or f"{sys.version_info.major}.{sys.version_info.minor}")
    direct = context.settings.allow_source_builds
    wanted = normal_packages(packages, allow_direct=direct)
    base = await asyncio.to_thread(ensure_base_wheels, context.paths.wheels, python)
    digest = environment_digest(wanted, python, base)
    async with context.db.transaction() as session:
        row = await resolve_project(session, principal, project)
        principal.require(Permission.ENVIRONMENTS_WRITE, row.id)
        await take_turn(session, ProjectRow.id, row.id)
        existing = await _with_content(session, row.id, name, digest)
        if existing is not None:
            await _retry(session, existing)
            return existing, False
        created = EnvironmentRow(
            id=new_id("env"),
            project_id=row.id,
            name=name,
            version=await _next_version(session, row.id, name),
            digest=digest,
            python=python,
            packages=wanted,
            base=base,
            state="building",
            created_at=context.clock.now(),
            created_by=principal.user_id,
        )
        await _take_over(session, created)
        session.add(created)
        announce(session, f"{TOPIC}{created.id}", f"project:{row.id}:environments")
    return created, True


async def list_environments(
    context: ServerContext,
    principal: Principal,
    *,
    project: str | None = None,
    name: str | None = None,
    state: str | None = None,
    limit: int,
    cursor: str | None,
) -> list[EnvironmentRow]:
    """Environments that she sees, newest first; one more than `limit` when there are more."""
    query = (
        select(EnvironmentRow)
        .where(EnvironmentRow.removed_at.is_(None))
        .order_by(EnvironmentRow.id.desc())
        .limit(limit + 1)
    )
    if cursor:
        query = query.where(EnvironmentRow.id < cursor)
    if name:
        query = query.where(EnvironmentRow.name == name)
    if state:
        query = query.where(EnvironmentRow.state == state)
    async with context.db.read() as session:
        if project is not None:
            row = await resolve_project(session, principal, project)
            principal.require(Permission.ENVIRONMENTS_READ, row.id)
            query = query.where(EnvironmentRow.project_id == row.id)
        elif (visible := principal.visible_projects) is not None:
            query = query.where(EnvironmentRow.project_id.in_(visible))
        return list(await session.scalars(query))


async def get_environment(
    context: ServerContext, principal: Principal, ref: str, *, project: str | None = None
) -> EnvironmentRow:
    """One environment: `vision` (its newest version), `vision@2` or an id."""
    async with context.db.read() as session:
        return await _find(session, principal, project, ref, Permission.ENVIRONMENTS_READ)


async def resolve_environment(
    session: AsyncSession, principal: Principal, project_id: str, ref: str
) -> EnvironmentRow:
    """The environment that `vision` (the newest version, whatever its state), `vision@2` or an id
    means in a project. Raises NotFound, InvalidInput."""
    principal.require(Permission.ENVIRONMENTS_READ, project_id)
    query = select(EnvironmentRow).where(
        EnvironmentRow.project_id == project_id, EnvironmentRow.removed_at.is_(None)
    )
    name, at, version = ref.partition("@")
    if at:
        if not (version.isascii() and version.isdigit() and len(version) < 10):
            raise InvalidInput(
                f"{ref!r} does not name a version of an environment",
                field="environment",
                hint=f"Write {name or 'NAME'}@2, or {name or 'NAME'} alone for the newest.",
            )
        query = query.where(EnvironmentRow.name == name, EnvironmentRow.version == int(version))
    else:
        query = query.where(or_(EnvironmentRow.id == ref, EnvironmentRow.name == ref))
        query = query.order_by(EnvironmentRow.version.desc()).limit(1)
    found = await session.scalar(query)
    if found is None:
        raise NotFound(
            f"there is no environment {ref!r} in this project",
            field="environment",
            hint="`madang environment list` shows which there are.",
        )
    return found


async def retry_environment(
    context: ServerContext, principal: Principal, ref: str, *, project: str | None = None
) -> EnvironmentRow:
    """Build one again that failed; does nothing when it is being built already. Raises Conflict
    when it is ready."""
    async with context.db.transaction() as session:
        row = await _find(session, principal, project, ref, Permission.ENVIRONMENTS_WRITE)
        if row.state == "ready":
            raise Conflict(
                f"environment {row.ref} is ready: there is nothing to retry",
                hint="To change what is in it, create it again with other packages.",
            )
        await _retry(session, row)
    return row


async def remove_environment(
    context: ServerContext, principal: Principal, ref: str, *, project: str | None = None
) -> None:
    """Remove a version (a name alone: its newest). Its folder goes with the last one that shares
    it. Raises Conflict while something that runs uses it, naming what."""
    async with context.db.transaction() as session:
        row = await _find(session, principal, project, ref, Permission.ENVIRONMENTS_WRITE)
        if users := await context.environment_users(session, row.id):
            shown = ", ".join(users[:5]) + (f" and {len(users) - 5} more" if users[5:] else "")
            raise Conflict(
                f"environment {row.ref} is in use by {shown}",
                hint="Stop what uses it, or wait for it to end.",
            )
        row.removed_at = context.clock.now()
        announce(session, f"{TOPIC}{row.id}", f"project:{row.project_id}:environments")


async def read_log(
    context: ServerContext,
    principal: Principal,
    ref: str,
    *,
    project: str | None = None,
    offset: int = 0,
    wait_s: float = 0.0,
) -> tuple[str, int, bool]:
    """What the builder said from byte `offset` on: the text, the next offset, and whether that is
    all there will be. Waits up to `wait_s` seconds for more."""
    waited_s = 0.0
    while True:
        row = await get_environment(context, principal, ref, project=project)
        path = log_path(environment_path(context, row))
        chunk = await asyncio.to_thread(_read_chunk, path, offset)
        if row.state == "building":  # a line that is still being written is shown when it is whole
            chunk = chunk[: chunk.rfind(b"\n") + 1]
        if chunk or row.state != "building" or waited_s >= wait_s:
            break
        await asyncio.sleep(_LOG_PERIOD_S)
        waited_s += _LOG_PERIOD_S
    complete = row.state != "building" and len(chunk) < _LOG_CHUNK
    return chunk.decode(errors="replace"), offset + len(chunk), complete


async def _find(
    session: AsyncSession,
    principal: Principal,
    project: str | None,
    ref: str,
    permission: Permission,
) -> EnvironmentRow:
    if project is None and ref.startswith("env-"):
        found = await session.get(EnvironmentRow, ref)
        if found is not None and found.removed_at is None:
            principal.require(permission, found.project_id, "environment")
            return found
    row = await resolve_project(session, principal, project)
    found = await resolve_environment(session, principal, row.id, ref)
    principal.require(permission, row.id)
    return found


async def _with_content(
    session: AsyncSession, project_id: str, name: str, digest: str
) -> EnvironmentRow | None:
    return await session.scalar(
        select(EnvironmentRow)
        .where(
            EnvironmentRow.project_id == project_id,
            EnvironmentRow.name == name,
            EnvironmentRow.digest == digest,
            EnvironmentRow.removed_at.is_(None),
        )
        .order_by(EnvironmentRow.version.desc())
        .limit(1)
    )


async def _next_version(session: AsyncSession, project_id: str, name: str) -> int:
    newest = await session.scalar(
        select(func.max(EnvironmentRow.version)).where(
            EnvironmentRow.project_id == project_id, EnvironmentRow.name == name
        )
    )
    return (newest or 0) + 1


async def _take_over(session: AsyncSession, created: EnvironmentRow) -> None:
    """Where the same content is ready under another name, this one is ready at once; where it
    failed, asking again is a retry for all."""
    twin = await session.scalar(
        select(EnvironmentRow)
        .where(EnvironmentRow.digest == created.digest, EnvironmentRow.removed_at.is_(None))
        .limit(1)
    )
    if twin is None:
        return
    if twin.state == "failed":
        return await _restart(session, created.digest)
    created.state, created.lock, created.ended_at = twin.state, twin.lock, twin.ended_at
    created.build_seconds, created.size_bytes = twin.build_seconds, twin.size_bytes


async def _retry(session: AsyncSession, row: EnvironmentRow) -> None:
    if row.state == "failed":
        await _restart(session, row.digest)
        row.state, row.error, row.ended_at = "building", None, None
        announce(session, f"{TOPIC}{row.id}", f"project:{row.project_id}:environments")


async def _restart(session: AsyncSession, digest: str) -> None:
    await session.execute(
        update(EnvironmentRow)
        .where(EnvironmentRow.digest == digest, EnvironmentRow.state == "failed")
        .values(state="building", error=None, ended_at=None)
    )


def _read_chunk(path: Path, offset: int) -> bytes:
    try:
        with path.open("rb") as file:
            file.seek(offset)
            return file.read(_LOG_CHUNK)
    except FileNotFoundError:
        return b""
