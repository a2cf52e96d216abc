"""Workloads, their tasks, the ledger of what they hold, queues, and the history of it all."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import BigInteger, ForeignKey, Index, Integer, text
from sqlalchemy.orm import Mapped, mapped_column

from madang.core.states import TaskState, WorkloadState
from madang.server.db.base import Base, TelemetryBase

_RowNumber = BigInteger().with_variant(Integer, "sqlite")
"""SQLite numbers rows by itself only for a column of exactly this type."""


class QueueRow(Base):
    """A node of the tree that shares the cluster. Work waits in its leaves; each project has one
    named `default`. One without a project is the platform's own.

    Amounts are `core.amounts`: name → thousandths, bytes or a count; {} is no bound.
    """

    __tablename__ = "queues"
    __table_args__ = (
        Index("uq_queues_name", "project_id", "name", unique=True,
              sqlite_where=text("deleted_at IS NULL"),
              postgresql_where=text("deleted_at IS NULL")),
        # NULLs are all different to an index.
        Index("uq_queues_platform_name", "name", unique=True,
              sqlite_where=text("project_id IS NULL AND deleted_at IS NULL"),
              postgresql_where=text("project_id IS NULL AND deleted_at IS NULL")),
    )  # fmt: skip

    id: Mapped[str] = mapped_column(primary_key=True)
    project_id: Mapped[str | None] = mapped_column(ForeignKey("projects.id"))
    name: Mapped[str]
    created_at: Mapped[datetime]
    description: Mapped[str] = mapped_column(default="")
    parent_id: Mapped[str | None] = mapped_column(
        ForeignKey("queues.id"), default=None, index=True
    )
    weight: Mapped[float] = mapped_column(default=1.0)
    guarantee: Mapped[dict[str, Any]] = mapped_column(default_factory=dict)
    limit: Mapped[dict[str, Any]] = mapped_column(default_factory=dict)
    borrowing_limit: Mapped[dict[str, Any]] = mapped_column(default_factory=dict)
    lending_limit: Mapped[dict[str, Any]] = mapped_column(default_factory=dict)
    reclaimable: Mapped[bool] = mapped_column(default=True)
    ordering: Mapped[str] = mapped_column(default="priority")
    min_runtime_s: Mapped[float] = mapped_column(default=0.0)
    is_open: Mapped[bool] = mapped_column(default=True)
    deleted_at: Mapped[datetime | None] = mapped_column(default=None)
    """What ended in it still names it."""


class WorkloadRow(Base):
    """Anything that runs. `spec` is what was asked for (`spec.WorkloadSpec`), and never changes;
    the columns are what the platform made of it."""

    __tablename__ = "workloads"
    __table_args__ = (
        # One index for each way that lists are filtered; in all of them the id, which pages them,
        # follows what is equal. With the name behind it a search by name reads the index alone.
        Index("ix_workloads_kind_id", "kind", "id", "name"),
        Index("ix_workloads_kind_state_id", "kind", "state", "id"),
        Index("ix_workloads_kind_user_id", "kind", "user_id", "id"),
        Index("ix_workloads_kind_project_id", "kind", "project_id", "id", "name"),
        Index("ix_workloads_kind_project_state_id", "kind", "project_id", "state", "id"),
        Index("ix_workloads_kind_project_user_id", "kind", "project_id", "user_id", "id"),
        Index("ix_workloads_project_name", "project_id", "name"),
        Index("ix_workloads_live", "state", sqlite_where=text("ended_at IS NULL"),
              postgresql_where=text("ended_at IS NULL")),
    )  # fmt: skip

    id: Mapped[str] = mapped_column(primary_key=True)
    kind: Mapped[str]
    name: Mapped[str]
    project_id: Mapped[str] = mapped_column(ForeignKey("projects.id"))
    user_id: Mapped[str] = mapped_column(ForeignKey("users.id"))
    queue_id: Mapped[str] = mapped_column(ForeignKey("queues.id"), index=True)
    spec: Mapped[dict[str, Any]]
    created_at: Mapped[datetime]
    state: Mapped[str] = mapped_column(default=WorkloadState.PENDING)
    reason: Mapped[dict[str, Any] | None] = mapped_column(default=None)
    """Why it waits or how it ended (`core.reasons`)."""
    attempt: Mapped[int] = mapped_column(default=1)
    retries: Mapped[int] = mapped_column(default=0)
    """Of `retry.count`, used up: attempts that were lost to the platform itself don't count."""
    priority: Mapped[int] = mapped_column(default=0)
    replicas: Mapped[dict[str, Any]] = mapped_column(default_factory=dict)
    """Role → replicas wanted now; differs from the spec after scaling a service."""
    stop: Mapped[dict[str, Any] | None] = mapped_column(default=None)
    """Its owner's wish that it end: {"state", "reason", "actor"}; None lets it run."""
    not_before: Mapped[datetime | None] = mapped_column(default=None)
    """The end of a retry's backoff."""
    started_at: Mapped[datetime | None] = mapped_column(default=None)
    ended_at: Mapped[datetime | None] = mapped_column(default=None)
    exit_code: Mapped[int | None] = mapped_column(default=None)
    expected_start: Mapped[datetime | None] = mapped_column(default=None)
    """While it waits: when it is thought to start, where that is known."""
    expected_s: Mapped[float | None] = mapped_column(default=None)
    """How long it is expected to run: what was said, or learned from others like it."""
    saved_at: Mapped[datetime | None] = mapped_column(default=None)
    """When its work was last saved (a checkpoint); what it did since would be lost."""
    work: Mapped[dict[str, Any]] = mapped_column(default_factory=dict)
    """How far it is and how fast it gets on (`workloads.progress`)."""
    resize: Mapped[dict[str, Any] | None] = mapped_column(default=None)
    """It is being stopped to go on with other replicas: where they go (`workloads.resizes`)."""
    reservation_id: Mapped[str | None] = mapped_column(default=None)
    parent_id: Mapped[str | None] = mapped_column(default=None, index=True)
    environment_id: Mapped[str | None] = mapped_column(default=None, index=True)
    inputs: Mapped[dict[str, Any]] = mapped_column(default_factory=dict)
    """What the names in the spec meant when it was submitted (`inputs.ResolvedInputs`)."""
    labels: Mapped[dict[str, Any]] = mapped_column(default_factory=dict)


