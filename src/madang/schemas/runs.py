"""Runs: what was tried, with which parameters, and what came of it."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime


@dataclass(frozen=True, slots=True)
class MetricValue:
    """A value of a metric; None stands for what is not a finite number."""

    step: int
    value: float | None
    at: datetime


@dataclass(frozen=True, slots=True)
class Run:
    """A run with its parameters, tags and the latest value of each metric.

    `status` is MLflow's: RUNNING, SCHEDULED, FINISHED, FAILED or KILLED. `job_id` is the job
    whose task logged it, None when it was logged from elsewhere.
    """

    id: str
    name: str
    project: str
    experiment_id: str
    experiment: str
    user: str
    status: str
    started_at: datetime
    ended_at: datetime | None
    job_id: str | None
    params: dict[str, str] = field(default_factory=dict)
    metrics: dict[str, MetricValue] = field(default_factory=dict)
    tags: dict[str, str] = field(default_factory=dict)
