"""The planner's picture of the cluster, kept equal to the database."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import replace
from datetime import timedelta

from sqlalchemy import select

from madang.core.states import WorkloadState
from madang.scheduling import (
    Action,
    Asked,
    Began,
    Event,
    Held,
    Leaving,
    Limit,
    LimitSet,
    NodeGone,
    NodeSet,
    Planner,
    PolicySet,
    Queue,
    QueueGone,
    QueueSet,
    Released,
    Request,
    Reservation,
    Reserved,
    Resize,
    Running,
    Snapshot,
    Start,
    Unreserved,
    Wait,
    Withdrawn,
)
from madang.scheduling.migration import PERIOD_S
from madang.scheduling.why import Why
from madang.server.context import ServerContext
from madang.server.workloads.calendar import read_windows
from madang.server.workloads.cluster_settings import (
    read_limits,
    read_mix,
    read_moves,
    read_queues,
    read_usage,
)
from madang.server.workloads.node_rows import read_nodes
from madang.server.workloads.policy import read_policy
from madang.server.workloads.tables import AllocationRow, WorkloadRow
from madang.server.workloads.view_rows import (
    Rows,
    Standing,
    held_by,
    read_rows,
    settle_environment,
    standing_of,
)

TOPICS = ("workload:", "node:", "environment:", "queue:", "limit:", "reservation:", "policy:")
"""What the view follows on the bus."""

_ROWS_AT_ONCE = 500
_SETTINGS = frozenset({"queue", "limit", "reservation", "policy"})
_BY_WORK = frozenset({"shortest", "attained", "goodput"})
"""Orders that go by how far jobs are."""
_SAME_MOMENT_S = 5.0
"""A start is written down a little later than it was decided: that is no news."""


class ClusterView:
    """Reads rows, turns differences into events for the planner. One loop uses it."""

    def __init__(self, context: ServerContext) -> None:
        self._context = context
        self._planner = Planner()
        self._turn = asyncio.Lock()
        self._known: dict[str, Standing] = {}
        """By workload: how it stands, as the planner was told."""
        self._waits_for: dict[str, set[str]] = defaultdict(set)
        """By environment: workloads that wait until it is built."""
        self._queues: dict[str, Queue] = {}
        self._limits: dict[str, Limit] = {}
        self._windows: dict[str, Reservation] = {}

    async def load(self) -> None:
        """Forget everything; read the whole cluster and everything that lives."""
        self._planner = Planner()
        self._known.clear()
        self._waits_for.clear()
        now = self._context.clock.now()
        async with self._context.db.read() as session:
            self._queues = await read_queues(session)
            self._limits = await read_limits(session)
            self._windows = {window.id: window for window in await read_windows(session, now)}
            policy = await read_policy(session)
            since = now - timedelta(seconds=PERIOD_S)
            moved = await read_moves(session, since) if policy.migration_budget else ()
            snapshot = Snapshot(
                nodes=tuple(await read_nodes(session)),
                queues=tuple(self._queues.values()),
                limits=tuple(self._limits.values()),
                reservations=tuple(self._windows.values()),
                usage=await read_usage(session),
                policy=policy,
                mix=await read_mix(session),
                moved=moved,
            )
            live = set(
                await session.scalars(select(WorkloadRow.id).where(WorkloadRow.ended_at.is_(None)))
            )
            live.update(
                await session.scalars(
                    select(AllocationRow.workload_id).where(AllocationRow.until.is_(None))
                )
            )
        self._planner.load(snapshot)
        await self.reread(live)

    async def refresh(self, topics: Iterable[str]) -> None:
        """Read again what the topics name."""
        workloads: set[str] = set()
        nodes: set[str] = set()
        settings = False
        for topic in topics:
            what, _, name = topic.partition(":")
            if what == "workload":
                workloads.add(name)
            elif what == "environment":
                workloads |= self._waits_for.get(name, set())
            elif what in _SETTINGS:
                settings = True
            elif ":" not in name:  # `node:ID:orders` is for the node alone
                nodes.add(name)
        if nodes:
            await self._reread_nodes(sorted(nodes))
        if settings:
            await self._reread_settings()
        if workloads:
            await self.reread(workloads)

    async def reread(self, workload_ids: Collection[str]) -> None:
        """Bring the planner up to date about these workloads."""
        ordered = sorted(workload_ids)
        for position in range(0, len(ordered), _ROWS_AT_ONCE):
            await self._reread_some(ordered[position : position + _ROWS_AT_ONCE])

    async def plan(self) -> list[Action]:
        """Decide, off the event loop. What is decided counts as done from now on."""
        now = self._context.clock.now().timestamp()
        async with self._turn:
            actions = await asyncio.to_thread(self._planner.plan, now)
        for action in actions:
            if isinstance(action, Start):
                self._started(action, now)
            elif isinstance(action, Resize):
                self._resized(action)
        return [*self._restarts(), *actions]

    @property
    def held_keys(self) -> Iterable[str]:
        """Keys of all that the planner takes to be held."""
        return self._planner.held_keys

    def next_time_in_s(self) -> float | None:
        """Seconds until a plan may come out differently by itself."""
        at = self._planner.next_time()
        return None if at is None else max(0.0, at - self._context.clock.now().timestamp())

    def owner_of(self, request_id: str) -> str:
        """The workload that a request is for."""
        return request_id.partition(":")[0]

    def explain(self, workload_id: str) -> Wait | None:
        """Why a workload waits, as of the last plan; None while a plan is made."""
        if self._turn.locked():
            return None
        standing = self._known.get(workload_id)
        for request_id in standing.wanted if standing else ():
            if (wait := self._planner.explain(request_id)) is not None:
                return wait
        return None

    async def why(self, workload_id: str) -> Why | None:
        """Why a workload waits, with all that was counted; None when it waits for no place."""
        standing = self._known.get(workload_id)
        async with self._turn:
            for request_id in list(standing.wanted) if standing else ():
                if (found := await asyncio.to_thread(self._planner.why, request_id)) is not None:
                    return found
        return None

    async def preview(self, request: Request) -> Wait | None:
        """Why this would wait if it were asked for now; None when it would start."""
        now = self._context.clock.now().timestamp()
        async with self._turn:
            return await asyncio.to_thread(_preview, self._planner, request, now)

    # -- what is decided ----------------------------------------------------------------------

    def _started(self, start: Start, now: float) -> None:
        request = start.request
        standing = self._known.setdefault(request.owner, Standing())
        standing.wanted.pop(request.id, None)
        standing.running[request.id] = Running(replace(request, not_before=0.0), now, now)
        standing.held.update(held_by(start))

    def _resized(self, resize: Resize) -> None:
        standing = self._known.get(resize.owner)
        running = standing.running.get(resize.request_id) if standing else None
        if standing is not None and running is not None:
            standing.held.update(held_by(Start(running.request, resize.added)))

    def _restarts(self) -> list[Start]:
        """What has stopped to go on with other replicas, and can."""
        return [known.restart for known in self._known.values() if known.restart is not None]

    # -- reading ------------------------------------------------------------------------------

    async def _reread_nodes(self, node_ids: Sequence[str]) -> None:
        async with self._context.db.read() as session:
            nodes = {node.id: node for node in await read_nodes(session, node_ids)}
        self._planner.apply(
            NodeSet(nodes[node_id]) if node_id in nodes else NodeGone(node_id)
            for node_id in node_ids
        )

    async def _reread_settings(self) -> None:
        """Few and small: all of them, whichever has changed."""
        now = self._context.clock.now()
        async with self._context.db.read() as session:
            queues = await read_queues(session)
            limits = await read_limits(session)
            windows = {window.id: window for window in await read_windows(session, now)}
            policy = await read_policy(session)
        events: list[Event] = [PolicySet(policy)]
        events += [QueueSet(queue) for queue in queues.values()]
        events += [QueueGone(name) for name in sorted(self._queues.keys() - queues.keys())]
        events += [LimitSet(limit) for limit in limits.values()]
        events += [LimitSet(Limit(name)) for name in sorted(self._limits.keys() - limits.keys())]
        events += [Reserved(window) for window in windows.values()]
        events += [Unreserved(name) for name in sorted(self._windows.keys() - windows.keys())]
        self._queues, self._limits, self._windows = queues, limits, windows
        self._planner.apply(events)

    async def _reread_some(self, workload_ids: Sequence[str]) -> None:
        async with self._context.db.read() as session:
            rows = await read_rows(session, workload_ids)
            unknown = {row.queue_id for row in rows.workloads.values()} - self._queues.keys()
        if unknown:  # a project's first job has made its default queue
            await self._reread_settings()
        events: list[Event] = []
        for workload_id in workload_ids:
            self._follow_environment(rows, workload_id)
            events += self._news(workload_id, standing_of(rows, workload_id))
        self._planner.apply(events)
        for row in rows.workloads.values():
            environment = rows.unready.get(row.environment_id or "")
            if environment is None or row.ended_at is not None or row.stop is not None:
                continue
            async with self._context.db.transaction() as session:
                await settle_environment(self._context, session, row.id, environment)

    def _follow_environment(self, rows: Rows, workload_id: str) -> None:
        row = rows.workloads.get(workload_id)
        if row is None or not row.environment_id:
            return
        if WorkloadState(row.state).ended or row.environment_id not in rows.unready:
            self._waits_for.get(row.environment_id, set()).discard(row.id)
        else:
            self._waits_for[row.environment_id].add(row.id)

    def _news(self, workload_id: str, now: Standing) -> Iterator[Event]:
        """What the planner does not know yet of a workload."""
        known = self._known.get(workload_id, Standing())
        for key in sorted(known.held.keys() - now.held.keys()):
            yield Released(key)
        for name in sorted(known.wanted.keys() - now.wanted.keys()):
            yield Withdrawn(name)
        for name, running in now.running.items():
            before = known.running.get(name)
            if before is not None and (now.restart or self._same(before, running)):
                now.running[name] = before
            else:
                yield Began(running)
        for key, allocation in now.held.items():
            if known.held.get(key) != allocation:
                yield Held(allocation)
        for key in sorted(now.leaving - known.leaving):
            yield Leaving(key)
        for name, request in now.wanted.items():
            if known.wanted.get(name) != request:
                yield Asked(request)
        if now == Standing():
            self._known.pop(workload_id, None)
        else:
            self._known[workload_id] = now

    def _same(self, known: Running, told: Running) -> bool:
        """Whether what is told is nothing new. How far it is matters to few orders only, and each
        word of it has the planner look at everything again."""
        moments = ((known.since, told.since), (known.saved_at, told.saved_at))
        if any(abs(before - now) > _SAME_MOMENT_S for before, now in moments):
            return False
        queue = self._queues.get(told.request.queue)
        if queue is not None and queue.ordering in _BY_WORK:
            return _plain(known.request) == _plain(told.request)
        return replace(_plain(known.request), work=None) == replace(
            _plain(told.request), work=None
        )


def _preview(planner: Planner, request: Request, now: float) -> Wait | None:
    other = Planner()
    other.load(planner.snapshot(now))
    other.apply([Asked(request)])
    actions = other.plan(now, waits=False)
    if any(isinstance(one, Start) and one.request.id == request.id for one in actions):
        return None
    return other.explain(request.id)


def _plain(request: Request) -> Request:
    """What a request is once it runs: its backoff is over."""
    return replace(request, not_before=0.0)
