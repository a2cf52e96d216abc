"""Carrying out what the planner decided: tasks, ledger rows and orders, all in one transaction."""

from __future__ import annotations

import asyncio
import errno
from collections.abc import Sequence
from dataclasses import dataclass, replace

import structlog
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from madang.core.errors import MadangError, Unavailable
from madang.core.ids import new_id
from madang.core.reasons import Reason, ReasonCode
from madang.core.states import TaskState, WorkloadKind, WorkloadState
from madang.scheduling import Placement, Start
from madang.server.cluster.codec import to_json
from madang.server.cluster.protocol import DeviceShare
from madang.server.cluster.tables import DeviceRow, NodeRow
from madang.server.context import ServerContext
from madang.server.db.engine import announce
from madang.server.identity.os_users import task_user
from madang.server.identity.tables import ProjectRow
from madang.server.workloads.decisions import failures_in_a_row
from madang.server.workloads.fence import Fence
from madang.server.workloads.history import lock_workload, set_task_state, set_workload_state
from madang.server.workloads.inputs import ResolvedInputs
from madang.server.workloads.places import make_checkpoint_folder
from madang.server.workloads.requests import wanted_requests
from madang.server.workloads.resizes import may_run_at
from madang.server.workloads.spec import WorkloadSpec
from madang.server.workloads.supervisor import current_tasks, supervise, view
from madang.server.workloads.tables import AllocationRow, TaskRow, TaskSpecRow, WorkloadRow
from madang.server.workloads.task_specs import (
    LOOPBACK,
    Gang,
    Member,
    members_of,
    task_spec,
)

log = structlog.get_logger()

ACTOR = "scheduler"

MASTER_PORTS = range(28_100, 29_400)
"""Ports for the first task of a gang to be met at: one of its node's that no live task has. Below
those that shims take for their relays."""


class Refused(Exception):
    """The decision is out of date: the workload or a node is no longer as the planner knew it."""


@dataclass(frozen=True, slots=True)
class _Machines:
    nodes: dict[str, NodeRow]
    simulated: frozenset[tuple[str, str, int]]


async def carry_out(
    context: ServerContext, starts: Sequence[Start], fence: Fence | None = None
) -> None:
    """Write the starts down and order them. One that is out of date is passed over: the planner
    has to be told again how its workload stands. Raises Unavailable when a disk is full or the
    database does not answer; nothing is written then."""
    async with context.db.transaction() as session:
        if fence is not None:
            await fence.check(session)
        machines = await _machines(session, starts)
        for start in sorted(starts, key=lambda start: start.request.owner):
            try:
                await _start(context, session, start, machines)
            except Refused:
                await _ask_again(session, start.request.owner)
            except Unavailable:
                raise  # it is no fault of the workload's, and passes
            except (MadangError, OSError, ValueError) as error:
                if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
                    raise Unavailable("the disk for checkpoints is full") from error
                # Nothing was written for it yet; it must not hold the others up.
                await _give_up(context, session, start.request.owner, error)


async def _start(
    context: ServerContext, session: AsyncSession, start: Start, machines: _Machines
) -> None:
    row = await lock_workload(session, start.request.owner)
    earlier = await current_tasks(session, row)
    spec = WorkloadSpec.from_json(row.spec)
    wanted = wanted_requests(row, spec, [view(task) for task in earlier])
    if all(request.id != start.request.id for request in wanted):
        raise Refused(start.request.id)
    if row.kind != WorkloadKind.SERVICE and not may_run_at(spec, start.placements):
        raise Refused(start.request.id)
    nodes = [machines.nodes.get(placement.node_id) for placement in start.placements]
    if any(node is None or node.lost_at or node.cordoned_at for node in nodes):
        raise Refused(start.request.id)
    gang = await _gang(context, session, row, spec, start, machines, earlier)
    shares = [_shares(placement, machines) for placement in start.placements]
    task_ids = [new_id("task") for _ in start.placements]
    members = members_of(spec, start.placements, task_ids, shares)
    if gang.kind is not WorkloadKind.SERVICE:
        await asyncio.to_thread(make_checkpoint_folder, context, row.id, gang.user)
    for member in members:
        await _add_task(context, session, row, gang, member, machines, earlier)
    if row.state == WorkloadState.PENDING:
        names = sorted({machines.nodes[p.node_id].name for p in start.placements})
        await set_workload_state(
            session,
            row,
            WorkloadState.STARTING,
            now=context.clock.now(),
            actor=ACTOR,
            reason=Reason(ReasonCode.STARTING, {"node": ", ".join(names)}),
        )
    row.not_before = row.resize = row.expected_start = None
    await supervise(context, session, row)


async def _ask_again(session: AsyncSession, workload_id: str) -> None:
    """What was to go on at certain places waits for others, if these can't be had."""
    row = await lock_workload(session, workload_id)
    if row.resize is not None and row.state == WorkloadState.PENDING:
        row.resize = None
    announce(session, f"workload:{workload_id}")


