"""Control's half of the protocol with nodes: take in what is, answer with what should be."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import delete, select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession

from madang.core.errors import InvalidInput
from madang.core.ids import check_name, new_id
from madang.core.reasons import Reason, ReasonCode
from madang.core.states import TaskState
from madang.server.cluster.lease_time import from_now
from madang.server.cluster.orders import OrdersDesk
from madang.server.cluster.protocol import (
    PROTOCOL_VERSION,
    DeviceInventory,
    ExitRecord,
    NodeInventory,
    NodeOrders,
    NodeReport,
    TaskReport,
)
from madang.server.cluster.tables import DeviceRow, NodeRow
from madang.server.context import ServerContext
from madang.server.db.engine import announce
from madang.server.workloads.history import (
    announce_workload,
    lock_workload,
    record_event,
    set_task_state,
)
from madang.server.workloads.spec import WorkloadSpec
from madang.server.workloads.supervisor import end_task, supervise
from madang.server.workloads.tables import TaskRow, WorkloadRow

_LIVE_ON_NODE = frozenset({TaskState.STARTING, TaskState.RUNNING, TaskState.STOPPING})


async def sync(context: ServerContext, node: str, report: NodeReport) -> NodeOrders:
    """Take a node's report in, renew its lease, and answer with its orders: at once when they
    are news to it, else when they change or `wait_s` has passed.

    Reports on tasks that have ended, or that this node was never given, change nothing.
    """
    _check(node, report)
    node_id = await _receive(context, node, report)
    desk = OrdersDesk.of(context, node_id)
    turn = desk.next_turn()
    context.bus.publish([f"node:{node_id}:turn"])
    deadline = asyncio.get_running_loop().time() + report.wait_s
    with context.bus.subscribe(f"node:{node_id}:orders", f"node:{node_id}:turn") as changes:
        while True:
            orders = await desk.read(context)
            left_s = deadline - asyncio.get_running_loop().time()
            if orders.revision != report.orders_revision or left_s <= 0:
                return orders
            await changes.wait(left_s)
            if desk.turn != turn:  # the node has given this call up and made another
                return orders


@dataclass(slots=True)
class _News:
    """What a report says that the database does not know, by workload."""

    reports: dict[str, list[TaskReport]] = field(default_factory=dict)
    missing: dict[str, list[str]] = field(default_factory=dict)

    @property
    def workloads(self) -> list[str]:
        """In the order in which they must be locked."""
        return sorted({*self.reports, *self.missing})


async def _receive(context: ServerContext, name: str, report: NodeReport) -> str:
    try:
        async with context.db.transaction() as session:
            node = await _meet(context, session, name, report)
            news = await _find_news(session, node, report)
            for workload_id in news.workloads:
                await _take_in(context, session, node, workload_id, news)
            await _write_down(context, session, node, report)
            await session.execute(
                update(NodeRow)
                .where(NodeRow.id == node.id)
                .values(
                    lease_expires_at=from_now(context.settings.node_lease_s),
                    seen_at=context.clock.now(),
                    lost_at=None,
                )
                .execution_options(synchronize_session=False)
            )
            return node.id
    except IntegrityError:
        # Two first reports at once: the other one has made the row.
        return await _receive(context, name, report)


async def _meet(
    context: ServerContext, session: AsyncSession, name: str, report: NodeReport
) -> NodeRow:
    node = await session.scalar(select(NodeRow).where(NodeRow.name == name))
    if node is not None:
        return node
    now = context.clock.now()
    node = NodeRow(
        id=new_id("node"),
        name=name,
        created_at=now,
        inventory={},
        boot_id=report.boot_id,
        agent_id=report.agent_id,
        cpu_milli=report.inventory.cpu_milli,
        memory_bytes=report.inventory.memory_bytes,
        lease_expires_at=0,
        seen_at=now,
    )
    session.add(node)
    await session.flush()
    node_event(context, session, node, "joined")
    return node


async def _write_down(
    context: ServerContext, session: AsyncSession, node: NodeRow, report: NodeReport
) -> None:
    """Keep what the node says of itself."""
    if node.lost_at is not None:
        node_event(context, session, node, "returned")
    if node.boot_id != report.boot_id:
        node_event(context, session, node, "rebooted")
    node.boot_id, node.agent_id = report.boot_id, report.agent_id
    inventory = _without_devices(report.inventory)
    if node.inventory != inventory or await _devices_differ(session, node, report.inventory):
        node.inventory = inventory
        node.cpu_milli = report.inventory.cpu_milli
        node.memory_bytes = report.inventory.memory_bytes
        await _replace_devices(session, node, report.inventory.devices)
        announce(session, f"node:{node.id}")
    await session.flush()


def _without_devices(inventory: NodeInventory) -> dict[str, Any]:
    described = asdict(inventory)
    del described["devices"]
    described["limits"] = list(inventory.limits)
    return described


async def _devices_differ(session: AsyncSession, node: NodeRow, inventory: NodeInventory) -> bool:
    rows = await session.scalars(select(DeviceRow).where(DeviceRow.node_id == node.id))
    known = {(row.kind, row.index): _described(row) for row in rows}
    told = {(device.kind, device.index): _described(device) for device in inventory.devices}
    return known != told


def _described(device: DeviceRow | DeviceInventory) -> tuple[object, ...]:
    return (
        device.model,
        device.memory_bytes,
        device.uuid,
        device.numa_node,
        device.simulated,
        device.link_group,
        device.profile,
    )


async def _replace_devices(
    session: AsyncSession, node: NodeRow, devices: Iterable[DeviceInventory]
) -> None:
    await session.execute(delete(DeviceRow).where(DeviceRow.node_id == node.id))
    for device in devices:
        session.add(
            DeviceRow(
                node_id=node.id,
                kind=device.kind,
                index=device.index,
                model=device.model,
                memory_bytes=device.memory_bytes,
                uuid=device.uuid,
                numa_node=device.numa_node,
                simulated=device.simulated,
                link_group=device.link_group,
                profile=device.profile,
            )
        )


async def _find_news(session: AsyncSession, node: NodeRow, report: NodeReport) -> _News:
    rows = await session.execute(
        select(TaskRow.id, TaskRow.workload_id, TaskRow.state).where(
            TaskRow.node_id == node.id, TaskRow.ended_at.is_(None)
        )
    )
    told = {task.task_id: task for task in report.tasks}
    news = _News()
    for task_id, workload_id, state in rows:
        task = told.get(task_id)
        if task is None:
            if state in _LIVE_ON_NODE and report.orders_revision > 0:
                news.missing.setdefault(workload_id, []).append(task_id)
        elif _tells_more(TaskState(state), task):
            news.reports.setdefault(workload_id, []).append(task)
    return news


def _tells_more(state: TaskState, report: TaskReport) -> bool:
    match report.phase:
        case "exited":
            return True
        case "running":
            return state in (TaskState.ASSIGNED, TaskState.STARTING)
        case _:
            return state is TaskState.ASSIGNED


async def _take_in(
    context: ServerContext,
    session: AsyncSession,
    node: NodeRow,
    workload_id: str,
    news: _News,
) -> None:
    """Apply the news on one workload's tasks, then see what becomes of it."""
    row = await lock_workload(session, workload_id)
    actor = f"node {node.name}"
    for report in news.reports.get(workload_id, ()):
        task = await _live_task(session, report.task_id)
        if task is not None:
            await _apply_report(context, session, row, task, report, actor)
    for task_id in news.missing.get(workload_id, ()):
        task = await _live_task(session, task_id)
        if task is not None and task.state in _LIVE_ON_NODE:
            reason = Reason(ReasonCode.SUPERVISOR_LOST, {"node": node.name})
            await end_task(
                context, session, row, task, TaskState.LOST, reason, exit_code=None, actor=actor
            )
    await supervise(context, session, row)
    announce_workload(session, row)


