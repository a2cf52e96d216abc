"""What the gateway asks of control, and what it is told: plain values, for both processes.

A *resource* is a thing behind the gateway: an endpoint, a task's app, a folder. A *grant* says
that the owner of a credential (a token or a ticket) may use one with a permission.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any

from madang.core.errors import InvalidInput
from madang.core.permissions import Permission

RESOURCE_PERMISSIONS: dict[str, tuple[Permission, ...]] = {
    "endpoint": (Permission.ENDPOINTS_INVOKE,),
    "app": (Permission.JOBS_WRITE,),
    "folder": (Permission.FOLDERS_READ, Permission.FOLDERS_WRITE),
}
"""The kinds of resources, each with the permissions that make sense for it; the first one is
meant when none is named."""


@dataclass(frozen=True, slots=True)
class Resource:
    """`name` and `project` are names or ids; an app is named by its task's id alone."""

    kind: str
    name: str
    project: str = ""

    def __post_init__(self) -> None:
        if self.kind not in RESOURCE_PERMISSIONS:
            raise InvalidInput(
                f"{self.kind!r} is not a kind of resource",
                field="resource",
                hint=f"Known kinds: {', '.join(RESOURCE_PERMISSIONS)}.",
            )

    def check(self, permission: Permission) -> None:
        """Raises InvalidInput for a permission that says nothing about such a resource."""
        if permission not in RESOURCE_PERMISSIONS[self.kind]:
            allowed = ", ".join(RESOURCE_PERMISSIONS[self.kind])
            raise InvalidInput(
                f"{permission.value} is not a permission on a {self.kind}",
                field="permission",
                hint=f"Use {allowed}.",
            )

    def __str__(self) -> str:
        return f"{self.kind} {'/'.join(filter(None, (self.project, self.name)))}"


@dataclass(frozen=True, slots=True)
class Grant:
    """Who may do it. `details` is what the gateway needs to do it, e.g. a folder's path;
    `expires_at` (seconds since 1970) is set when the credential itself ends then."""

    user_id: str
    user: str
    project_id: str
    resource_id: str
    expires_at: float | None = None
    details: dict[str, Any] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_json(cls, value: dict[str, Any]) -> Grant:
        return cls(**value)