async def _give_up(
    context: ServerContext, session: AsyncSession, workload_id: str, error: Exception
) -> None:
    log.error("a workload can't be started", workload=workload_id, error=str(error))
    row = await lock_workload(session, workload_id)
    reason = Reason(ReasonCode.START_FAILED, {"cause": str(error)})
    row.stop = {"actor": ACTOR, "reason": reason.to_json()}
    await supervise(context, session, row)


async def _add_task(
    context: ServerContext,
    session: AsyncSession,
    row: WorkloadRow,
    gang: Gang,
    member: Member,
    machines: _Machines,
    earlier: Sequence[TaskRow],
) -> None:
    placement = member.placement
    now = context.clock.now()
    role = gang.spec.role(placement.role)
    app_socket = context.paths.app_socket(member.task_id) if role.app_port else ""
    task = TaskRow(
        id=member.task_id,
        workload_id=row.id,
        attempt=gang.attempt,
        role=placement.role,
        replica=placement.replica,
        rank=member.rank,
        node_id=placement.node_id,
        created_at=now,
        failures=_failures_before(earlier, placement),
        app_socket=str(app_socket),
    )
    session.add(task)
    await session.flush()
    session.add(TaskSpecRow(task_id=task.id, spec=to_json(task_spec(context, gang, member))))
    session.add(
        AllocationRow(
            id=new_id("alloc"),
            task_id=task.id,
            workload_id=row.id,
            project_id=row.project_id,
            user_id=row.user_id,
            queue_id=row.queue_id,
            node_id=placement.node_id,
            role=placement.role,
            replica=placement.replica,
            cpu_milli=role.resources.cpu_milli,
            memory_bytes=role.resources.memory_bytes,
            devices=[to_json(share) for share in member.devices],
            counted=dict(role.resources.counted),
            ports=[gang.master_port] if member.rank == 0 else [],
            since=now,
        )
    )
    node = machines.nodes[placement.node_id].name
    await set_task_state(
        session,
        row,
        task,
        TaskState.ASSIGNED,
        now=now,
        actor=ACTOR,
        reason=Reason(ReasonCode.STARTING, {"node": node}),
    )
    announce(session, f"node:{placement.node_id}:orders")


async def _gang(
    context: ServerContext,
    session: AsyncSession,
    row: WorkloadRow,
    spec: WorkloadSpec,
    start: Start,
    machines: _Machines,
    earlier: Sequence[TaskRow],
) -> Gang:
    inputs = ResolvedInputs.from_json(row.inputs)
    kind = WorkloadKind(row.kind)
    project = await session.get_one(ProjectRow, row.project_id)
    first = start.placements[0].node_id
    several_nodes = len({placement.node_id for placement in start.placements}) > 1
    address = str(machines.nodes[first].inventory["hostname"]) if several_nodes else LOOPBACK
    attempt = row.attempt
    if kind is WorkloadKind.SERVICE:
        attempt = 1 + max(
            (task.attempt for task in earlier if _same_replica(task, start.placements[0])),
            default=0,
        )
    user = await task_user(context, session, row.user_id)
    return Gang(
        workload_id=row.id,
        kind=kind,
        attempt=attempt,
        project=project.name,
        user=replace(user, gids=tuple(sorted({*user.gids, *inputs.gids}))),
        spec=spec,
        inputs=inputs,
        sandbox=str(machines.nodes[first].inventory["sandbox"]),
        master_address=address,
        master_port=await _free_port(session, first),
        world_size=len(start.placements),
    )


async def _free_port(session: AsyncSession, node_id: str) -> int:
    rows = await session.scalars(
        select(AllocationRow.ports).where(
            AllocationRow.node_id == node_id, AllocationRow.until.is_(None)
        )
    )
    taken = {port for ports in rows for port in ports}
    return next((port for port in MASTER_PORTS if port not in taken), MASTER_PORTS[0])


async def _machines(session: AsyncSession, starts: Sequence[Start]) -> _Machines:
    ids = {placement.node_id for start in starts for placement in start.placements}
    nodes = await session.scalars(select(NodeRow).where(NodeRow.id.in_(ids)))
    devices = await session.scalars(
        select(DeviceRow).where(DeviceRow.node_id.in_(ids), DeviceRow.simulated.is_(True))
    )
    return _Machines(
        {node.id: node for node in nodes},
        frozenset((device.node_id, device.kind, device.index) for device in devices),
    )


def _shares(placement: Placement, machines: _Machines) -> tuple[DeviceShare, ...]:
    return tuple(
        DeviceShare(
            index=hold.index,
            kind=hold.kind,
            milli=hold.milli,
            memory_bytes=hold.memory_bytes,
            simulated=(placement.node_id, hold.kind, hold.index) in machines.simulated,
        )
        for hold in placement.devices
    )


def _failures_before(earlier: Sequence[TaskRow], placement: Placement) -> int:
    for task in earlier:
        if _same_replica(task, placement) and task.ended_at is not None:
            return failures_in_a_row(view(task))
    return 0


def _same_replica(task: TaskRow, placement: Placement) -> bool:
    return (task.role, task.replica) == (placement.role, placement.replica)
