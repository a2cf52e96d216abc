"""Registered models and their versions."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import Annotated

from annotated_types import Ge, Le, MaxLen

from madang.schemas import FORBID_EXTRA


@dataclass(frozen=True, slots=True)
class Model:
    """A registered model. `aliases` say which version they mean; `latest_version` is None for a
    model without any."""

    id: str
    name: str
    project: str
    user: str
    description: str
    latest_version: int | None
    created_at: datetime
    updated_at: datetime
    aliases: dict[str, int] = field(default_factory=dict)
    tags: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class ModelVersion:
    """A numbered version. `ref` is how to name it, e.g. digits/3; `run_id`: what made it."""

    id: str
    model: str
    version: int
    ref: str
    project: str
    user: str
    source: str
    run_id: str | None
    description: str
    created_at: datetime
    updated_at: datetime
    aliases: list[str] = field(default_factory=list)
    tags: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class ModelChange:
    """What to change of a model; what is None stays."""

    __pydantic_config__ = FORBID_EXTRA

    name: Annotated[str, MaxLen(250)] | None = None
    description: Annotated[str, MaxLen(20_000)] | None = None


@dataclass(frozen=True, slots=True)
class AliasSet:
    """Which version an alias means from now on."""

    __pydantic_config__ = FORBID_EXTRA

    version: Annotated[int, Ge(1), Le(2**62)]
