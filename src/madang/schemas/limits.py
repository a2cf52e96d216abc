"""Limits: what one user or one project may have at once, in the whole cluster."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Annotated

from annotated_types import Ge, Le, MaxLen

from madang.schemas import FORBID_EXTRA
from madang.schemas.queues import Amounts

Count = Annotated[int, Ge(0), Le(10**9)]


@dataclass(frozen=True, slots=True)
class Limit:
    """`subject`: `user:NAME`, `project:NAME`; `user:*` holds for each user without one of her own,
    `project:*` alike. `running` and `pending` count jobs; None and what `amounts` does not name
    are not bounded."""

    subject: str
    running: int | None
    pending: int | None
    amounts: Amounts


@dataclass(frozen=True, slots=True)
class LimitSet:
    """The limit of a subject from now on; without any bound it is removed."""

    __pydantic_config__ = FORBID_EXTRA

    subject: Annotated[str, MaxLen(200)]
    running: Count | None = None
    pending: Count | None = None
    amounts: Amounts = field(default_factory=dict)
