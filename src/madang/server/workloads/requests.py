"""What a workload wants of the planner, given its row and its newest tasks."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from madang.core.states import WorkloadKind, WorkloadState
from madang.scheduling import Group, Request
from madang.server.workloads.decisions import TaskView, replica_not_before
from madang.server.workloads.spec import WorkloadSpec
from madang.server.workloads.tables import WorkloadRow


def wanted_requests(
    row: WorkloadRow, spec: WorkloadSpec, tasks: Sequence[TaskView], queue: str = ""
) -> list[Request]:
    """A job that is pending is one request; a service has one for each replica that is down.

    `tasks` is what `supervisor.current_tasks` gives, `queue` the queue's name for reasons.
    """
    if WorkloadState(row.state).ended or row.stop is not None:
        return []
    if row.kind == WorkloadKind.SERVICE:
        return _replica_requests(row, spec, tasks, queue)
    if row.state != WorkloadState.PENDING or any(not task.state.ended for task in tasks):
        return []
    groups = tuple(
        Group(role.name, role.replicas_min, role.replicas_max, role.resources)
        for role in spec.roles
    )
    return [_request(row, row.id, groups, row.not_before, queue)]


def _replica_requests(
    row: WorkloadRow, spec: WorkloadSpec, tasks: Sequence[TaskView], queue: str
) -> list[Request]:
    newest = {(task.role, task.replica): task for task in tasks}
    requests = []
    for role in spec.roles:
        for replica in range(row.replicas.get(role.name, 0)):
            task = newest.get((role.name, replica))
            if task is not None and not task.state.ended:
                continue
            not_before = replica_not_before(task, spec.retry) if task else None
            groups = (Group(role.name, 1, 1, role.resources, first=replica),)
            name = f"{row.id}:{role.name}:{replica}"
            requests.append(_request(row, name, groups, not_before, queue))
    return requests


def _request(
    row: WorkloadRow,
    name: str,
    groups: tuple[Group, ...],
    not_before: datetime | None,
    queue: str,
) -> Request:
    return Request(
        id=name,
        owner=row.id,
        queue=queue,
        groups=groups,
        priority=row.priority,
        order=int(row.created_at.timestamp() * 1e6),
        not_before=not_before.timestamp() if not_before else 0.0,
    )