class WorkloadInputRow(Base):
    """Lineage: what a workload was given. `kind` is `dataset_version`, `folder`, `code`."""

    __tablename__ = "workload_inputs"
    __table_args__ = (Index("ix_workload_inputs_input", "kind", "input_id"),)

    workload_id: Mapped[str] = mapped_column(ForeignKey("workloads.id"), primary_key=True)
    kind: Mapped[str] = mapped_column(primary_key=True)
    input_id: Mapped[str] = mapped_column(primary_key=True)
    ref: Mapped[str] = mapped_column(default="")
    """How it was asked for, e.g. `digits@1:train`."""


class SubmissionRow(Base):
    """The key that a client gave its request to run something (`Idempotency-Key`), and what came
    of it; kept for a day."""

    __tablename__ = "submissions"

    user_id: Mapped[str] = mapped_column(ForeignKey("users.id"), primary_key=True)
    key: Mapped[str] = mapped_column(primary_key=True)
    digest: Mapped[str]
    """Of the request."""
    workload_id: Mapped[str] = mapped_column(ForeignKey("workloads.id"))
    created_at: Mapped[datetime] = mapped_column(index=True)


class TaskRow(Base):
    """A replica of a role in one attempt; made when it is given a node."""

    __tablename__ = "tasks"
    __table_args__ = (
        Index("ix_tasks_workload_attempt", "workload_id", "attempt"),
        Index("ix_tasks_node_live", "node_id", sqlite_where=text("ended_at IS NULL"),
              postgresql_where=text("ended_at IS NULL")),
        # The ledger's promise, kept by the database: nothing has two live attempts.
        Index("uq_tasks_live", "workload_id", "role", "replica", unique=True,
              sqlite_where=text("ended_at IS NULL"),
              postgresql_where=text("ended_at IS NULL")),
    )  # fmt: skip

    id: Mapped[str] = mapped_column(primary_key=True)
    workload_id: Mapped[str] = mapped_column(ForeignKey("workloads.id"))
    attempt: Mapped[int]
    role: Mapped[str]
    replica: Mapped[int]
    rank: Mapped[int]
    node_id: Mapped[str] = mapped_column(ForeignKey("nodes.id"))
    created_at: Mapped[datetime]
    state: Mapped[str] = mapped_column(default=TaskState.PENDING)
    reason: Mapped[dict[str, Any] | None] = mapped_column(default=None)
    stop_reason: Mapped[dict[str, Any] | None] = mapped_column(default=None)
    """Why it was asked to stop: the reason it ends with, unless it ended by itself before."""
    failures: Mapped[int] = mapped_column(default=0)
    """Of a service's replica: failures in a row before this attempt."""
    app_socket: Mapped[str] = mapped_column(default="")
    started_at: Mapped[datetime | None] = mapped_column(default=None)
    ready_at: Mapped[datetime | None] = mapped_column(default=None)
    ended_at: Mapped[datetime | None] = mapped_column(default=None)
    exit_code: Mapped[int | None] = mapped_column(default=None)
    isolation: Mapped[dict[str, Any]] = mapped_column(default_factory=dict)
    peak_memory_bytes: Mapped[int] = mapped_column(default=0)
    cpu_s: Mapped[float] = mapped_column(default=0.0)


