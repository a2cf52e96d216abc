"""What there was, what was held and who waited over time, worked out from the ledger."""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import func, or_, select
from sqlalchemy.ext.asyncio import AsyncSession

from madang.core.amounts import scale_of
from madang.core.errors import InvalidInput
from madang.core.permissions import Permission
from madang.schemas.scheduling import (
    HistoryPoint,
    QueueHistory,
    QueuePoint,
    ResourceHistory,
    SchedulingHistory,
)
from madang.server.cluster.tables import NodeRow
from madang.server.context import ServerContext
from madang.server.identity.principal import Principal
from madang.server.workloads.queue_tree import QueueTree
from madang.server.workloads.queue_use import Capacity, amounts_of, read_capacity, read_tree
from madang.server.workloads.spec import WorkloadSpec
from madang.server.workloads.tables import AllocationRow, TaskRow, WorkloadRow

STEPS = 200
"""How many points there are, when nobody asks for another step."""

_MOST_STEPS = 2_000
_MOST_WORK = 200_000


@dataclass(frozen=True, slots=True)
class _Waited:
    """Something that waited: in which queue, from when until when (None: it still does)."""

    queue_id: str
    since: datetime
    until: datetime | None
    started: bool
    amounts: Counter[str]


class _Steps:
    """Sums over equal steps of time."""

    def __init__(self, since: datetime, until: datetime, step_s: float) -> None:
        self.since, self.step_s = since, step_s
        self.count = max(1, math.ceil((until - since).total_seconds() / step_s))
        self.until = until

    def at(self, number: int) -> datetime:
        return self.since + timedelta(seconds=number * self.step_s)

    def number_of(self, moment: datetime) -> int:
        position = (moment - self.since).total_seconds() / self.step_s
        return min(self.count - 1, max(0, int(position)))

    def length_s(self, number: int) -> float:
        """The last step may be cut short."""
        total_s = (self.until - self.since).total_seconds()
        return min(self.step_s, total_s - number * self.step_s)

    def spread(
        self, sums: list[float], since: datetime, until: datetime | None, amount: float
    ) -> None:
        """Add `amount` times the seconds that it lasted to each step that it touches."""
        begin = max(0.0, (since - self.since).total_seconds())
        end = min(
            (self.until - self.since).total_seconds(),
            ((until or self.until) - self.since).total_seconds(),
        )
        if end <= begin:
            return
        first, last = int(begin / self.step_s), min(self.count - 1, int(end / self.step_s))
        for number in range(first, last + 1):
            low, high = number * self.step_s, (number + 1) * self.step_s
            sums[number] += amount * max(0.0, min(end, high) - max(begin, low))

    def means(self, sums: Sequence[float]) -> list[float]:
        return [total / self.length_s(number) for number, total in enumerate(sums)]


async def read_history(
    context: ServerContext,
    principal: Principal,
    *,
    since: datetime,
    until: datetime,
    step_s: float | None,
) -> SchedulingHistory:
    """Raises InvalidInput for a time that is empty, or a step too small for it."""
    principal.require(Permission.SCHEDULING_READ)
    length_s = (until - since).total_seconds()
    if length_s <= 0:
        raise InvalidInput("the time asked for is empty", field="since")
    step_s = step_s or max(60.0, length_s / STEPS)
    if length_s / step_s > _MOST_STEPS:
        raise InvalidInput(
            f"steps of {step_s:g} s are too small for so long a time",
            field="step",
            hint=f"Use at least {math.ceil(length_s / _MOST_STEPS)} s.",
        )
    async with context.db.read() as session:
        tree, capacity = await read_tree(session), await read_capacity(session)
        held = await _held(session, since, until)
        waited = await _waited(session, since, until)
        there = await _there(session, capacity)
    visible = principal.visible_projects
    busy = {row.queue_id for row, _ in held} | {one.queue_id for one in waited}
    shown = {
        row.id
        for queue_id in busy & tree.rows.keys()
        for row in tree.upward(queue_id)
        if visible is None or row.project_id is None or row.project_id in visible
    }
    steps = _Steps(since, until, step_s)
    names = [name for name in sorted(capacity.amounts) if "/" not in name or _is_mixed(capacity)]
    return SchedulingHistory(
        since=since,
        until=until,
        step_s=step_s,
        resources=[_resource(name, steps, capacity, held, waited, there) for name in names],
        queues=[_queue(tree, queue_id, steps, held, waited) for queue_id in sorted(shown)],
    )


def _is_mixed(capacity: Capacity) -> bool:
    return len({model for model in capacity.models.values()}) > 1


async def _held(
    session: AsyncSession, since: datetime, until: datetime
) -> list[tuple[AllocationRow, Counter[str]]]:
    capacity = await read_capacity(session)
    rows = await session.scalars(
        select(AllocationRow)
        .where(
            or_(AllocationRow.until.is_(None), AllocationRow.until > since),
            AllocationRow.since < until,
        )
        .limit(_MOST_WORK)
    )
    return [(row, amounts_of(row, capacity.models)) for row in rows]


