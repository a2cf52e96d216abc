"""Watches the nodes' leases: who has not been heard of for too long is lost."""

from __future__ import annotations

import asyncio

import structlog
from sqlalchemy import select, update

from madang.core.errors import MadangError
from madang.core.states import TaskState, WorkloadState
from madang.server.cluster.lease_time import from_now
from madang.server.cluster.service import live_tasks_of_node, node_event
from madang.server.cluster.tables import NodeRow
from madang.server.context import ServerContext
from madang.server.workloads.history import lock_workload
from madang.server.workloads.spec import WorkloadSpec
from madang.server.workloads.supervisor import end_task, node_lost_reason, supervise
from madang.server.workloads.tables import TaskRow

log = structlog.get_logger()

ACTOR = "cluster"

_PERIOD_S = 2.0
_MARGIN_S = 5.0
"""Beyond its grace, a task on a lost node is given this long to have been killed by its shim."""


async def run(context: ServerContext) -> None:
    """Look at the leases now and then, until cancelled."""
    await grant_full_leases(context)
    while True:
        try:
            await check_leases(context)
        except MadangError as error:
            log.warning("leases could not be checked", error=str(error))
        await asyncio.sleep(min(_PERIOD_S, context.settings.node_lease_s / 4))


async def grant_full_leases(context: ServerContext) -> None:
    """After a start: while we were away no node could renew, so none is blamed for it."""
    async with context.db.transaction() as session:
        await session.execute(
            update(NodeRow)
            .where(NodeRow.lost_at.is_(None))
            .values(lease_expires_at=from_now(context.settings.node_lease_s))
        )


async def check_leases(context: ServerContext) -> None:
    """Mark nodes as lost, and give up their tasks that are to run elsewhere."""
    async with context.db.read() as session:
        expired = list(
            await session.scalars(select(NodeRow.id).where(NodeRow.lease_expires_at < from_now(0)))
        )
    for node_id in expired:
        await _mark_lost(context, node_id)
        await _give_up_tasks(context, node_id)


async def _mark_lost(context: ServerContext, node_id: str) -> None:
    async with context.db.transaction() as session:
        node = await session.scalar(
            update(NodeRow)
            .where(
                NodeRow.id == node_id,
                NodeRow.lost_at.is_(None),
                NodeRow.lease_expires_at < from_now(0),
            )
            .values(lost_at=context.clock.now())
            .returning(NodeRow)
        )
        if node is None:
            return
        log.warning("node is lost", node=node.name)
        node_event(context, session, node, "lost", actor=ACTOR, reason=node_lost_reason(node))
        workloads = {workload_id for _, workload_id in await live_tasks_of_node(session, node_id)}
        for workload_id in sorted(workloads):
            row = await lock_workload(session, workload_id)
            if row.stop is not None:
                await supervise(context, session, row)


async def _give_up_tasks(context: ServerContext, node_id: str) -> None:
    """Tasks with the policy `restart` are over once their own shims must have killed them: after
    the lease, which both sides count, and their grace."""
    async with context.db.read() as session:
        pairs = await live_tasks_of_node(session, node_id)
    for task_id, workload_id in pairs:
        async with context.db.transaction() as session:
            row = await lock_workload(session, workload_id)
            spec = WorkloadSpec.from_json(row.spec)
            if spec.on_node_lost != "restart" or WorkloadState(row.state).ended:
                continue
            grace_s = context.settings.grace_s if spec.grace_s is None else spec.grace_s
            node = await session.scalar(
                select(NodeRow).where(
                    NodeRow.id == node_id,
                    NodeRow.lease_expires_at < from_now(-grace_s - _MARGIN_S),
                )
            )
            task = await session.get(TaskRow, task_id, populate_existing=True)
            if node is None or task is None or task.ended_at is not None:
                continue
            await end_task(
                context,
                session,
                row,
                task,
                TaskState.LOST,
                node_lost_reason(node),
                exit_code=None,
                actor=ACTOR,
            )
            await supervise(context, session, row)
