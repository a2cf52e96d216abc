"""What a node should be doing, as orders with a revision: the same orders, the same revision."""

from __future__ import annotations

import time
from dataclasses import replace

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from madang.core.states import TaskState
from madang.server.cluster.codec import from_json
from madang.server.cluster.protocol import NodeOrders, TaskOrder, TaskSpec
from madang.server.context import ServerContext
from madang.server.identity.tokens import task_token
from madang.server.workloads.tables import TaskRow, TaskSpecRow, WorkloadRow

_PART = "cluster.orders"


class OrdersDesk:
    """Orders of one node. It remembers the last ones and the specs in them, which never change;
    all of it can be read again after a restart (with a new revision)."""

    def __init__(self, node_id: str) -> None:
        self._node_id = node_id
        self._specs: dict[str, TaskSpec] = {}
        self._actions: tuple[tuple[str, bool], ...] | None = None
        self._orders = NodeOrders(0, (), 0.0)
        self.turn = 0

    @classmethod
    def of(cls, context: ServerContext, node_id: str) -> OrdersDesk:
        desks: dict[str, OrdersDesk] = context.parts.setdefault(_PART, {})
        return desks.setdefault(node_id, cls(node_id))

    def next_turn(self) -> int:
        """A node makes one call at a time: its newest one ends the wait of those before."""
        self.turn += 1
        return self.turn

    async def read(self, context: ServerContext) -> NodeOrders:
        """The orders as of now."""
        async with context.db.read() as session:
            actions = await self._read_actions(session)
            if actions == self._actions:
                return self._orders
            wanted = {task_id for task_id, _ in actions}
            specs = {key: spec for key, spec in self._specs.items() if key in wanted}
            specs |= await _read_specs(context, session, wanted - specs.keys())
        orders = tuple(
            TaskOrder(specs[task_id], "stop" if stop else "run")
            for task_id, stop in actions
            if task_id in specs
        )
        # Larger than any before it, also than those of a control that ran earlier.
        revision = max(self._orders.revision + 1, time.time_ns() // 1_000_000)
        self._specs, self._actions = specs, actions
        self._orders = NodeOrders(revision, orders, context.settings.node_lease_s)
        return self._orders

    async def _read_actions(self, session: AsyncSession) -> tuple[tuple[str, bool], ...]:
        rows = await session.execute(
            select(TaskRow.id, TaskRow.state)
            .where(TaskRow.node_id == self._node_id, TaskRow.ended_at.is_(None))
            .order_by(TaskRow.id)
        )
        return tuple((task_id, state == TaskState.STOPPING) for task_id, state in rows)


async def _read_specs(
    context: ServerContext, session: AsyncSession, task_ids: set[str]
) -> dict[str, TaskSpec]:
    """Specs with the tokens, which are signed anew and kept nowhere."""
    if not task_ids:
        return {}
    rows = await session.execute(
        select(TaskSpecRow, WorkloadRow.user_id, WorkloadRow.project_id)
        .join(TaskRow, TaskRow.id == TaskSpecRow.task_id)
        .join(WorkloadRow, WorkloadRow.id == TaskRow.workload_id)
        .where(TaskSpecRow.task_id.in_(task_ids))
    )
    specs = {}
    for row, user_id, project_id in rows:
        token = task_token(context, row.task_id, user_id, project_id)
        specs[row.task_id] = replace(from_json(TaskSpec, row.spec), api_token=token)
    return specs
