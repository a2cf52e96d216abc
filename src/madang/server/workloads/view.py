"""The planner's picture of the cluster, kept equal to the database."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Collection, Iterable, Sequence

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from madang.core.reasons import Reason, ReasonCode
from madang.core.states import WorkloadKind, WorkloadState
from madang.scheduling import (
    Allocation,
    Asked,
    Device,
    DeviceHold,
    Event,
    Held,
    Node,
    NodeGone,
    NodeSet,
    Planner,
    Released,
    Request,
    Start,
    Wait,
    Withdrawn,
)
from madang.server.cluster.tables import DeviceRow, NodeRow
from madang.server.context import ServerContext
from madang.server.environments.tables import EnvironmentRow
from madang.server.workloads.history import announce_workload, lock_workload
from madang.server.workloads.requests import wanted_requests
from madang.server.workloads.spec import WorkloadSpec
from madang.server.workloads.supervisor import ACTOR, supervise, view
from madang.server.workloads.tables import AllocationRow, QueueRow, TaskRow, WorkloadRow

_ROWS_AT_ONCE = 500


class ClusterView:
    """Reads rows, turns differences into events for the planner. One loop uses it."""

    def __init__(self, context: ServerContext) -> None:
        self._context = context
        self._planner = Planner()
        self._turn = asyncio.Lock()
        self._requests: dict[str, dict[str, Request]] = {}
        """By workload: what it asks for now."""
        self._keys: dict[str, set[str]] = defaultdict(set)
        """By workload: keys of what it holds."""
        self._waits_for: dict[str, set[str]] = defaultdict(set)
        """By environment: workloads that wait until it is built."""
        self._queues: dict[str, str] = {}

    async def load(self) -> None:
        """Forget everything; read all nodes and everything that lives."""
        self._planner = Planner()
        for known in (self._requests, self._keys, self._waits_for):
            known.clear()
        async with self._context.db.read() as session:
            nodes = list(await session.scalars(select(NodeRow.id)))
            live = list(
                await session.scalars(select(WorkloadRow.id).where(WorkloadRow.ended_at.is_(None)))
            )
            held = await session.scalars(
                select(AllocationRow.workload_id).where(AllocationRow.until.is_(None)).distinct()
            )
            live = sorted({*live, *held})
        await self._reread_nodes(nodes)
        await self.reread(live)

    async def refresh(self, topics: Iterable[str]) -> None:
        """Read again what the topics name."""
        workloads: set[str] = set()
        nodes: set[str] = set()
        for topic in topics:
            what, _, name = topic.partition(":")
            if what == "workload":
                workloads.add(name)
            elif what == "environment":
                workloads |= self._waits_for.get(name, set())
            elif ":" not in name:  # `node:ID:orders` is for the node alone
                nodes.add(name)
        if nodes:
            await self._reread_nodes(sorted(nodes))
        if workloads:
            await self.reread(workloads)

    async def reread(self, workload_ids: Collection[str]) -> None:
        """Bring the planner up to date about these workloads."""
        ordered = sorted(workload_ids)
        for position in range(0, len(ordered), _ROWS_AT_ONCE):
            await self._reread_some(ordered[position : position + _ROWS_AT_ONCE])

    async def plan(self) -> list[Start | Wait]:
        """Decide, off the event loop. Starts count as held from now on."""
        now = self._context.clock.now().timestamp()
        async with self._turn:
            actions = await asyncio.to_thread(self._planner.plan, now)
        for action in actions:
            if isinstance(action, Start):
                owner = action.request.owner
                self._requests.get(owner, {}).pop(action.request.id, None)
                for placement in action.placements:
                    key = f"{owner}/{placement.role}/{placement.replica}"
                    self._keys[owner].add(key)
        return actions

    def next_time_in_s(self) -> float | None:
        """Seconds until the next backoff ends."""
        at = self._planner.next_time()
        return None if at is None else max(0.0, at - self._context.clock.now().timestamp())

    def owner_of(self, request_id: str) -> str:
        """The workload that a request is for."""
        return request_id.partition(":")[0]

    def explain(self, workload_id: str) -> Wait | None:
        if self._turn.locked():
            return None
        for request_id in self._requests.get(workload_id, ()):
            if (wait := self._planner.explain(request_id)) is not None:
                return wait
        return None

    # -- reading ------------------------------------------------------------------------------

    async def _reread_nodes(self, node_ids: Sequence[str]) -> None:
        async with self._context.db.read() as session:
            rows = {
                row.id: row
                for row in await session.scalars(select(NodeRow).where(NodeRow.id.in_(node_ids)))
            }
            devices: dict[str, list[Device]] = defaultdict(list)
            for device in await session.scalars(
                select(DeviceRow).where(DeviceRow.node_id.in_(node_ids))
            ):
                described = Device(device.kind, device.index, device.model, device.memory_bytes)
                devices[device.node_id].append(described)
        self._planner.apply(
            NodeSet(_node(rows[node_id], devices[node_id]))
            if node_id in rows
            else NodeGone(node_id)
            for node_id in node_ids
        )

    async def _reread_some(self, workload_ids: Sequence[str]) -> None:
        async with self._context.db.read() as session:
            found = await session.scalars(
                select(WorkloadRow).where(WorkloadRow.id.in_(workload_ids))
            )
            rows = {row.id: row for row in found}
            tasks = await _newest_tasks(session, workload_ids)
            held = await _live_allocations(session, workload_ids)
            environments = await _unready_environments(session, rows.values())
            await self._learn_queues(session, rows.values())
        events: list[Event] = []
        for workload_id in workload_ids:
            events += self._holdings(workload_id, held.get(workload_id, {}))
            row = rows.get(workload_id)
            wanted = self._wanted(row, tasks[workload_id], environments) if row else []
            events += self._asking(workload_id, {request.id: request for request in wanted})
        self._planner.apply(events)
        await self._settle_environments(rows.values(), environments)

    def _wanted(
        self, row: WorkloadRow, tasks: list[TaskRow], unready: dict[str, EnvironmentRow]
    ) -> list[Request]:
        environment = row.environment_id or ""
        if WorkloadState(row.state).ended or environment not in unready:
            self._waits_for.get(environment, set()).discard(row.id)
        else:
            self._waits_for[environment].add(row.id)
            return []
        if WorkloadState(row.state).ended:
            return []
        if row.kind != WorkloadKind.SERVICE:
            tasks = [task for task in tasks if task.attempt == row.attempt]
        spec = WorkloadSpec.from_json(row.spec)
        views = [view(task) for task in tasks]
        return wanted_requests(row, spec, views, self._queues.get(row.queue_id, ""))

    def _holdings(self, workload_id: str, held: dict[str, Allocation]) -> list[Event]:
        known = self._keys[workload_id]
        events: list[Event] = [Released(key) for key in sorted(known - held.keys())]
        events += [Held(allocation) for allocation in held.values()]
        self._keys[workload_id] = set(held)
        if not held:
            del self._keys[workload_id]
        return events

    def _asking(self, workload_id: str, wanted: dict[str, Request]) -> list[Event]:
        known = self._requests.get(workload_id, {})
        events: list[Event] = [Withdrawn(name) for name in sorted(known.keys() - wanted.keys())]
        events += [Asked(request) for request in wanted.values()]
        if wanted:
            self._requests[workload_id] = wanted
        else:
            self._requests.pop(workload_id, None)
        return events

    async def _learn_queues(self, session: AsyncSession, rows: Iterable[WorkloadRow]) -> None:
        unknown = {row.queue_id for row in rows} - self._queues.keys()
        if unknown:
            found = await session.execute(
                select(QueueRow.id, QueueRow.name).where(QueueRow.id.in_(unknown))
            )
            self._queues.update({queue_id: name for queue_id, name in found})

    async def _settle_environments(
        self, rows: Iterable[WorkloadRow], unready: dict[str, EnvironmentRow]
    ) -> None:
        """Say that a workload waits for its environment; end it when that can't be built."""
        for row in rows:
            environment = unready.get(row.environment_id or "")
            if environment is None or row.ended_at is not None or row.stop is not None:
                continue
            async with self._context.db.transaction() as session:
                await _settle_environment(self._context, session, row.id, environment)


