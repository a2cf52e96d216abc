"""API tokens."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import Annotated

from annotated_types import Ge, Le, MaxLen, MinLen

from madang.schemas import FORBID_EXTRA


@dataclass(frozen=True, slots=True)
class Token:
    """`project` is the one it is limited to; `last_used_at` is right to the minute."""

    id: str
    name: str
    scopes: list[str]
    project: str | None
    created_at: datetime
    expires_at: datetime | None
    last_used_at: datetime | None
    revoked_at: datetime | None


@dataclass(frozen=True, slots=True)
class TokenCreate:
    """`scopes` are patterns of permissions such as `jobs:*` or `*:read`; they narrow what you may
    do and never widen it."""

    __pydantic_config__ = FORBID_EXTRA

    name: Annotated[str, MinLen(1), MaxLen(100)]
    scopes: Annotated[list[Annotated[str, MaxLen(100)]], MinLen(1), MaxLen(100)] = field(
        default_factory=lambda: ["*"]
    )
    project: Annotated[str, MaxLen(100)] | None = None
    days: Annotated[float, Ge(0.001), Le(3660)] | None = None


@dataclass(frozen=True, slots=True)
class TokenCreated:
    """The token itself is in `secret`: it is shown this once and kept nowhere."""

    token: Token
    secret: str = field(repr=False)
