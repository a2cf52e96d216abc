"""Workload rows as the API shows them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from madang.core.reasons import Reason, ReasonCode
from madang.core.resources import MILLI
from madang.core.states import TaskState, WorkloadKind, WorkloadState
from madang.schemas.events import Event
from madang.schemas.jobs import Device, Job, Task, Why
from madang.server.workloads.jobs import Names
from madang.server.workloads.reason_names import with_subjects
from madang.server.workloads.spec import WorkloadSpec
from madang.server.workloads.tables import EventRow, TaskRow, WorkloadRow

NOBODYS: Mapping[str, str] = {}


def why_of(reason: Mapping[str, Any] | None, jobs: Mapping[str, str] = NOBODYS) -> Why | None:
    """`jobs`: names of those that the reader may see (`names_in_reasons`); others are "another
    job"."""
    if reason is None:
        return None
    named = Reason(ReasonCode(reason["code"]), with_subjects(reason["facts"], jobs))
    shown = named.seen_by(jobs.get)
    return Why(str(shown.code), str(shown), shown.facts)


def job_of(row: WorkloadRow, names: Names) -> Job:
    spec = WorkloadSpec.from_json(row.spec)
    role = spec.roles[0]
    environment = (row.inputs or {}).get("environment_name") or spec.environment
    return Job(
        id=row.id,
        kind=WorkloadKind(row.kind),
        name=row.name,
        project=names.projects[row.project_id],
        user=names.users[row.user_id],
        queue=names.queues[row.queue_id],
        state=WorkloadState(row.state),
        reason=why_of(row.reason, names.jobs),
        attempt=row.attempt,
        priority=row.priority,
        replicas=role.replicas_min,
        replicas_max=role.replicas_max,
        resources=dict(role.resources.to_request()),
        command=list(role.command),
        environment=environment,
        created_at=row.created_at,
        started_at=row.started_at,
        ended_at=row.ended_at,
        exit_code=row.exit_code,
        labels=row.labels,
        parent_id=row.parent_id,
        expected_start=row.expected_start,
    )


def task_of(
    row: TaskRow, node: str, devices: list[dict[str, Any]], jobs: Mapping[str, str] = NOBODYS
) -> Task:
    return Task(
        id=row.id,
        attempt=row.attempt,
        role=row.role,
        replica=row.replica,
        rank=row.rank,
        state=TaskState(row.state),
        reason=why_of(row.reason, jobs),
        node=node,
        devices=[
            Device(
                index=share["index"],
                kind=share["kind"],
                share=share["milli"] / MILLI,
                memory_bytes=share["memory_bytes"],
                simulated=share["simulated"],
            )
            for share in devices
        ],
        exit_code=row.exit_code,
        started_at=row.started_at,
        ready_at=row.ready_at,
        ended_at=row.ended_at,
        isolation=row.isolation,
        peak_memory_bytes=row.peak_memory_bytes,
        cpu_s=row.cpu_s,
    )


def event_of(
    row: EventRow, projects: Mapping[str, str], jobs: Mapping[str, str] = NOBODYS
) -> Event:
    return Event(
        id=row.id,
        at=row.at,
        subject=row.subject,
        action=row.action,
        actor=row.actor,
        project=projects.get(row.project_id or ""),
        workload_id=row.workload_id,
        old=row.old,
        new=row.new,
        reason=why_of(row.reason, jobs),
    )
