"""A round of a queue that shares in time: what its policy decides, turned into actions.

A policy decides over whole GPUs of nodes. It is asked for the requests that have one group of
replicas with whole GPUs, apart for each kind of GPU and place that they may use. Others (several
groups, shares of a GPU, no GPU) start when there is room, in their order, and are never stopped.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache

from madang.core.resources import MILLI, Resources
from madang.scheduling.model import (
    Allocation,
    Group,
    Kept,
    Migrate,
    Placement,
    Preempt,
    Request,
    Resize,
    Running,
    Start,
    Where,
    Work,
)
from madang.scheduling.placement import Cluster, place
from madang.scheduling.timeshare import attained, shortest
from madang.scheduling.timeshare.elastic import ElasticPolicy
from madang.scheduling.timeshare.jobs import Job, Policy, Spread
from madang.scheduling.timeshare.remaining import attained_s, expected_s
from madang.scheduling.timeshare.rigid import RigidPolicy

POLICIES: dict[str, Policy] = {
    "shortest": RigidPolicy(shortest.ranking, expected_s),
    "attained": RigidPolicy(attained.ranking, attained_s),
    "goodput": ElasticPolicy(),
}
"""By the name that `Queue.ordering` has."""


@dataclass(frozen=True, slots=True)
class View:
    """One queue at the time of its round. waiting: what may start now, without what places are
    kept for. running: without what is being stopped or moved. held: what those who run hold.
    budget_milli: thousandths of accelerators that the queue may hold in all; None: no bound.
    preemption: whether anything may be stopped for others."""

    ordering: str
    waiting: Sequence[Request]
    running: Sequence[Running]
    held: Mapping[str, Sequence[Allocation]]
    cluster: Cluster
    budget_milli: int | None = None
    preemption: bool = True


@dataclass(frozen=True, slots=True)
class Round:
    """What to do now, and the places that are kept for those who start when others have left."""

    actions: tuple[Start | Preempt | Migrate | Resize, ...] = ()
    kept: tuple[Kept, ...] = ()


Market = tuple[Resources, Where]
"""One whole device of a kind, and where: what jobs compete for."""


@dataclass(slots=True)
class _Member:
    """A request that a policy decides over."""

    request: Request
    group: Group
    unit: int
    running: Running | None = None
    allocations: list[Allocation] = field(default_factory=list)
    spread: Spread = ()


def plan_round(view: View, now: float) -> Round:
    """Decide who runs where from now on. Changes nothing of what it is given."""
    markets: dict[Market, list[_Member]] = {}
    others: list[Request] = []
    left = _Budget(view.budget_milli)
    for member, market in _members(view, others, left):
        markets.setdefault(market, []).append(member)
    cluster = view.cluster
    actions: list[Start | Preempt | Migrate | Resize] = []
    kept: list[Kept] = []
    for market in sorted(markets, key=repr):
        members = markets[market]
        change = _decide(view, market, members, cluster, left, now)
        if change is not None:
            cluster = change.cluster
            actions += change.actions
            kept += change.kept
    actions += _ordinary(others, cluster, left)
    return Round(tuple(actions), tuple(kept))


class _Budget:
    """Thousandths of accelerators that the queue may still take."""

    def __init__(self, milli: int | None) -> None:
        self.milli = milli

    def spend(self, milli: int) -> None:
        if self.milli is not None:
            self.milli -= milli

    def gpus(self, own: int) -> int | None:
        return None if self.milli is None else max(0, self.milli // MILLI) + own


def _members(
    view: View, others: list[Request], budget: _Budget
) -> Iterable[tuple[_Member, Market]]:
    for running in view.running:
        request = running.request
        allocations = list(view.held.get(request.id, ()))
        if len(allocations) > 1:
            # by number: keys of one group differ in nothing else
            allocations.sort(key=lambda one: (len(one.key), one.key))
        if budget.milli is not None:
            budget.spend(sum(hold.milli for one in allocations for hold in one.devices))
        judged = _judged(request)
        if judged is not None and request.preemptible and view.preemption and allocations:
            member, market = judged
            member.running, member.allocations = running, allocations
            yield member, market
    for request in view.waiting:
        judged = _judged(request)
        if judged is None:
            others.append(request)
        else:
            yield judged


def _judged(request: Request) -> tuple[_Member, Market] | None:
    """What a policy can decide over: replicas of one group, of whole devices each."""
    if len(request.groups) != 1:
        return None
    group = request.groups[0]
    need = group.resources
    if need.device_milli < MILLI or need.device_milli % MILLI or need.device_memory_bytes:
        return None
    if group.where.together or group.where.apart or need.counted:
        return None
    return _Member(request, group, need.device_milli // MILLI), (_device(need), group.where)


@lru_cache(maxsize=256)
def _device(need: Resources) -> Resources:
    """One whole device of those that are asked for."""
    return Resources(
        cpu_milli=0,
        memory_bytes=0,
        device_kind=need.device_kind,
        device_milli=MILLI,
        device_models=need.device_models,
        device_profile=need.device_profile,
    )


@dataclass(slots=True)
class _Change:
    """What one market's decision comes to; cluster: what is free when all of it is done."""

    cluster: Cluster
    actions: list[Start | Preempt | Migrate | Resize] = field(default_factory=list)
    kept: list[Kept] = field(default_factory=list)


