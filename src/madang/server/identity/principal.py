"""Who is asking: the person (or one of her tasks) behind a request, and what she may do."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime

from madang.core.errors import Forbidden, NotFound
from madang.core.permissions import Level, Permission, Role, role_allows, scopes_allow

ALL_SCOPES = ("*",)


@dataclass(frozen=True, slots=True)
class Principal:
    """A person as of this request. `project_id` is set when her token is for one project alone,
    `task_id` when it is a task that acts for her, `session_id` or `token_id` say by what she
    logged in, `expires_at` when that runs out."""

    user_id: str
    name: str
    is_admin: bool
    roles: dict[str, Role] = field(default_factory=dict)
    scopes: tuple[str, ...] = ALL_SCOPES
    project_id: str | None = None
    task_id: str | None = None
    session_id: str | None = None
    token_id: str | None = None
    expires_at: datetime | None = None

    @property
    def is_narrowed(self) -> bool:
        """Whether it may do less than she herself: a scoped token, a project's, a task's."""
        return self.scopes != ALL_SCOPES or self.project_id is not None

    def allows(self, permission: Permission, project_id: str | None = None) -> bool:
        """Whether she may; `project_id` is needed where the table asks for a role."""
        if not scopes_allow(self.scopes, permission):
            return False
        if project_id and self.project_id and project_id != self.project_id:
            return False
        if permission.needs is Level.ANYONE or self.is_admin:
            return True
        if permission.needs is Level.ADMIN or project_id is None:
            return False
        return role_allows(self.roles.get(project_id), permission)

    def sees(self, project_id: str) -> bool:
        """Whether the project exists for her at all."""
        if self.project_id and project_id != self.project_id:
            return False
        return self.is_admin or project_id in self.roles

    def require(
        self, permission: Permission, project_id: str | None = None, what: str = "project"
    ) -> None:
        """Raises NotFound for a project that is not hers to see, Forbidden for lack of role."""
        if project_id is not None and not self.sees(project_id):
            raise NotFound(f"there is no such {what}, or none that you may see")
        if self.allows(permission, project_id):
            return
        if not scopes_allow(self.scopes, permission):
            raise Forbidden(
                f"this token may not {permission.text}",
                hint=f"Its scopes lack {permission}; make one that has it.",
            )
        if permission.needs is Level.ADMIN:
            raise Forbidden(f"only an administrator may {permission.text}")
        role = self.roles.get(project_id or "")
        raise Forbidden(
            f"your role here is {role or 'none'}; to {permission.text} takes {permission.needs}",
            hint="Ask a maintainer of the project.",
        )

    @property
    def visible_projects(self) -> set[str] | None:
        """Ids of the projects she sees; None means all of them."""
        if self.project_id:
            return {self.project_id} if self.sees(self.project_id) else set()
        return None if self.is_admin else set(self.roles)