async def _waited(session: AsyncSession, since: datetime, until: datetime) -> list[_Waited]:
    """From its submission to its first task; later waits (after a preemption) are not shown."""
    first = (
        select(TaskRow.workload_id, func.min(TaskRow.created_at).label("at"))
        .group_by(TaskRow.workload_id)
        .subquery()
    )
    rows = await session.execute(
        select(WorkloadRow, first.c.at)
        .outerjoin(first, first.c.workload_id == WorkloadRow.id)
        .where(
            or_(WorkloadRow.ended_at.is_(None), WorkloadRow.ended_at > since),
            WorkloadRow.created_at < until,
        )
        .limit(_MOST_WORK)
    )
    found = []
    for row, at in rows:
        role = WorkloadSpec.from_json(row.spec).roles[0]
        need = role.resources
        amounts = Counter({"cpu": need.cpu_milli, "memory": need.memory_bytes})
        if need.device_kind:
            amounts[need.device_kind] = need.device_milli
        for name in amounts:
            amounts[name] *= role.replicas_min
        end = at or row.ended_at
        found.append(_Waited(row.queue_id, row.created_at, end, at is not None, amounts))
    return found


async def _there(session: AsyncSession, capacity: Capacity) -> list[tuple[datetime, Counter[str]]]:
    """What each node has, and since when it was there."""
    devices: dict[str, Counter[str]] = defaultdict(Counter)
    for (node_id, kind, _), model in capacity.models.items():
        devices[node_id].update({kind: 1000, f"{kind}/{model}": 1000})
    found = []
    for node in await session.scalars(select(NodeRow)):
        amounts = Counter({"cpu": node.cpu_milli, "memory": node.memory_bytes, **node.counted})
        found.append((node.created_at, amounts + devices[node.id]))
    return found


def _resource(
    name: str,
    steps: _Steps,
    capacity: Capacity,
    held: Iterable[tuple[AllocationRow, Counter[str]]],
    waited: Iterable[_Waited],
    there: Iterable[tuple[datetime, Counter[str]]],
) -> ResourceHistory:
    scale = scale_of(name, capacity.kinds)
    had, used, waiting = ([0.0] * steps.count for _ in range(3))
    for joined, amounts in there:
        steps.spread(had, joined, None, amounts[name] / scale)
    for row, amounts in held:
        steps.spread(used, row.since, row.until, amounts[name] / scale)
    for one in waited:
        steps.spread(waiting, one.since, one.until, one.amounts[name] / scale)
    usual = "devices" if name in capacity.kinds else ""
    unit = {"memory": "bytes", "cpu": "CPUs"}.get(name, usual)
    means = zip(steps.means(had), steps.means(used), steps.means(waiting), strict=True)
    points = [HistoryPoint(steps.at(number), *values) for number, values in enumerate(means)]
    return ResourceHistory(name, unit, points)


def _queue(
    tree: QueueTree,
    queue_id: str,
    steps: _Steps,
    held: Iterable[tuple[AllocationRow, Counter[str]]],
    waited: Iterable[_Waited],
) -> QueueHistory:
    below = {other for other in tree.rows if any(r.id == queue_id for r in tree.upward(other))}
    used, waiting = [0.0] * steps.count, [0.0] * steps.count
    waits: dict[int, list[float]] = defaultdict(list)
    for row, _ in held:
        if row.queue_id in below:
            devices = sum(share["milli"] for share in row.devices) / 1000
            steps.spread(used, row.since, row.until, devices)
    for one in waited:
        if one.queue_id not in below:
            continue
        steps.spread(waiting, one.since, one.until, 1.0)
        if one.started and one.until is not None and steps.since <= one.until < steps.until:
            waits[steps.number_of(one.until)].append((one.until - one.since).total_seconds())
    everything = [wait for some in waits.values() for wait in some]
    means = zip(steps.means(used), steps.means(waiting), strict=True)
    return QueueHistory(
        queue=queue_id,
        name=tree.path(queue_id),
        started=len(everything),
        p50_wait_s=percentile(everything, 50),
        p90_wait_s=percentile(everything, 90),
        p99_wait_s=percentile(everything, 99),
        points=[
            QueuePoint(
                at=steps.at(number),
                used=mean_used,
                waiting=mean_waiting,
                started=len(waits[number]),
                p50_wait_s=percentile(waits[number], 50),
                p90_wait_s=percentile(waits[number], 90),
            )
            for number, (mean_used, mean_waiting) in enumerate(means)
        ],
    )


def percentile(values: Sequence[float], percent: float) -> float | None:
    """The nearest rank; None of nothing."""
    if not values:
        return None
    return sorted(values)[max(0, math.ceil(len(values) * percent / 100) - 1)]
