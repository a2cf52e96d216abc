"""What people do with nodes: look at them, close them, empty them."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import func, or_, select
from sqlalchemy.ext.asyncio import AsyncSession

from madang.core.errors import InvalidInput, NotFound
from madang.core.ids import check_name
from madang.core.permissions import Permission
from madang.core.reasons import Reason, ReasonCode
from madang.schemas.nodes import NodeChange, NodeState
from madang.server.cluster.service import live_tasks_of_node, node_event
from madang.server.cluster.tables import DeviceRow, NodeRow
from madang.server.context import ServerContext
from madang.server.db.engine import announce
from madang.server.identity.principal import Principal
from madang.server.identity.tables import UserRow
from madang.server.workloads.history import lock_workload
from madang.server.workloads.supervisor import stop_task, supervise
from madang.server.workloads.tables import AllocationRow, TaskRow, WorkloadRow

_LABEL = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9._/-]{0,61}[A-Za-z0-9])?")
_COUNTED = re.compile(r"[a-z][a-z0-9._-]{0,62}")


@dataclass(slots=True)
class NodeUse:
    """A node with its devices and the sum of what live tasks hold of them."""

    node: NodeRow
    devices: list[DeviceRow]
    cpu_milli: int = 0
    memory_bytes: int = 0
    tasks: int = 0
    device_milli: dict[tuple[str, int], int] = field(default_factory=lambda: defaultdict(int))
    device_memory: dict[tuple[str, int], int] = field(default_factory=lambda: defaultdict(int))


@dataclass(frozen=True, slots=True)
class TaskOnNode:
    """A live task on a node; `project_id` tells who may know its name."""

    task: TaskRow
    workload: WorkloadRow
    allocation: AllocationRow
    user: str


async def list_nodes(
    context: ServerContext,
    principal: Principal,
    *,
    limit: int,
    cursor: str | None,
    name: str | None = None,
) -> list[NodeUse]:
    """Nodes by name; one more than `limit` when there are more."""
    principal.require(Permission.NODES_READ)
    query = select(NodeRow).order_by(NodeRow.name).limit(limit + 1)
    if cursor:
        query = query.where(NodeRow.name > cursor)
    if name:
        query = query.where(NodeRow.name.contains(name, autoescape=True))
    async with context.db.read() as session:
        return await uses_of_nodes(session, list(await session.scalars(query)))


async def get_node(
    context: ServerContext, principal: Principal, node: str
) -> tuple[NodeUse, list[TaskOnNode]]:
    """One node by name or id, with what runs on it. Raises NotFound."""
    principal.require(Permission.NODES_READ)
    async with context.db.read() as session:
        row = await _find(session, node)
        rows = await session.execute(
            select(TaskRow, WorkloadRow, AllocationRow, UserRow.name)
            .join(WorkloadRow, WorkloadRow.id == TaskRow.workload_id)
            .join(AllocationRow, AllocationRow.task_id == TaskRow.id)
            .join(UserRow, UserRow.id == WorkloadRow.user_id)
            .where(AllocationRow.node_id == row.id, AllocationRow.until.is_(None))
            .order_by(TaskRow.id)
        )
        tasks = [TaskOnNode(*found) for found in rows]
        return (await uses_of_nodes(session, [row]))[0], tasks


async def cordon_node(
    context: ServerContext, principal: Principal, node: str, *, closed: bool
) -> NodeUse:
    """Close a node for new tasks, or open it again; safe to repeat."""
    principal.require(Permission.NODES_WRITE)
    async with context.db.transaction() as session:
        row = await _find(session, node)
        _set_cordon(context, row, closed)
        node_event(
            context, session, row, "cordoned" if closed else "uncordoned", actor=principal.name
        )
        return (await uses_of_nodes(session, [row]))[0]


async def drain_node(context: ServerContext, principal: Principal, node: str) -> NodeUse:
    """Close a node and stop what runs on it; jobs and replicas begin again elsewhere. Safe to
    repeat; returns before everything has ended."""
    principal.require(Permission.NODES_WRITE)
    async with context.db.transaction() as session:
        row = await _find(session, node)
        _set_cordon(context, row, True)
        node_event(context, session, row, "drained", actor=principal.name)
        reason = Reason(ReasonCode.NODE_DRAINED, {"node": row.name, "actor": principal.name})
        tasks: dict[str, list[str]] = defaultdict(list)
        for task_id, workload_id in await live_tasks_of_node(session, row.id):
            tasks[workload_id].append(task_id)
        for workload_id, task_ids in tasks.items():
            workload = await lock_workload(session, workload_id)
            for task_id in task_ids:
                task = await session.get(TaskRow, task_id, populate_existing=True)
                if task is not None and task.ended_at is None:
                    await stop_task(context, session, workload, task, reason, principal.name)
            await supervise(context, session, workload)
        announce(session, f"node:{row.id}:orders")
        return (await uses_of_nodes(session, [row]))[0]


async def change_node(
    context: ServerContext, principal: Principal, node: str, change: NodeChange
) -> NodeUse:
    """Say to which pool a node belongs, what it is labelled with, what else it has. What runs
    there goes on. Raises NotFound, Forbidden, InvalidInput."""
    principal.require(Permission.NODES_WRITE)
    _check_change(change)
    async with context.db.transaction() as session:
        row = await _find(session, node)
        if change.pool is not None:
            row.pool = change.pool
        row.labels = _merged(row.labels, change.labels)
        row.counted = _merged(row.counted, change.counted)
        node_event(context, session, row, "changed", actor=principal.name)
        return (await uses_of_nodes(session, [row]))[0]


def state_of(row: NodeRow) -> NodeState:
    if row.lost_at is not None:
        return NodeState.LOST
    return NodeState.CORDONED if row.cordoned_at is not None else NodeState.READY


def labels_of(row: NodeRow) -> dict[str, str]:
    """What its agent says and what administrators have set."""
    return {**row.inventory.get("labels", {}), **row.labels}


def _check_change(change: NodeChange) -> None:
    if change.pool:
        check_name(change.pool, "pool")
    for name, value in (change.labels or {}).items():
        for text in filter(None, (name, value)):
            if not _LABEL.fullmatch(text):
                raise InvalidInput(
                    f"{text[:100]!r} can't be in a label of a node",
                    field="labels",
                    hint="Write NAME=VALUE of letters, digits, '.', '_', '/' and '-'.",
                )
    for name, count in (change.counted or {}).items():
        if not _COUNTED.fullmatch(name) or not 0 <= count < 10**9:
            raise InvalidInput(
                f"'{name[:100]}={count}' says not how many it has of what",
                field="counted",
                hint="Write NAME=COUNT with a name of small letters, digits, '.', '_' and '-'.",
            )


def _merged(known: dict[str, Any], changes: dict[str, Any] | None) -> dict[str, Any]:
    merged = {**known, **(changes or {})}
    return {name: value for name, value in sorted(merged.items()) if value}


def _set_cordon(context: ServerContext, row: NodeRow, closed: bool) -> None:
    if closed and row.cordoned_at is None:
        row.cordoned_at = context.clock.now()
    elif not closed:
        row.cordoned_at = None


async def _find(session: AsyncSession, node: str) -> NodeRow:
    row = await session.scalar(
        select(NodeRow).where(or_(NodeRow.id == node, NodeRow.name == node))
    )
    if row is None:
        raise NotFound(f"there is no node {node!r}", hint="`madang node list` shows them.")
    return row


async def uses_of_nodes(session: AsyncSession, rows: Sequence[NodeRow]) -> list[NodeUse]:
    """The use of these nodes: sums of what live tasks hold."""
    ids = [row.id for row in rows]
    devices: dict[str, list[DeviceRow]] = defaultdict(list)
    found = await session.scalars(
        select(DeviceRow)
        .where(DeviceRow.node_id.in_(ids))
        .order_by(DeviceRow.kind, DeviceRow.index)
    )
    for device in found:
        devices[device.node_id].append(device)
    uses = {row.id: NodeUse(row, devices[row.id]) for row in rows}
    sums = await session.execute(
        select(
            AllocationRow.node_id,
            func.count(),
            func.sum(AllocationRow.cpu_milli),
            func.sum(AllocationRow.memory_bytes),
        )
        .where(AllocationRow.until.is_(None), AllocationRow.node_id.in_(ids))
        .group_by(AllocationRow.node_id)
    )
    for node_id, tasks, cpu_milli, memory_bytes in sums:
        use = uses[node_id]
        use.tasks, use.cpu_milli, use.memory_bytes = tasks, int(cpu_milli), int(memory_bytes)
    await _add_devices(session, {node_id: uses[node_id] for node_id in ids if devices[node_id]})
    return list(uses.values())


async def _add_devices(session: AsyncSession, uses: dict[str, NodeUse]) -> None:
    if not uses:
        return
    rows = await session.execute(
        select(AllocationRow.node_id, AllocationRow.devices).where(
            AllocationRow.until.is_(None), AllocationRow.node_id.in_(list(uses))
        )
    )
    for node_id, shares in rows:
        for share in shares:
            key = (share["kind"], share["index"])
            uses[node_id].device_milli[key] += share["milli"]
            uses[node_id].device_memory[key] += share["memory_bytes"]