async def _live_task(session: AsyncSession, task_id: str) -> TaskRow | None:
    return await session.scalar(
        select(TaskRow)
        .where(TaskRow.id == task_id, TaskRow.ended_at.is_(None))
        .execution_options(populate_existing=True)
    )


async def _apply_report(
    context: ServerContext,
    session: AsyncSession,
    row: WorkloadRow,
    task: TaskRow,
    report: TaskReport,
    actor: str,
) -> None:
    if report.isolation:
        task.isolation = dict(report.isolation)
    if report.started_at is not None and task.started_at is None:
        task.started_at = datetime.fromtimestamp(report.started_at, UTC)
    if report.phase == "exited":
        if report.exit is None:
            raise InvalidInput(f"task {task.id} exited without a record", field="tasks")
        await _apply_exit(context, session, row, task, report.exit, actor)
        return
    state = TaskState(task.state)
    new = TaskState.RUNNING if report.phase == "running" else TaskState.STARTING
    if state is TaskState.STOPPING or state is new:
        return
    await set_task_state(session, row, task, new, now=context.clock.now(), actor=actor)
    if (
        new is TaskState.RUNNING
        and not WorkloadSpec.from_json(row.spec).role(task.role).ready_path
    ):
        task.ready_at = context.clock.now()


async def _apply_exit(
    context: ServerContext,
    session: AsyncSession,
    row: WorkloadRow,
    task: TaskRow,
    record: ExitRecord,
    actor: str,
) -> None:
    if record.started_at is not None:
        task.started_at = datetime.fromtimestamp(record.started_at, UTC)
    task.peak_memory_bytes = record.peak_memory_bytes
    task.cpu_s = record.cpu_s
    state, reason = outcome(task, record)
    await end_task(
        context, session, row, task, state, reason, exit_code=record.exit_code, actor=actor
    )