async def _settle_environment(
    context: ServerContext, session: AsyncSession, workload_id: str, environment: EnvironmentRow
) -> None:
    row = await lock_workload(session, workload_id)
    if row.ended_at is not None or row.stop is not None:
        return
    before = (row.state, row.reason)
    if environment.state == "failed":
        lines = (environment.error or "").strip().splitlines()
        cause = lines[-1] if lines else "it was not built"
        facts = {"environment": environment.ref, "cause": cause}
        failed = Reason(ReasonCode.ENVIRONMENT_FAILED, facts)
        row.stop = {"actor": ACTOR, "reason": failed.to_json()}
        await supervise(context, session, row)
    elif row.state == WorkloadState.PENDING:
        facts = {"environment": environment.ref}
        row.reason = Reason(ReasonCode.ENVIRONMENT_BUILDING, facts).to_json()
    if before != (row.state, row.reason):
        announce_workload(session, row)


async def _newest_tasks(
    session: AsyncSession, workload_ids: Sequence[str]
) -> dict[str, list[TaskRow]]:
    """Of each workload the newest task of each replica."""
    rows = await session.scalars(
        select(TaskRow)
        .where(TaskRow.workload_id.in_(workload_ids))
        .order_by(TaskRow.attempt, TaskRow.id)
    )
    newest: dict[str, dict[tuple[str, int], TaskRow]] = defaultdict(dict)
    for task in rows:
        newest[task.workload_id][task.role, task.replica] = task
    return {workload_id: list(newest[workload_id].values()) for workload_id in workload_ids}


async def _live_allocations(
    session: AsyncSession, workload_ids: Sequence[str]
) -> dict[str, dict[str, Allocation]]:
    rows = await session.scalars(
        select(AllocationRow).where(
            AllocationRow.workload_id.in_(workload_ids), AllocationRow.until.is_(None)
        )
    )
    held: dict[str, dict[str, Allocation]] = defaultdict(dict)
    for row in rows:
        key = f"{row.workload_id}/{row.role}/{row.replica}"
        devices = tuple(
            DeviceHold(share["kind"], share["index"], share["milli"], share["memory_bytes"])
            for share in row.devices
        )
        held[row.workload_id][key] = Allocation(
            key, row.node_id, row.cpu_milli, row.memory_bytes, devices
        )
    return held


async def _unready_environments(
    session: AsyncSession, rows: Iterable[WorkloadRow]
) -> dict[str, EnvironmentRow]:
    wanted = {row.environment_id for row in rows if row.environment_id and not row.ended_at}
    if not wanted:
        return {}
    found = await session.scalars(
        select(EnvironmentRow).where(
            EnvironmentRow.id.in_(wanted), EnvironmentRow.state != "ready"
        )
    )
    return {row.id: row for row in found}


def _node(row: NodeRow, devices: Iterable[Device]) -> Node:
    return Node(
        id=row.id,
        name=row.name,
        cpu_milli=row.cpu_milli,
        memory_bytes=row.memory_bytes,
        devices=tuple(sorted(devices, key=lambda device: (device.kind, device.index))),
        open=row.lost_at is None and row.cordoned_at is None,
    )