class TaskSpecRow(Base):
    """The order that a live task's node works by (`cluster.protocol.TaskSpec` without its token);
    deleted with the task's end."""

    __tablename__ = "task_specs"

    task_id: Mapped[str] = mapped_column(ForeignKey("tasks.id"), primary_key=True)
    spec: Mapped[dict[str, Any]]


class AllocationRow(Base):
    """The ledger: this task holds this much of this node, since, until (None: it still does)."""

    __tablename__ = "allocations"
    __table_args__ = (
        Index("ix_allocations_workload", "workload_id"),
        Index("ix_allocations_live", "node_id", sqlite_where=text("until IS NULL"),
              postgresql_where=text("until IS NULL")),
        Index("uq_allocations_live", "task_id", unique=True,
              sqlite_where=text("until IS NULL"), postgresql_where=text("until IS NULL")),
        Index("ix_allocations_until", "until"),
    )  # fmt: skip

    id: Mapped[str] = mapped_column(primary_key=True)
    task_id: Mapped[str] = mapped_column(ForeignKey("tasks.id"))
    workload_id: Mapped[str] = mapped_column(ForeignKey("workloads.id"))
    project_id: Mapped[str]
    user_id: Mapped[str]
    queue_id: Mapped[str]
    node_id: Mapped[str] = mapped_column(ForeignKey("nodes.id"))
    role: Mapped[str]
    replica: Mapped[int]
    cpu_milli: Mapped[int]
    memory_bytes: Mapped[int]
    devices: Mapped[list[Any]]
    """Shares of devices: {"index", "kind", "milli", "memory_bytes", "simulated"}."""
    since: Mapped[datetime]
    counted: Mapped[dict[str, Any]] = mapped_column(default_factory=dict)
    """Other things that nodes have, by name."""
    ports: Mapped[list[Any]] = mapped_column(default_factory=list)
    until: Mapped[datetime | None] = mapped_column(default=None)


class LimitRow(Base):
    """What a user or a project may have at once: subject is `user:ID`, `project:ID`, `user:*`,
    `project:*`."""

    __tablename__ = "limits"

    subject: Mapped[str] = mapped_column(primary_key=True)
    running: Mapped[int | None] = mapped_column(default=None)
    pending: Mapped[int | None] = mapped_column(default=None)
    amounts: Mapped[dict[str, Any]] = mapped_column(default_factory=dict)


class ReservationRow(Base):
    """Resources held for a project, in one window or in many."""

    __tablename__ = "reservations"
    __table_args__ = (
        Index("uq_reservations_name", "project_id", "name", unique=True,
              sqlite_where=text("cancelled_at IS NULL"),
              postgresql_where=text("cancelled_at IS NULL")),
    )  # fmt: skip

    id: Mapped[str] = mapped_column(primary_key=True)
    project_id: Mapped[str] = mapped_column(ForeignKey("projects.id"))
    user_id: Mapped[str] = mapped_column(ForeignKey("users.id"))
    name: Mapped[str]
    created_at: Mapped[datetime]
    resources: Mapped[dict[str, Any]]
    """As `core.resources.Resources.parse` reads them."""
    start: Mapped[datetime]
    end: Mapped[datetime]
    replicas: Mapped[int] = mapped_column(default=1)
    pool: Mapped[str] = mapped_column(default="")
    recurrence: Mapped[str] = mapped_column(default="once")
    until: Mapped[datetime | None] = mapped_column(default=None)
    timezone: Mapped[str] = mapped_column(default="UTC")
    return_after_s: Mapped[float] = mapped_column(default=0.0)
    description: Mapped[str] = mapped_column(default="")
    cancelled_at: Mapped[datetime | None] = mapped_column(default=None)