def outcome(task: TaskRow, record: ExitRecord) -> tuple[TaskState, Reason]:
    """What a task's end means: what stopped it on our order ended for the order's reason."""
    reason = reason_of(record)
    stopped = record.facts.get("stopped_by") == "order" or reason.code is ReasonCode.SIGNAL
    if task.stop_reason is not None and stopped:
        return TaskState.CANCELLED, Reason.from_json(task.stop_reason)
    if reason.code is ReasonCode.COMPLETED:
        return TaskState.SUCCEEDED, reason
    if reason.code in (ReasonCode.SUPERVISOR_LOST, ReasonCode.NODE_LOST):
        return TaskState.LOST, reason
    return TaskState.FAILED, reason


def reason_of(record: ExitRecord) -> Reason:
    """The reason that a record gives; one that this version does not know is quoted."""
    try:
        return Reason(ReasonCode(record.reason), dict(record.facts))
    except (ValueError, AssertionError):
        cause = f"its node says {record.reason!r} {record.facts}"
        return Reason(ReasonCode.START_FAILED, {"cause": cause})


def _check(node: str, report: NodeReport) -> None:
    check_name(node.lower(), "node")
    if report.protocol != PROTOCOL_VERSION:
        raise InvalidInput(
            f"node {node} speaks version {report.protocol} of the protocol, this server "
            f"{PROTOCOL_VERSION}",
            hint="Run the same version of Madang on both.",
        )


def node_event(
    context: ServerContext,
    session: AsyncSession,
    node: NodeRow,
    action: str,
    *,
    actor: str | None = None,
    reason: Reason | None = None,
) -> None:
    record_event(
        session,
        at=context.clock.now(),
        subject=node.id,
        action=action,
        actor=actor or f"node {node.name}",
        project_id=None,
        reason=reason,
    )
    announce(session, f"node:{node.id}")


async def live_tasks_of_node(session: AsyncSession, node_id: str) -> Sequence[tuple[str, str]]:
    """(task, workload) ids of what is live on a node, by workload."""
    rows = await session.execute(
        select(TaskRow.id, TaskRow.workload_id)
        .where(TaskRow.node_id == node_id, TaskRow.ended_at.is_(None))
        .order_by(TaskRow.workload_id, TaskRow.id)
    )
    return [(task_id, workload_id) for task_id, workload_id in rows]