def _decide(
    view: View,
    market: Market,
    members: list[_Member],
    cluster: Cluster,
    budget: _Budget,
    now: float,
) -> _Change | None:
    """The policy's decision as actions; None when nothing changes. If not all of it can be done
    (CPUs or memory of a node are short), those who run stay and only others start."""
    device, where = market
    rooms = cluster.most_by_row(device, where, empty=False).tolist()
    node_ids = [node.id if node is not None else "" for node in cluster.free().nodes]
    rows = {node_id: row for row, node_id in enumerate(node_ids)}
    open_rows = cluster.free().space.open.tolist()
    staying: list[_Member] = []
    for member in members:
        if member.running is None:
            staying.append(member)
            continue
        member.spread = _spread(member, rows)
        if all(open_rows[row] for row, _ in member.spread):
            staying.append(member)
            for row, gpus in member.spread:
                rooms[row] += gpus
    staying.sort(key=lambda member: (member.request.submitted_at, member.request.order))
    for movable in (True, False):
        jobs = [_job(member, now, movable) for member in staying]
        own = sum(job.held for job in jobs)
        decided = POLICIES[view.ordering].decide(jobs, rooms, now, budget.gpus(own))
        changed = [one for one in staying if decided.get(one.request.id, ()) != one.spread]
        if not changed:
            return None
        change = _realise(changed, decided, node_ids, cluster, now, strict=movable)
        if change is not None:
            gained = sum(gpus for spread in decided.values() for _, gpus in spread) - own
            budget.spend(gained * MILLI)
            return change
    return None


def _spread(member: _Member, rows: Mapping[str, int]) -> Spread:
    """Where it is, in the order of its replicas; one entry for neighbours on one node."""
    spread: list[tuple[int, int]] = []
    for allocation in member.allocations:
        row = rows[allocation.node_id]
        if spread and spread[-1][0] == row:
            spread[-1] = row, spread[-1][1] + member.unit
        else:
            spread.append((row, member.unit))
    return tuple(spread)


def _job(member: _Member, now: float, movable: bool) -> Job:
    request, group, unit = member.request, member.group, member.unit
    work = request.work
    silent = work is None
    held = sum(gpus for _, gpus in member.spread)
    if work is None:
        had_s = (now - member.running.since) * held if member.running else 0.0
        work = Work(attained_gpu_s=had_s)
    return Job(
        id=request.id,
        order=(request.submitted_at, float(request.order)),
        smallest=group.replicas_min * unit,
        largest=group.replicas_max * unit,
        work=work,
        priority=request.priority,
        submitted_at=request.submitted_at,
        holds=member.spread,
        fixed=not movable,
        unit=unit,
        silent=silent,
    )