class ReservationWindowRow(Base):
    """One occurrence of a reservation; all of them are written when it is made."""

    __tablename__ = "reservation_windows"
    __table_args__ = (Index("ix_reservation_windows_end", "end"),)

    reservation_id: Mapped[str] = mapped_column(ForeignKey("reservations.id"), primary_key=True)
    start: Mapped[datetime] = mapped_column(primary_key=True)
    end: Mapped[datetime]
    used_at: Mapped[datetime | None] = mapped_column(default=None)
    """Until when something was seen to run in it."""
    returned_at: Mapped[datetime | None] = mapped_column(default=None)


class UsageRow(Base):
    """GPU seconds that a queue or a user (by id) has had, as of a moment, halved every
    half-life."""

    __tablename__ = "usage"

    holder: Mapped[str] = mapped_column(primary_key=True)
    gpu_s: Mapped[float]
    as_of: Mapped[datetime]


class PolicyRow(Base):
    """How the scheduler decides, in the cluster called `default`; none yet: as in a new
    installation."""

    __tablename__ = "cluster_policy"

    cluster: Mapped[str] = mapped_column(primary_key=True)
    policy: Mapped[dict[str, Any]]


class TemplateDurationRow(Base):
    """How long jobs of a template, a user and a project (each may be empty: of all) have run, as
    `scheduling.durations` remembers it."""

    __tablename__ = "template_durations"

    template: Mapped[str] = mapped_column(primary_key=True)
    user_id: Mapped[str] = mapped_column(primary_key=True)
    project_id: Mapped[str] = mapped_column(primary_key=True)
    weights: Mapped[list[Any]]


class EventRow(Base):
    """What happened, to what, by whom and why; written in the transaction that did it."""

    __tablename__ = "events"
    __table_args__ = (
        Index("ix_events_subject", "subject", "id"),
        Index("ix_events_project", "project_id", "id"),
        Index("ix_events_parent", "workload_id", "id"),
    )

    id: Mapped[int] = mapped_column(_RowNumber, primary_key=True, init=False)
    at: Mapped[datetime]
    subject: Mapped[str]
    """The id of the thing: `job-…`, `task-…`, `node-…`."""
    action: Mapped[str]
    """`state` for a change from `old` to `new`; otherwise what was done: `submitted`, `scaled`."""
    actor: Mapped[str]
    """A user's name, or the part of the platform: `scheduler`, `supervisor`, `node NAME`."""
    project_id: Mapped[str | None] = mapped_column(default=None)
    workload_id: Mapped[str | None] = mapped_column(default=None)
    old: Mapped[str | None] = mapped_column(default=None)
    new: Mapped[str | None] = mapped_column(default=None)
    reason: Mapped[dict[str, Any] | None] = mapped_column(default=None)


class ReportPointRow(TelemetryBase):
    """A number that a task reported: `report(step, loss=…)`."""

    __tablename__ = "report_points"
    __table_args__ = (Index("ix_report_points_series", "workload_id", "key", "id"),)

    id: Mapped[int] = mapped_column(_RowNumber, primary_key=True, init=False)
    workload_id: Mapped[str]
    task_id: Mapped[str]
    rank: Mapped[int]
    attempt: Mapped[int]
    key: Mapped[str]
    step: Mapped[int]
    value: Mapped[float]
    at: Mapped[datetime]


class ReportOffsetRow(TelemetryBase):
    """How much of a task's spool of reports has been taken in: what comes twice is dropped."""

    __tablename__ = "report_offsets"

    task_id: Mapped[str] = mapped_column(primary_key=True)
    offset: Mapped[int]
