"""People with an account."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import Annotated

from annotated_types import MaxLen, MinLen

from madang.schemas import FORBID_EXTRA


@dataclass(frozen=True, slots=True)
class User:
    """`uid` is whom her tasks run as on the nodes, None before the first one."""

    id: str
    name: str
    is_admin: bool
    disabled: bool
    created_at: datetime
    uid: int | None = None


@dataclass(frozen=True, slots=True)
class UserCreate:
    """Without a password she logs in by a one-time link first."""

    __pydantic_config__ = FORBID_EXTRA

    name: str
    password: Annotated[str, MinLen(8), MaxLen(1000)] | None = field(default=None, repr=False)
    is_admin: bool = False


@dataclass(frozen=True, slots=True)
class UserChange:
    """What is None stays as it is. A new password ends her logins in the portal."""

    __pydantic_config__ = FORBID_EXTRA

    is_admin: bool | None = None
    disabled: bool | None = None
    password: Annotated[str, MinLen(8), MaxLen(1000)] | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True)
class LoginLink:
    """An address that logs in once, until `expires_at`."""

    url: str = field(repr=False)
    expires_at: datetime
