# Generated from ../_async by scripts/generate_sync_client: change it there.
"""Projects and their members."""

from __future__ import annotations

from collections.abc import Iterator

from madang.client._sync._base import Resource
from madang.core.permissions import Role
from madang.schemas import Page
from madang.schemas.projects import Member, Project


class Projects(Resource):
    """`client.projects`: tenants whose members share folders, jobs and models."""

    def list(self, *, limit: int = 50, cursor: str | None = None) -> Page[Project]:
        """One page of the projects that you see, newest first."""
        params = {"limit": limit, "cursor": cursor}
        return self._transport.call(Page[Project], "GET", "projects", params=params)

    def iterate(self) -> Iterator[Project]:
        """All projects that you see, fetched page by page."""
        cursor = None
        while True:
            page = self.list(limit=200, cursor=cursor)
            for project in page.items:
                yield project
            if (cursor := page.next_cursor) is None:
                return

    def get(self, project: str) -> Project:
        """One project, by name or id. Raises NotFound."""
        return self._transport.call(Project, "GET", f"projects/{project}")

    def create(self, name: str, *, description: str = "") -> Project:
        """Make a project (administrators). Raises Conflict when the name is taken."""
        body = {"name": name, "description": description}
        return self._transport.call(Project, "POST", "projects", json=body)

    def change(self, project: str, *, description: str) -> Project:
        """Change the description of a project (maintainers)."""
        body = {"description": description}
        return self._transport.call(Project, "PATCH", f"projects/{project}", json=body)

    def members(self, project: str) -> Page[Member]:
        """Who is in the project."""
        return self._transport.call(Page[Member], "GET", f"projects/{project}/members")

    def set_member(self, project: str, user: str, role: Role | str) -> Member:
        """Give a person a role: viewer, member or maintainer. Raises InvalidInput for others."""
        path = f"projects/{project}/members/{user}"
        return self._transport.call(Member, "PUT", path, json={"role": Role.parse(role)})

    def remove_member(self, project: str, user: str) -> None:
        """Take a person out of the project."""
        self._transport.request("DELETE", f"/api/v1/projects/{project}/members/{user}")
