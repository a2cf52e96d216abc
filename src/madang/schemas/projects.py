"""Projects and who is in them."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Annotated

from annotated_types import MaxLen

from madang.core.permissions import Role
from madang.schemas import FORBID_EXTRA


@dataclass(frozen=True, slots=True)
class Project:
    """A tenant: its members share folders, jobs, models. `role` is the asking person's."""

    id: str
    name: str
    description: str
    role: Role | None
    created_at: datetime


@dataclass(frozen=True, slots=True)
class ProjectCreate:
    __pydantic_config__ = FORBID_EXTRA

    name: str
    description: Annotated[str, MaxLen(2000)] = ""


@dataclass(frozen=True, slots=True)
class ProjectChange:
    __pydantic_config__ = FORBID_EXTRA

    description: Annotated[str, MaxLen(2000)]


@dataclass(frozen=True, slots=True)
class Member:
    user: str
    role: Role


@dataclass(frozen=True, slots=True)
class MemberSet:
    __pydantic_config__ = FORBID_EXTRA

    role: Role