def _realise(
    changed: Sequence[_Member],
    decided: Mapping[str, Spread],
    node_ids: Sequence[str],
    cluster: Cluster,
    now: float,
    *,
    strict: bool,
) -> _Change | None:
    """Who leaves, who goes where. strict: None when a place lacks something else than GPUs;
    otherwise who has no place there waits."""
    change = _Change(cluster.copy())
    leaving: dict[str, list[str]] = {}
    for member in changed:
        for allocation in member.allocations:
            leaving.setdefault(allocation.node_id, []).append(allocation.key)
            change.cluster.give(allocation.node_id, member.group.resources, allocation.devices)
    arriving: list[tuple[_Member, tuple[Placement, ...], tuple[str, ...]]] = []
    for member in changed:
        spread = decided.get(member.request.id, ())
        placements = _placements(member, spread, node_ids, change.cluster)
        if placements is None:
            if strict:
                return None
            continue
        if placements:
            nodes = {placement.node_id for placement in placements}
            until = [key for node_id in sorted(nodes) for key in leaving.get(node_id, ())]
            until += [one.key for one in member.allocations if one.key not in until]
            arriving.append((member, placements, tuple(until)))
    for member in changed:
        if member.running is not None and not decided.get(member.request.id):
            change.actions.append(_preempt(member, arriving, now))
    for member, placements, keys in arriving:
        request = member.request
        if member.running is not None:
            gained = f"{len(placements) * member.unit} GPU"
            change.actions.append(Migrate(request.id, request.owner, placements, gained))
        if keys:
            change.kept.append(Kept(request.id, placements, keys))
        else:
            change.actions.append(Start(request, placements))
    return change


def _placements(
    member: _Member, spread: Spread, node_ids: Sequence[str], cluster: Cluster
) -> tuple[Placement, ...] | None:
    """Replicas and their devices, taken from `cluster`; None when they don't fit."""
    group = member.group
    found: list[Placement] = []
    for row, gpus in spread:
        for _ in range(gpus // member.unit):
            devices = cluster.fit(node_ids[row], group.resources)
            if devices is None:
                for placed in found:
                    cluster.give(placed.node_id, group.resources, placed.devices)
                return None
            cluster.take(node_ids[row], group.resources, devices)
            number = group.first + len(found)
            found.append(Placement(group.role, number, node_ids[row], devices))
    return tuple(found)


def _preempt(
    member: _Member,
    arriving: Sequence[tuple[_Member, tuple[Placement, ...], tuple[str, ...]]],
    now: float,
) -> Preempt:
    """For the first of those who come to where it is."""
    assert member.running is not None
    keys = {allocation.key for allocation in member.allocations}
    winners = [(other, p) for other, p, until in arriving if not keys.isdisjoint(until)]
    winner, gained = "", ""
    if winners:
        other, placements = winners[0]
        winner, gained = other.request.id, f"{len(placements) * other.unit} GPU"
    since = max(member.running.since, member.running.saved_at)
    lost_s = max(0.0, now - since) * len(member.allocations)
    return Preempt(member.request.id, member.request.owner, winner, gained, lost_s)


def _ordinary(waiting: Iterable[Request], cluster: Cluster, budget: _Budget) -> list[Start]:
    """Starts of those that no policy decides over, in their order, where there is room."""
    starts = []
    spare = cluster.copy()
    for request in waiting:
        milli = sum(g.replicas_min * g.resources.device_milli for g in request.groups)
        if budget.milli is not None and milli > budget.milli:
            continue
        attempt = place(request.groups, spare, request.work)
        if attempt.complete:
            budget.spend(milli)
            starts.append(Start(request, attempt.placements))
    return starts
