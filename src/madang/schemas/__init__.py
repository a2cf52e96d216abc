"""The words on the wire: one dataclass a thing, read by the server, the client and the docs.

Requests carry `__pydantic_config__ = FORBID_EXTRA`, so that a misspelt field is an error and not
silently ignored.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Generic, TypeVar

T = TypeVar("T")

FORBID_EXTRA = {"extra": "forbid"}


@dataclass(frozen=True, slots=True)
class Page(Generic[T]):
    """A part of a list; `next_cursor` fetches the next one and is None at the end."""

    items: list[T]
    next_cursor: str | None = None
