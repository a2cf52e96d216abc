"""Logging in, and who one is then."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import Annotated

from annotated_types import MaxLen, MinLen

from madang.core.permissions import Role
from madang.schemas import FORBID_EXTRA
from madang.schemas.users import User

PasswordText = Annotated[str, MinLen(8), MaxLen(1000)]


@dataclass(frozen=True, slots=True)
class LoginRequest:
    __pydantic_config__ = FORBID_EXTRA

    name: Annotated[str, MaxLen(200)]
    password: Annotated[str, MaxLen(1000)] = field(repr=False)


@dataclass(frozen=True, slots=True)
class TokenLoginRequest:
    """Name and password for a token that is called `token_name` (an old one of that name is
    replaced) and is good for `days`."""

    __pydantic_config__ = FORBID_EXTRA

    name: Annotated[str, MaxLen(200)]
    password: Annotated[str, MaxLen(1000)] = field(repr=False)
    token_name: Annotated[str, MinLen(1), MaxLen(100)] = "command line"


@dataclass(frozen=True, slots=True)
class LinkLoginRequest:
    """`link` is the word in a one-time link."""

    __pydantic_config__ = FORBID_EXTRA

    link: Annotated[str, MaxLen(200)] = field(repr=False)


@dataclass(frozen=True, slots=True)
class PasswordChange:
    """`current` is needed once there is a password."""

    __pydantic_config__ = FORBID_EXTRA

    new: PasswordText = field(repr=False)
    current: Annotated[str, MaxLen(1000)] = field(default="", repr=False)


@dataclass(frozen=True, slots=True)
class OwnProject:
    id: str
    name: str
    role: Role | None


@dataclass(frozen=True, slots=True)
class LoginSession:
    """Who is asking, as the platform sees it. `csrf` is what requests by cookie that change
    something carry as X-Madang-CSRF; empty for a token. `gateway_url` is where endpoints and
    files are."""

    user: User
    projects: list[OwnProject]
    scopes: list[str]
    expires_at: datetime | None
    csrf: str
    gateway_url: str
