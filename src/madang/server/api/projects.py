"""Routes of projects and their members."""

from __future__ import annotations

from fastapi import APIRouter

from madang.core.permissions import Permission
from madang.schemas import Page
from madang.schemas.projects import Member, MemberSet, Project, ProjectChange, ProjectCreate
from madang.server.api.deps import Actor, Context, PagingQuery, page_of, permit
from madang.server.identity import projects
from madang.server.identity.principal import Principal
from madang.server.identity.tables import ProjectRow

router = APIRouter(prefix="/projects", tags=["projects"])


def _project(row: ProjectRow, actor: Principal) -> Project:
    return Project(row.id, row.name, row.description, actor.roles.get(row.id), row.created_at)


@router.get("", dependencies=[permit(Permission.PROJECTS_READ)])
async def list_projects(context: Context, actor: Actor, paging: PagingQuery) -> Page[Project]:
    """Projects that you see, newest first."""
    rows = await projects.list_projects(context, actor, limit=paging.limit, cursor=paging.cursor)
    return page_of(rows, paging, lambda row: _project(row, actor))


@router.post("", status_code=201, dependencies=[permit(Permission.PROJECTS_CREATE)])
async def create_project(body: ProjectCreate, context: Context, actor: Actor) -> Project:
    """Make a project."""
    row = await projects.create_project(context, actor, body.name, body.description)
    return _project(row, actor)


@router.get("/{project}", dependencies=[permit(Permission.PROJECTS_READ)])
async def get_project(project: str, context: Context, actor: Actor) -> Project:
    """One project, by name or id."""
    return _project(await projects.get_project(context, actor, project), actor)


@router.patch("/{project}", dependencies=[permit(Permission.PROJECTS_WRITE)])
async def change_project(
    project: str, body: ProjectChange, context: Context, actor: Actor
) -> Project:
    """Change the description of a project (maintainers)."""
    row = await projects.change_project(context, actor, project, description=body.description)
    return _project(row, actor)


@router.get("/{project}/members", dependencies=[permit(Permission.PROJECTS_READ)])
async def list_members(project: str, context: Context, actor: Actor) -> Page[Member]:
    """Who is in the project, by name."""
    members = await projects.list_members(context, actor, project)
    return Page([Member(name, role) for name, role in members])


@router.put("/{project}/members/{user}", dependencies=[permit(Permission.PROJECTS_WRITE)])
async def set_member(
    project: str, user: str, body: MemberSet, context: Context, actor: Actor
) -> Member:
    """Give a person a role in the project."""
    await projects.set_member(context, actor, project, user, body.role)
    return Member(user, body.role)


@router.delete(
    "/{project}/members/{user}", status_code=204, dependencies=[permit(Permission.PROJECTS_WRITE)]
)
async def remove_member(project: str, user: str, context: Context, actor: Actor) -> None:
    """Take a person out of the project; does nothing when she is not in it."""
    await projects.set_member(context, actor, project, user, None)
