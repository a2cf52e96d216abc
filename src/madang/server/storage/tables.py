"""Volumes, folders and who may use them, datasets with their versions and views."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import ForeignKey, Index, UniqueConstraint, text
from sqlalchemy.orm import Mapped, mapped_column

from madang.server.db.base import Base


class VolumeRow(Base):
    """Storage that folders live on: `main` (the server's own) and each registered directory."""

    __tablename__ = "volumes"

    id: Mapped[str] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(unique=True)
    root: Mapped[str] = mapped_column(unique=True)
    """Absolute path on the nodes."""
    created_at: Mapped[datetime]
    identity: Mapped[str] = mapped_column(default="mapped")
    """`mapped`: files belong to their writer's own uid; `single`: all to the root's owner."""
    in_place: Mapped[bool] = mapped_column(default=False)
    """Somebody else's directory, used where it is: the root itself is the one folder."""


class FolderRow(Base):
    """A named directory. The row outlives the files: `purged_at` marks what is gone for good, so
    that its gid is never given to another folder and its dataset versions stay explainable."""

    __tablename__ = "folders"
    __table_args__ = (
        Index(
            "uq_folders_live_name",
            "project_id",
            "name",
            unique=True,
            sqlite_where=text("trashed_at IS NULL"),
            postgresql_where=text("trashed_at IS NULL"),
        ),
    )

    id: Mapped[str] = mapped_column(primary_key=True)
    project_id: Mapped[str] = mapped_column(ForeignKey("projects.id"), index=True)
    name: Mapped[str]
    volume_id: Mapped[str] = mapped_column(ForeignKey("volumes.id"), index=True)
    path: Mapped[str]
    """The folder's data, relative to the volume's root; empty: the root itself."""
    owner_id: Mapped[str] = mapped_column(ForeignKey("users.id"))
    created_at: Mapped[datetime]
    description: Mapped[str] = mapped_column(default="")
    gid: Mapped[int | None] = mapped_column(default=None, index=True)
    """The group that tasks get with the mount; None: the files' own modes decide."""
    read_only: Mapped[bool] = mapped_column(default=False)
    quota_bytes: Mapped[int | None] = mapped_column(default=None)
    quota_enforced: Mapped[bool] = mapped_column(default=False)
    """The file system itself refuses what goes over; otherwise it is checked at upload."""
    usage_bytes: Mapped[int | None] = mapped_column(default=None)
    usage_files: Mapped[int | None] = mapped_column(default=None)
    usage_at: Mapped[datetime | None] = mapped_column(default=None)
    trashed_at: Mapped[datetime | None] = mapped_column(default=None, index=True)
    purged_at: Mapped[datetime | None] = mapped_column(default=None)


class GrantRow(Base):
    """`read-only` or `read-write`, to a person or to all members of a project."""

    __tablename__ = "folder_grants"
    __table_args__ = (UniqueConstraint("folder_id", "grantee_id"),)

    id: Mapped[str] = mapped_column(primary_key=True)
    folder_id: Mapped[str] = mapped_column(ForeignKey("folders.id"), index=True)
    grantee_id: Mapped[str] = mapped_column(index=True)
    """The id of a user or of a project: the prefix tells which."""
    access: Mapped[str]
    created_at: Mapped[datetime]


class DatasetRow(Base):
    """A folder (or a part of one) whose content is saved in versions."""

    __tablename__ = "datasets"
    __table_args__ = (UniqueConstraint("project_id", "name"),)

    id: Mapped[str] = mapped_column(primary_key=True)
    project_id: Mapped[str] = mapped_column(ForeignKey("projects.id"), index=True)
    name: Mapped[str]
    folder_id: Mapped[str] = mapped_column(ForeignKey("folders.id"), index=True)
    path: Mapped[str]
    """Below the folder, as on the wire (schemas/files.py); empty: the whole folder."""
    created_by: Mapped[str] = mapped_column(ForeignKey("users.id"))
    created_at: Mapped[datetime]
    description: Mapped[str] = mapped_column(default="")


class DatasetVersionRow(Base):
    """What the dataset was at one moment: never changed after it was written."""

    __tablename__ = "dataset_versions"
    __table_args__ = (
        UniqueConstraint("dataset_id", "number"),
        UniqueConstraint("dataset_id", "digest"),
    )

    id: Mapped[str] = mapped_column(primary_key=True)
    dataset_id: Mapped[str] = mapped_column(ForeignKey("datasets.id"), index=True)
    number: Mapped[int]
    digest: Mapped[str]
    """SHA-256 over the manifest's content: the same files give the same digest."""
    num_items: Mapped[int]
    total_bytes: Mapped[int]
    report: Mapped[dict[str, Any]]
    """Classes and counts, sizes, formats, what was passed over: see schemas/datasets.py."""
    created_by: Mapped[str] = mapped_column(ForeignKey("users.id"))
    created_at: Mapped[datetime]


class DatasetViewRow(Base):
    """A named part of every version of a dataset: a rule, not a copy."""

    __tablename__ = "dataset_views"
    __table_args__ = (UniqueConstraint("dataset_id", "name"),)

    id: Mapped[str] = mapped_column(primary_key=True)
    dataset_id: Mapped[str] = mapped_column(ForeignKey("datasets.id"), index=True)
    name: Mapped[str]
    rule: Mapped[dict[str, Any]]
    """As `madang.data.views` reads it."""
    created_by: Mapped[str] = mapped_column(ForeignKey("users.id"))
    created_at: Mapped[datetime]
