"""Environments: one row a version of a name in a project."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import ForeignKey, Index, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from madang.server.db.base import Base


class EnvironmentRow(Base):
    """A version of an environment. Rows with the same digest share one folder on disk and, as
    they are written together, the same state. A removed one stays as a row: jobs that ran in it
    name it, and its number is not given again."""

    __tablename__ = "environments"
    __table_args__ = (
        UniqueConstraint("project_id", "name", "version"),
        Index(None, "state", "digest"),
    )

    id: Mapped[str] = mapped_column(primary_key=True)
    project_id: Mapped[str] = mapped_column(ForeignKey("projects.id"))
    name: Mapped[str]
    version: Mapped[int]
    digest: Mapped[str] = mapped_column(index=True)
    python: Mapped[str]
    packages: Mapped[list[Any]]
    """As asked for: `name==version` specifications."""
    base: Mapped[list[Any]]
    """The platform's own libraries in it, as exact pins."""
    state: Mapped[str]
    """`building`, `ready` or `failed`."""
    created_at: Mapped[datetime]
    created_by: Mapped[str] = mapped_column(ForeignKey("users.id"))
    lock: Mapped[list[Any]] = mapped_column(default_factory=list)
    """What is in it: `name==version`, once it is ready."""
    error: Mapped[str | None] = mapped_column(default=None)
    """The resolver's message, when it failed."""
    ended_at: Mapped[datetime | None] = mapped_column(default=None)
    """When it became ready or failed."""
    build_seconds: Mapped[float | None] = mapped_column(default=None)
    size_bytes: Mapped[int | None] = mapped_column(default=None)
    removed_at: Mapped[datetime | None] = mapped_column(default=None)

    @property
    def ref(self) -> str:
        return f"{self.name}@{self.version}"
