"""Endpoints and their revisions."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import ForeignKey, Index, UniqueConstraint, text
from sqlalchemy.orm import Mapped, mapped_column

from madang.server.db.base import Base


class EndpointRow(Base):
    """An endpoint. `target_id` is the revision that is wanted, `active_id` the one that requests
    go to; they differ while a new one is brought up."""

    __tablename__ = "endpoints"
    __table_args__ = (
        # A name can be used again while its last bearer is still being cleared away.
        Index("uq_endpoints_name", "project_id", "name", unique=True,
              sqlite_where=text("deleted_at IS NULL"),
              postgresql_where=text("deleted_at IS NULL")),
    )  # fmt: skip

    id: Mapped[str] = mapped_column(primary_key=True)
    project_id: Mapped[str] = mapped_column(ForeignKey("projects.id"))
    name: Mapped[str]
    created_at: Mapped[datetime]
    target_id: Mapped[str]
    active_id: Mapped[str | None] = mapped_column(default=None)
    deleted_at: Mapped[datetime | None] = mapped_column(default=None)
    deleted_by: Mapped[str] = mapped_column(default="")


class EndpointRevisionRow(Base):
    """A model version in an environment, as deployed. Its replicas are the tasks of
    `workload_id`. `retired_at` is set once they are not wanted any more."""

    __tablename__ = "endpoint_revisions"
    __table_args__ = (UniqueConstraint("endpoint_id", "number"),)

    id: Mapped[str] = mapped_column(primary_key=True)
    endpoint_id: Mapped[str] = mapped_column(ForeignKey("endpoints.id"))
    number: Mapped[int]
    model_version_id: Mapped[str] = mapped_column(ForeignKey("model_versions.id"), index=True)
    model_name: Mapped[str]
    model_version: Mapped[int]
    environment: Mapped[str]
    resources: Mapped[dict[str, Any]]
    replicas: Mapped[int]
    workload_id: Mapped[str] = mapped_column(ForeignKey("workloads.id"), index=True)
    user_name: Mapped[str]
    created_at: Mapped[datetime]
    superseded_at: Mapped[datetime | None] = mapped_column(default=None)
    """Since when requests go elsewhere."""
    retired_at: Mapped[datetime | None] = mapped_column(default=None)
