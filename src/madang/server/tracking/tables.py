"""Experiments, runs, logged models, registered models and their versions.

Times are milliseconds since 1970 where MLflow's clients send them or compare with what they sent.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import Float, ForeignKey, Index, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from madang.server.db.base import Base, TelemetryBase


class ExperimentRow(Base):
    __tablename__ = "experiments"
    __table_args__ = (UniqueConstraint("project_id", "name"),)

    id: Mapped[str] = mapped_column(primary_key=True)
    project_id: Mapped[str] = mapped_column(ForeignKey("projects.id"))
    name: Mapped[str]
    artifact_location: Mapped[str]
    created_ms: Mapped[int]
    updated_ms: Mapped[int]
    lifecycle_stage: Mapped[str] = mapped_column(default="active")


class ExperimentTagRow(Base):
    __tablename__ = "experiment_tags"

    experiment_id: Mapped[str] = mapped_column(ForeignKey("experiments.id"), primary_key=True)
    key: Mapped[str] = mapped_column(primary_key=True)
    value: Mapped[str]


class RunRow(Base):
    __tablename__ = "runs"
    __table_args__ = (
        Index("ix_runs_experiment_id_start_ms", "experiment_id", "start_ms"),
        Index("ix_runs_project_id_start_ms", "project_id", "start_ms"),
    )

    id: Mapped[str] = mapped_column(primary_key=True)
    experiment_id: Mapped[str] = mapped_column(ForeignKey("experiments.id"))
    project_id: Mapped[str] = mapped_column(ForeignKey("projects.id"))
    name: Mapped[str]
    user_id: Mapped[str] = mapped_column(ForeignKey("users.id"))
    user_name: Mapped[str]
    status: Mapped[str]
    start_ms: Mapped[int]
    end_ms: Mapped[int | None] = mapped_column(default=None)
    lifecycle_stage: Mapped[str] = mapped_column(default="active")
    task_id: Mapped[str | None] = mapped_column(default=None)
    """The task that logged it, when it was one."""
    workload_id: Mapped[str | None] = mapped_column(default=None, index=True)


class RunParamRow(Base):
    __tablename__ = "run_params"

    run_id: Mapped[str] = mapped_column(ForeignKey("runs.id"), primary_key=True)
    key: Mapped[str] = mapped_column(primary_key=True)
    value: Mapped[str]


class RunTagRow(Base):
    __tablename__ = "run_tags"

    run_id: Mapped[str] = mapped_column(ForeignKey("runs.id"), primary_key=True)
    key: Mapped[str] = mapped_column(primary_key=True)
    value: Mapped[str]


class RunMetricRow(Base):
    """The latest value of each metric: greatest (step, timestamp, value). Its history is in
    `metric_points` of the telemetry database."""

    __tablename__ = "run_metrics"

    run_id: Mapped[str] = mapped_column(ForeignKey("runs.id"), primary_key=True)
    key: Mapped[str] = mapped_column(primary_key=True)
    value: Mapped[float] = mapped_column(Float(53))
    is_nan: Mapped[bool]
    step: Mapped[int]
    timestamp_ms: Mapped[int]


class RunInputRow(Base):
    """A data set (MLflow's word: name, digest, source) that a run read."""

    __tablename__ = "run_inputs"

    run_id: Mapped[str] = mapped_column(ForeignKey("runs.id"), primary_key=True)
    name: Mapped[str] = mapped_column(primary_key=True)
    digest: Mapped[str] = mapped_column(primary_key=True)
    context: Mapped[str | None]
    """The tag `mlflow.data.context`, e.g. "train"; searches filter by it."""
    dataset: Mapped[dict[str, Any]]
    """source_type, source, schema and profile, as logged."""
    tags: Mapped[dict[str, Any]]


class RunModelRow(Base):
    """A logged model that a run read (`input`) or made (`output`)."""

    __tablename__ = "run_models"

    run_id: Mapped[str] = mapped_column(ForeignKey("runs.id"), primary_key=True)
    model_id: Mapped[str] = mapped_column(ForeignKey("logged_models.id"), primary_key=True)
    direction: Mapped[str] = mapped_column(primary_key=True)
    step: Mapped[int] = mapped_column(default=0)


class LoggedModelRow(Base):
    """A model as MLflow 3 logs it (`m-…`), before and whether or not it is registered."""

    __tablename__ = "logged_models"

    id: Mapped[str] = mapped_column(primary_key=True)
    project_id: Mapped[str] = mapped_column(ForeignKey("projects.id"))
    experiment_id: Mapped[str] = mapped_column(ForeignKey("experiments.id"), index=True)
    name: Mapped[str]
    artifact_uri: Mapped[str]
    created_ms: Mapped[int]
    updated_ms: Mapped[int]
    status: Mapped[str]
    source_run_id: Mapped[str | None] = mapped_column(ForeignKey("runs.id"), index=True)
    model_type: Mapped[str | None] = mapped_column(default=None)
    status_message: Mapped[str | None] = mapped_column(default=None)
    lifecycle_stage: Mapped[str] = mapped_column(default="active")


class LoggedModelParamRow(Base):
    __tablename__ = "logged_model_params"

    model_id: Mapped[str] = mapped_column(ForeignKey("logged_models.id"), primary_key=True)
    key: Mapped[str] = mapped_column(primary_key=True)
    value: Mapped[str]


class LoggedModelTagRow(Base):
    __tablename__ = "logged_model_tags"

    model_id: Mapped[str] = mapped_column(ForeignKey("logged_models.id"), primary_key=True)
    key: Mapped[str] = mapped_column(primary_key=True)
    value: Mapped[str]


class LoggedModelMetricRow(Base):
    """The latest value of a metric that was logged with a `model_id`, a row for each run and
    data set that it was measured with."""

    __tablename__ = "logged_model_metrics"

    model_id: Mapped[str] = mapped_column(ForeignKey("logged_models.id"), primary_key=True)
    run_id: Mapped[str] = mapped_column(ForeignKey("runs.id"), primary_key=True)
    key: Mapped[str] = mapped_column(primary_key=True)
    dataset_name: Mapped[str] = mapped_column(primary_key=True)
    dataset_digest: Mapped[str] = mapped_column(primary_key=True)
    value: Mapped[float] = mapped_column(Float(53))
    is_nan: Mapped[bool]
    step: Mapped[int]
    timestamp_ms: Mapped[int]


class RegisteredModelRow(Base):
    __tablename__ = "registered_models"
    __table_args__ = (UniqueConstraint("project_id", "name"),)

    id: Mapped[str] = mapped_column(primary_key=True)
    project_id: Mapped[str] = mapped_column(ForeignKey("projects.id"))
    name: Mapped[str]
    created_ms: Mapped[int]
    updated_ms: Mapped[int]
    user_name: Mapped[str]
    description: Mapped[str | None] = mapped_column(default=None)
    last_version: Mapped[int] = mapped_column(default=0)
    """The highest number ever given: those of deleted versions are not given again."""


class RegisteredModelTagRow(Base):
    __tablename__ = "registered_model_tags"

    model_id: Mapped[str] = mapped_column(ForeignKey("registered_models.id"), primary_key=True)
    key: Mapped[str] = mapped_column(primary_key=True)
    value: Mapped[str]


class ModelVersionRow(Base):
    """A numbered version of a registered model. `artifact_path` is where its files are, relative
    to the project's artifact folder (see `models.artifact_folder`)."""

    __tablename__ = "model_versions"
    __table_args__ = (UniqueConstraint("model_id", "version"),)

    id: Mapped[str] = mapped_column(primary_key=True)
    model_id: Mapped[str] = mapped_column(ForeignKey("registered_models.id"))
    project_id: Mapped[str] = mapped_column(ForeignKey("projects.id"), index=True)
    name: Mapped[str]
    """The registered model's, kept here too; renaming changes both."""
    version: Mapped[int]
    source: Mapped[str]
    artifact_path: Mapped[str]
    created_ms: Mapped[int]
    updated_ms: Mapped[int]
    user_name: Mapped[str]
    run_id: Mapped[str | None] = mapped_column(ForeignKey("runs.id"), index=True)
    run_link: Mapped[str | None] = mapped_column(default=None)
    logged_model_id: Mapped[str | None] = mapped_column(
        ForeignKey("logged_models.id"), index=True, default=None
    )
    description: Mapped[str | None] = mapped_column(default=None)
    stage: Mapped[str] = mapped_column(default="None")


class ModelVersionTagRow(Base):
    __tablename__ = "model_version_tags"

    version_id: Mapped[str] = mapped_column(ForeignKey("model_versions.id"), primary_key=True)
    key: Mapped[str] = mapped_column(primary_key=True)
    value: Mapped[str]


class ModelAliasRow(Base):
    __tablename__ = "model_aliases"

    model_id: Mapped[str] = mapped_column(ForeignKey("registered_models.id"), primary_key=True)
    alias: Mapped[str] = mapped_column(primary_key=True)
    version_id: Mapped[str] = mapped_column(ForeignKey("model_versions.id"), index=True)


class MetricPointRow(TelemetryBase):
    """One logged value. The key is the whole row, so that a repeated batch adds nothing; NaN,
    which SQLite can't keep, is `is_nan` with the value 0."""

    __tablename__ = "metric_points"
    __table_args__ = ({"sqlite_with_rowid": False},)

    run_id: Mapped[str] = mapped_column(primary_key=True)
    key: Mapped[str] = mapped_column(primary_key=True)
    timestamp_ms: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    step: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    value: Mapped[float] = mapped_column(Float(53), primary_key=True)
    is_nan: Mapped[bool] = mapped_column(primary_key=True)
