"""Environments: named sets of packages that tasks run in."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import Annotated, Literal

from annotated_types import MaxLen

from madang.schemas import FORBID_EXTRA

EnvironmentState = Literal["building", "ready", "failed"]


@dataclass(frozen=True, slots=True)
class Environment:
    """A version of an environment. `packages` is what was asked for, `lock` all that is in it
    (once it is ready), `error` the resolver's message when it failed."""

    id: str
    name: str
    version: int
    project_id: str
    state: EnvironmentState
    python: str
    packages: list[str]
    lock: list[str]
    error: str | None
    digest: str
    size_bytes: int | None
    build_seconds: float | None
    created_at: datetime
    ended_at: datetime | None

    @property
    def ref(self) -> str:
        """`vision@2`, as a job names it."""
        return f"{self.name}@{self.version}"


@dataclass(frozen=True, slots=True)
class EnvironmentCreate:
    """`packages` are specifications such as `torch==2.13.0` or `pillow>=11,<13`; `python` is a
    version such as `3.11`, the platform's own when left out."""

    __pydantic_config__ = FORBID_EXTRA

    name: str
    packages: Annotated[list[Annotated[str, MaxLen(500)]], MaxLen(500)] = field(
        default_factory=list
    )
    python: str | None = None
    project: str | None = None


@dataclass(frozen=True, slots=True)
class EnvironmentLog:
    """A part of what the builder said. Read on from `next_offset`; `complete`: that was all."""

    text: str
    next_offset: int
    complete: bool
