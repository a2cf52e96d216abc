"""Folders in tasks: what to mount, where, and with which group."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations

from sqlalchemy.ext.asyncio import AsyncSession

from madang.core.errors import Forbidden, InvalidInput
from madang.core.mount_targets import clash, plain_target, problem_with
from madang.schemas.folders import FolderAccessLevel
from madang.server.context import ServerContext
from madang.server.identity.principal import Principal
from madang.server.storage.folders import folder_path, resolve_folder
from madang.server.storage.rights import require_access, rights_on
from madang.server.storage.tables import FolderRow


@dataclass(frozen=True, slots=True)
class MountRequest:
    """`folder` is a name in the workload's project, `PROJECT/NAME` or an id; `target` is where
    the task sees it, `/mnt/NAME` when not given."""

    folder: str
    target: str | None = None
    read_only: bool = False


@dataclass(frozen=True, slots=True)
class ResolvedMount:
    """`source` is the directory on the node; a task gets `gid` as a further group."""

    folder_id: str
    name: str
    source: str
    target: str
    read_only: bool
    gid: int | None


async def resolve_mounts(
    context: ServerContext,
    session: AsyncSession,
    principal: Principal,
    project_id: str,
    requests: Sequence[MountRequest],
) -> list[ResolvedMount]:
    """Check each request and say what to mount, in the order given.

    Raises NotFound and Forbidden for folders, InvalidInput for targets that hide the system or
    clash. Read-write where she may only read is Forbidden: never lowered silently.
    """
    resolved = [
        await _resolve(context, session, principal, project_id, request) for request in requests
    ]
    for mount, other in combinations(resolved, 2):
        if clash(mount.target, other.target):
            raise InvalidInput(
                f"{other.name!r} would be at {other.target}, where {mount.name!r} would be at "
                f"{mount.target}: mounts can't lie in each other",
                field="mounts",
                hint="Give one of them another place: FOLDER:/mnt/ELSEWHERE.",
            )
    return resolved


async def _resolve(
    context: ServerContext,
    session: AsyncSession,
    principal: Principal,
    project_id: str,
    request: MountRequest,
) -> ResolvedMount:
    row = await resolve_folder(session, principal, project_id, request.folder)
    if not request.read_only:
        await _require_writable(session, principal, row)
    await require_access(session, principal, row, FolderAccessLevel.READ_ONLY)
    return ResolvedMount(
        row.id,
        row.name,
        str(folder_path(context, row)),
        check_target(request.target or f"/mnt/{row.name}"),
        request.read_only,
        row.gid,
    )


async def _require_writable(
    session: AsyncSession, principal: Principal, folder: FolderRow
) -> None:
    rights = await rights_on(session, principal, folder)
    if rights is not FolderAccessLevel.NONE and (
        folder.read_only or not rights.includes(FolderAccessLevel.READ_WRITE)
    ):
        raise Forbidden(
            f"you may only read folder {folder.name!r}",
            field="mounts",
            hint=f"Mount it read-only: {folder.name}:ro.",
        )


def check_target(target: str) -> str:
    """The plain form of a place in the task. Raises InvalidInput for what hides its system."""
    plain = target
    if target.startswith("/") and ".." not in target.split("/"):
        plain = plain_target(target)
    problem = problem_with(plain)
    if problem:
        raise InvalidInput(
            f"nothing can be mounted at {target!r}: it {problem}",
            field="mounts.target",
            hint="Use a place like /mnt/NAME or /data.",
        )
    return plain
