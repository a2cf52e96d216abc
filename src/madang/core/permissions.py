"""Who may do what: the one table. Code, the API's description, docs and tests read it.

A person has a *role* in each project; an administrator of the platform may do everything in every
project. A token carries *scopes* (patterns such as `jobs:*`) that narrow what its owner may do,
never widen it.
"""

from __future__ import annotations

from enum import StrEnum
from fnmatch import fnmatchcase

from madang.core.errors import InvalidInput


class Role(StrEnum):
    """A person's role in a project; each may do what the ones before it may."""

    VIEWER = "viewer"
    MEMBER = "member"
    MAINTAINER = "maintainer"

    @classmethod
    def parse(cls, text: str) -> Role:
        """The role of that name. Raises InvalidInput."""
        try:
            return cls(text)
        except ValueError:
            raise InvalidInput(
                f"{text!r} is not a role", field="role", hint=f"Roles: {', '.join(cls)}."
            ) from None

    @property
    def rank(self) -> int:
        return list(Role).index(self)


class Level(StrEnum):
    """What a permission asks for where there is no project to have a role in."""

    ANYONE = "anyone"
    """Anyone who is logged in."""
    ADMIN = "admin"
    """Administrators of the platform."""


class Permission(StrEnum):
    """`resource:verb`; `needs` is the least role (or level), `text` says it to people."""

    needs: Role | Level
    text: str

    def __new__(cls, name: str, needs: Role | Level, text: str) -> Permission:
        member = str.__new__(cls, name)
        member._value_ = name
        member.needs = needs
        member.text = text
        return member

    ACCOUNT_READ = "account:read", Level.ANYONE, "see one's own account, projects and tokens"
    ACCOUNT_WRITE = "account:write", Level.ANYONE, "change one's own password and tokens"
    USERS_READ = "users:read", Level.ANYONE, "see who has an account"
    USERS_WRITE = "users:write", Level.ADMIN, "create, change and disable accounts"
    PROJECTS_READ = "projects:read", Role.VIEWER, "see a project and its members"
    PROJECTS_CREATE = "projects:create", Level.ADMIN, "create projects"
    PROJECTS_WRITE = "projects:write", Role.MAINTAINER, "change a project and its members"
    QUEUES_READ = "queues:read", Role.VIEWER, "see queues and what waits in them"
    QUEUES_WRITE = (
        "queues:write",
        Role.MAINTAINER,
        "create and change queues below a project's own",
    )
    RESERVATIONS_READ = "reservations:read", Role.VIEWER, "see reservations"
    RESERVATIONS_WRITE = "reservations:write", Role.MAINTAINER, "reserve resources"
    SCHEDULING_READ = "scheduling:read", Level.ANYONE, "see the cluster, its limits and policy"
    SCHEDULING_WRITE = "scheduling:write", Level.ADMIN, "set shares, limits and the policy"
    NODES_READ = "nodes:read", Level.ANYONE, "see nodes, devices and their use"
    NODES_WRITE = "nodes:write", Level.ADMIN, "cordon, drain and label nodes"
    JOBS_READ = "jobs:read", Role.VIEWER, "see jobs, their logs, metrics and events"
    JOBS_WRITE = "jobs:write", Role.MEMBER, "run, cancel, move and clone jobs"
    ENVIRONMENTS_READ = "environments:read", Role.VIEWER, "see environments"
    ENVIRONMENTS_WRITE = "environments:write", Role.MEMBER, "create and remove environments"
    FOLDERS_READ = "folders:read", Role.VIEWER, "see folders and read what one is granted"
    FOLDERS_WRITE = "folders:write", Role.MEMBER, "create folders, write, share and trash them"
    VOLUMES_WRITE = "volumes:write", Level.ADMIN, "register directories that exist; set quotas"
    DATASETS_READ = "datasets:read", Role.VIEWER, "see datasets, versions and views"
    DATASETS_WRITE = "datasets:write", Role.MEMBER, "create datasets, versions and views"
    TRACKING_READ = "tracking:read", Role.VIEWER, "see experiments, runs and artifacts"
    TRACKING_WRITE = "tracking:write", Role.MEMBER, "log experiments, runs and artifacts"
    MODELS_READ = "models:read", Role.VIEWER, "see and load registered models"
    MODELS_WRITE = "models:write", Role.MEMBER, "register models, set aliases"
    ENDPOINTS_READ = "endpoints:read", Role.VIEWER, "see endpoints"
    ENDPOINTS_WRITE = "endpoints:write", Role.MEMBER, "deploy, change and delete endpoints"
    ENDPOINTS_INVOKE = "endpoints:invoke", Role.VIEWER, "send requests to endpoints"
    EVENTS_READ = "events:read", Role.VIEWER, "see what happened in a project"


def role_allows(role: Role | None, permission: Permission) -> bool:
    """Whether somebody with `role` in a project (None: not a member) has `permission` there."""
    if permission.needs is Level.ANYONE:
        return True
    if isinstance(permission.needs, Level) or role is None:
        return False
    return role.rank >= permission.needs.rank


def scopes_allow(scopes: tuple[str, ...], permission: Permission) -> bool:
    """Whether a token with `scopes` (patterns such as `jobs:*`, `*:read`) may use `permission`."""
    return any(fnmatchcase(permission.value, scope) for scope in scopes)
