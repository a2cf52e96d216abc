"""What was asked for and when it ran where: the platform's own history, for simulation."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import or_, select
from sqlalchemy.ext.asyncio import AsyncSession

from madang.core.permissions import Permission
from madang.core.reasons import ReasonCode
from madang.core.states import WorkloadKind, WorkloadState
from madang.schemas.scheduling import PastRole, PastRun, PastWork
from madang.server.cluster.tables import NodeRow
from madang.server.context import ServerContext
from madang.server.identity.principal import Principal
from madang.server.workloads.jobs import names_of
from madang.server.workloads.queue_use import read_tree
from madang.server.workloads.requests import template_of
from madang.server.workloads.spec import WorkloadSpec
from madang.server.workloads.tables import TaskRow, WorkloadRow


async def list_past_work(
    context: ServerContext,
    principal: Principal,
    *,
    since: datetime | None,
    until: datetime | None,
    limit: int,
    cursor: str | None,
) -> list[PastWork]:
    """All that was live in the time, oldest first; one more than `limit` when there are more.
    What belongs to a project that she does not see has no names."""
    principal.require(Permission.SCHEDULING_READ)
    query = select(WorkloadRow).order_by(WorkloadRow.id).limit(limit + 1)
    if since is not None:
        query = query.where(or_(WorkloadRow.ended_at.is_(None), WorkloadRow.ended_at >= since))
    if until is not None:
        query = query.where(WorkloadRow.created_at < until)
    if cursor:
        query = query.where(WorkloadRow.id > cursor)
    async with context.db.read() as session:
        rows = list(await session.scalars(query))
        names = await names_of(session, principal, rows)
        tree = await read_tree(session)
        runs = await _runs(session, [row.id for row in rows])
    found = []
    for row in rows:
        shown = principal.sees(row.project_id)
        queue = tree.rows.get(row.queue_id)
        named = queue is not None and (shown or queue.project_id is None)
        found.append(
            _past_work(
                row,
                runs.get(row.id, []),
                name=row.name if shown else "",
                project=names.projects[row.project_id] if shown else "",
                user=names.users[row.user_id],
                queue=tree.path(row.queue_id) if named else row.queue_id,
            )
        )
    return found


def _past_work(
    row: WorkloadRow, runs: list[PastRun], *, name: str, project: str, user: str, queue: str
) -> PastWork:
    spec = WorkloadSpec.from_json(row.spec)
    return PastWork(
        id=row.id,
        kind=WorkloadKind(row.kind),
        name=name,
        project=project,
        user=user,
        queue=queue,
        priority=row.priority,
        roles=[
            PastRole(role.name, role.replicas_min, role.replicas_max, role.resources.to_request())
            for role in spec.roles
        ],
        submitted_at=row.created_at,
        started_at=row.started_at,
        ended_at=row.ended_at,
        state=WorkloadState(row.state),
        time_limit_s=spec.time_limit_s,
        preemptible=spec.may_be_preempted,
        resizable=spec.resizable,
        template=template_of(spec),
        runs=runs,
    )


async def _runs(session: AsyncSession, ids: Sequence[str]) -> dict[str, list[PastRun]]:
    rows = await session.execute(
        select(TaskRow, NodeRow.name)
        .join(NodeRow, NodeRow.id == TaskRow.node_id)
        .where(TaskRow.workload_id.in_(ids))
        .order_by(TaskRow.attempt, TaskRow.rank, TaskRow.id)
    )
    attempts: dict[tuple[str, int], list[tuple[TaskRow, str]]] = defaultdict(list)
    for task, node in rows:
        attempts[task.workload_id, task.attempt].append((task, node))
    runs: dict[str, list[PastRun]] = defaultdict(list)
    for (workload_id, attempt), members in attempts.items():
        ends = [task.ended_at for task, _ in members]
        runs[workload_id].append(
            PastRun(
                attempt=attempt,
                start=min(task.created_at for task, _ in members),
                end=None if None in ends else max(end for end in ends if end is not None),
                nodes=[node for _, node in members],
                preempted=any(_preempted(task) for task, _ in members),
            )
        )
    return runs


def _preempted(task: TaskRow) -> bool:
    return task.reason is not None and task.reason["code"] == ReasonCode.PREEMPTED
