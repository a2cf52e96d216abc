"""Carries decisions out: stops tasks, ends them, retries, ends workloads; one transaction with
whatever caused it. Safe to repeat: it acts on what the rows say."""

from __future__ import annotations

from datetime import timedelta

from sqlalchemy import delete, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from madang.core.reasons import Reason, ReasonCode
from madang.core.states import TaskState, WorkloadKind, WorkloadState
from madang.server.cluster.tables import NodeRow
from madang.server.context import ServerContext
from madang.server.db.engine import announce
from madang.server.workloads.decisions import TaskView, Verdict, judge_job, judge_service
from madang.server.workloads.history import set_task_state, set_workload_state
from madang.server.workloads.spec import WorkloadSpec
from madang.server.workloads.tables import AllocationRow, TaskRow, TaskSpecRow, WorkloadRow

ACTOR = "supervisor"


async def supervise(
    context: ServerContext, session: AsyncSession, row: WorkloadRow, actor: str = ACTOR
) -> None:
    """Bring a (locked) workload to what its tasks and its owner's wish make of it."""
    while not WorkloadState(row.state).ended:
        tasks = await current_tasks(session, row)
        verdict = _judge(row, tasks)
        await _stop_tasks(context, session, row, tasks, verdict, actor)
        if not await _apply(context, session, row, verdict, actor):
            return


async def current_tasks(session: AsyncSession, row: WorkloadRow) -> list[TaskRow]:
    """What decisions look at: the present attempt of a job, the newest task of each replica of a
    service."""
    query = select(TaskRow).where(TaskRow.workload_id == row.id).order_by(TaskRow.id)
    if row.kind != WorkloadKind.SERVICE:
        query = query.where(TaskRow.attempt == row.attempt)
    await session.flush()
    tasks = list(await session.scalars(query.execution_options(populate_existing=True)))
    newest = {(task.role, task.replica): task for task in sorted(tasks, key=_age)}
    return list(newest.values())


def view(task: TaskRow) -> TaskView:
    return TaskView(
        id=task.id,
        role=task.role,
        replica=task.replica,
        state=TaskState(task.state),
        reason=Reason.from_json(task.reason) if task.reason else None,
        exit_code=task.exit_code,
        failures=task.failures,
        started_at=task.started_at,
        ended_at=task.ended_at,
    )


async def stop_task(
    context: ServerContext,
    session: AsyncSession,
    row: WorkloadRow,
    task: TaskRow,
    reason: Reason,
    actor: str = ACTOR,
) -> None:
    """Ask a live task to end; its node is told, and reports the end."""
    if task.state == TaskState.STOPPING:
        return
    task.stop_reason = reason.to_json()
    await set_task_state(
        session,
        row,
        task,
        TaskState.STOPPING,
        now=context.clock.now(),
        actor=actor,
        reason=reason,
    )
    announce(session, f"node:{task.node_id}:orders")


async def end_task(
    context: ServerContext,
    session: AsyncSession,
    row: WorkloadRow,
    task: TaskRow,
    state: TaskState,
    reason: Reason,
    *,
    exit_code: int | None,
    actor: str,
) -> None:
    """Write a task's end and give back what it held. The caller supervises the workload next."""
    now = context.clock.now()
    task.exit_code = exit_code
    await set_task_state(session, row, task, state, now=now, actor=actor, reason=reason)
    await session.execute(
        update(AllocationRow)
        .where(AllocationRow.task_id == task.id, AllocationRow.until.is_(None))
        .values(until=now)
        .execution_options(synchronize_session=False)
    )
    await session.execute(
        delete(TaskSpecRow)
        .where(TaskSpecRow.task_id == task.id)
        .execution_options(synchronize_session=False)
    )
    announce(session, f"node:{task.node_id}:orders")


def _judge(row: WorkloadRow, tasks: list[TaskRow]) -> Verdict:
    spec = WorkloadSpec.from_json(row.spec)
    wish = Reason.from_json(row.stop["reason"]) if row.stop else None
    reason = Reason.from_json(row.reason) if row.reason else None
    views = [view(task) for task in tasks]
    state = WorkloadState(row.state)
    if row.kind == WorkloadKind.SERVICE:
        return judge_service(
            state=state,
            reason=reason,
            wish=wish,
            wanted=row.replicas,
            retry=spec.retry,
            tasks=views,
        )
    return judge_job(
        state=state,
        reason=reason,
        attempt=row.attempt,
        retries=row.retries,
        wish=wish,
        retry=spec.retry,
        tasks=views,
    )


async def _stop_tasks(
    context: ServerContext,
    session: AsyncSession,
    row: WorkloadRow,
    tasks: list[TaskRow],
    verdict: Verdict,
    actor: str,
) -> None:
    by_id = {task.id: task for task in tasks}
    for task_id, reason in verdict.stops:
        await stop_task(context, session, row, by_id[task_id], reason, actor)


async def _apply(
    context: ServerContext,
    session: AsyncSession,
    row: WorkloadRow,
    verdict: Verdict,
    actor: str,
) -> bool:
    """Write the verdict; whether the state changed, so that it must be looked at again."""
    now = context.clock.now()
    if row.stop and not verdict.state.ended and await _abandon_lost(context, session, row, actor):
        return True
    if verdict.state == row.state:
        row.reason = verdict.reason.to_json() if verdict.reason else None
        return False
    if verdict.state.ended:
        row.exit_code = verdict.exit_code
        actor = row.stop["actor"] if row.stop else actor
    if verdict.retry_in_s is not None:
        row.attempt += 1
        row.retries += int(verdict.counted)
        row.not_before = now + timedelta(seconds=verdict.retry_in_s)
    await set_workload_state(
        session, row, verdict.state, now=now, actor=actor, reason=verdict.reason
    )
    return True


async def _abandon_lost(
    context: ServerContext, session: AsyncSession, row: WorkloadRow, actor: str
) -> bool:
    """A cancelled workload does not wait for nodes that are gone: should one come back, its
    orders no longer have the task, and it stops what is left of it."""
    query = (
        select(TaskRow, NodeRow)
        .join(NodeRow, NodeRow.id == TaskRow.node_id)
        .where(
            TaskRow.workload_id == row.id,
            TaskRow.ended_at.is_(None),
            NodeRow.lost_at.is_not(None),
        )
    )
    lost = list(await session.execute(query))
    for task, node in lost:
        await end_task(
            context,
            session,
            row,
            task,
            TaskState.LOST,
            node_lost_reason(node),
            exit_code=None,
            actor=actor,
        )
    return bool(lost)


def node_lost_reason(node: NodeRow) -> Reason:
    return Reason(
        ReasonCode.NODE_LOST, {"node": node.name, "since": f"{node.seen_at:%Y-%m-%d %H:%M:%S} UTC"}
    )


def _age(task: TaskRow) -> tuple[int, str]:
    return (task.attempt, task.id)
