"""Projects and memberships."""

from __future__ import annotations

from sqlalchemy import or_, select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession

from madang.core.errors import Conflict, InvalidInput, NotFound
from madang.core.ids import check_name, new_id
from madang.core.permissions import Permission, Role
from madang.server.context import ServerContext
from madang.server.db.engine import announce
from madang.server.identity.principal import Principal
from madang.server.identity.tables import MembershipRow, ProjectRow, UserRow

PROJECT_UNCLEAR = "it is not clear which project is meant"


async def resolve_project(
    session: AsyncSession, principal: Principal, project: str | None
) -> ProjectRow:
    """The project that is meant: by name or id; without one the token's, or the only one.

    Raises NotFound for a project that is not hers to see, InvalidInput when it is not clear.
    """
    if project is None:
        project = principal.project_id or await _only_project(session, principal)
    found = await session.scalar(
        select(ProjectRow).where(or_(ProjectRow.id == project, ProjectRow.name == project))
    )
    if found is None or not principal.sees(found.id):
        raise NotFound(
            f"there is no project {project!r}, or none that you may see",
            field="project",
            hint="`madang project list` shows yours.",
        )
    return found


async def create_project(
    context: ServerContext, principal: Principal, name: str, description: str = ""
) -> ProjectRow:
    """Make a project. Raises Forbidden, InvalidInput, Conflict when the name is taken."""
    principal.require(Permission.PROJECTS_CREATE)
    project = ProjectRow(
        id=new_id("proj"),
        name=check_name(name, "project"),
        created_at=context.clock.now(),
        description=description,
    )
    try:
        async with context.db.transaction() as session:
            session.add(project)
            announce(session, f"project:{project.id}")
    except IntegrityError:
        raise Conflict(f"there is a project {name!r} already", field="name") from None
    return project


async def list_projects(
    context: ServerContext, principal: Principal, *, limit: int, cursor: str | None
) -> list[ProjectRow]:
    """Projects she sees, newest first; one more than `limit` when there are more."""
    query = select(ProjectRow).order_by(ProjectRow.id.desc()).limit(limit + 1)
    if (visible := principal.visible_projects) is not None:
        query = query.where(ProjectRow.id.in_(visible))
    if cursor:
        query = query.where(ProjectRow.id < cursor)
    async with context.db.read() as session:
        return list(await session.scalars(query))


async def get_project(context: ServerContext, principal: Principal, project: str) -> ProjectRow:
    async with context.db.read() as session:
        found = await resolve_project(session, principal, project)
    principal.require(Permission.PROJECTS_READ, found.id)
    return found


async def change_project(
    context: ServerContext, principal: Principal, project: str, *, description: str
) -> ProjectRow:
    """Change what is said of a project. Raises NotFound, Forbidden."""
    async with context.db.transaction() as session:
        found = await resolve_project(session, principal, project)
        principal.require(Permission.PROJECTS_WRITE, found.id)
        found.description = description
        announce(session, f"project:{found.id}")
        return found


async def list_members(
    context: ServerContext, principal: Principal, project: str
) -> list[tuple[str, Role]]:
    """Names and roles, by name."""
    async with context.db.read() as session:
        found = await resolve_project(session, principal, project)
        principal.require(Permission.PROJECTS_READ, found.id)
        rows = await session.execute(
            select(UserRow.name, MembershipRow.role)
            .join(UserRow, UserRow.id == MembershipRow.user_id)
            .where(MembershipRow.project_id == found.id)
            .order_by(UserRow.name)
        )
        return [(name, Role(role)) for name, role in rows]


async def set_member(
    context: ServerContext, principal: Principal, project: str, user: str, role: Role | None
) -> None:
    """Give a person a role in a project, or take it away (None); safe to repeat."""
    async with context.db.transaction() as session:
        found = await resolve_project(session, principal, project)
        principal.require(Permission.PROJECTS_WRITE, found.id)
        member = await session.scalar(
            select(UserRow).where(or_(UserRow.id == user, UserRow.name == user))
        )
        if member is None:
            raise NotFound(f"there is no user {user!r}", field="user")
        row = await session.get(MembershipRow, (found.id, member.id))
        if role is None and row is not None:
            await session.delete(row)
        elif role is not None and row is not None:
            row.role = role
        elif role is not None:
            session.add(MembershipRow(project_id=found.id, user_id=member.id, role=role))
        announce(session, f"project:{found.id}")


async def _only_project(session: AsyncSession, principal: Principal) -> str:
    query = select(ProjectRow).order_by(ProjectRow.name).limit(20)
    if (visible := principal.visible_projects) is not None:
        query = query.where(ProjectRow.id.in_(visible))
    projects = list(await session.scalars(query))
    if len(projects) == 1:
        return projects[0].id
    if not projects:
        raise InvalidInput(
            "you are in no project yet",
            field="project",
            hint="Ask an administrator to add you to one.",
        )
    names = ", ".join(row.name for row in projects)
    raise InvalidInput(
        PROJECT_UNCLEAR,
        field="project",
        hint=f"Name one of yours with --project, MADANG_PROJECT or project=: {names}.",
    )
