"""What a workload wants of the planner, and what of it runs, given its row and its tasks."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime

from madang.core.states import WorkloadKind, WorkloadState
from madang.scheduling import Group, Request, Work
from madang.server.workloads.decisions import TaskView, replica_not_before
from madang.server.workloads.progress import work_of
from madang.server.workloads.spec import RoleSpec, WorkloadSpec
from madang.server.workloads.tables import WorkloadRow


def wanted_requests(
    row: WorkloadRow, spec: WorkloadSpec, tasks: Sequence[TaskView]
) -> list[Request]:
    """A job that is pending is one request; a service has one for each replica that is down.

    `tasks` is what `supervisor.current_tasks` gives.
    """
    if WorkloadState(row.state).ended or row.stop is not None:
        return []
    if row.kind == WorkloadKind.SERVICE:
        return _replica_requests(row, spec, tasks)
    if row.state != WorkloadState.PENDING or any(not task.state.ended for task in tasks):
        return []
    return [job_request(row, spec)]


def job_request(row: WorkloadRow, spec: WorkloadSpec) -> Request:
    """All of a job (or session): the same while it waits and while it runs."""
    groups = tuple(
        Group(role.name, role.replicas_min, role.replicas_max, role.resources, where=role.where)
        for role in spec.roles
    )
    return _request(row, spec, row.id, groups, row.not_before)


def replica_request(row: WorkloadRow, spec: WorkloadSpec, role: RoleSpec, replica: int) -> Request:
    """One replica of a service, which starts and stops by itself."""
    groups = (Group(role.name, 1, 1, role.resources, first=replica, where=role.where),)
    return _request(row, spec, f"{row.id}:{role.name}:{replica}", groups, None)


def replica_of(request_id: str) -> tuple[str, int] | None:
    """The role and replica that a request is for; None: all of its workload."""
    _, *rest = request_id.split(":")
    return (rest[0], int(rest[1])) if rest else None


def _replica_requests(
    row: WorkloadRow, spec: WorkloadSpec, tasks: Sequence[TaskView]
) -> list[Request]:
    newest = {(task.role, task.replica): task for task in tasks}
    requests = []
    for role in spec.roles:
        for replica in range(row.replicas.get(role.name, 0)):
            task = newest.get((role.name, replica))
            if task is not None and not task.state.ended:
                continue
            not_before = replica_not_before(task, spec.retry) if task else None
            request = replica_request(row, spec, role, replica)
            requests.append(replace(request, not_before=_seconds(not_before)))
    return requests


def _request(
    row: WorkloadRow,
    spec: WorkloadSpec,
    name: str,
    groups: tuple[Group, ...],
    not_before: datetime | None,
) -> Request:
    return Request(
        id=name,
        owner=row.id,
        queue=row.queue_id,
        groups=groups,
        priority=row.priority,
        order=int(row.created_at.timestamp() * 1e6),
        not_before=_seconds(not_before),
        user=row.user_id,
        project=row.project_id,
        submitted_at=row.created_at.timestamp(),
        time_limit_s=spec.time_limit_s,
        expected_s=row.expected_s,
        preemptible=spec.may_be_preempted,
        resizable=spec.resizable and row.kind != WorkloadKind.SERVICE,
        template=template_of(spec),
        work=_work(row),
        reservation=row.reservation_id or "",
        ran_s=row.work.get("ran_s", 0.0) if row.work else 0.0,
    )


def template_of(spec: WorkloadSpec) -> str:
    """What jobs have in common that are runs of the same thing: name and environment. (Their
    arguments differ from run to run.)"""
    return f"{spec.name}:{spec.environment}"


def _work(row: WorkloadRow) -> Work | None:
    reported = row.work and row.work.keys() - {"ran_s"}
    return work_of(row.work) if reported else None


def _seconds(moment: datetime | None) -> float:
    return moment.timestamp() if moment else 0.0
