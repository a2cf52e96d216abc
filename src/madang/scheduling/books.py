"""The books of the planner: nodes, what is held of them, who runs, who waits, and the sums.

Sums (of queues, users, projects) are always those of the live allocations: they are exact, change
with each allocation, and are counted anew when queues, limits or nodes change.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from madang.core.resources import Resources
from madang.scheduling import sums
from madang.scheduling.backfill import Release, Releases
from madang.scheduling.limits import Limits
from madang.scheduling.line import Shape
from madang.scheduling.model import (
    Allocation,
    Amounts,
    Kept,
    Node,
    Placement,
    Policy,
    Request,
    Reservation,
    Snapshot,
)
from madang.scheduling.placement import Cluster
from madang.scheduling.queues import QueueNode, QueueTree
from madang.scheduling.room import Room
from madang.scheduling.runs import Run, Runs, end_at
from madang.scheduling.sums import Meter


class Books:
    """What there is, and what it adds up to. Changed by `Ledger` alone."""

    def __init__(self) -> None:
        self.now = float("-inf")
        self.policy = Policy()
        self.cluster = Cluster(self.policy)
        self.nodes: dict[str, Node] = {}
        self.kinds: set[str] = set()
        self.held: dict[str, Allocation] = {}
        self._held_on: dict[str, dict[str, Allocation]] = {}
        self.runs = Runs()
        self.requests: dict[str, Request] = {}
        self._delayed: list[tuple[float, str]] = []
        self._woken: set[str] = set()
        self.tree = QueueTree()
        self.limits = Limits()
        self.meter = Meter()
        self.reservations: dict[str, Reservation] = {}
        self.kept: dict[str, Kept] = {}
        self.kept_for: dict[str, Request] = {}
        """The requests of those, as they were then; some still run elsewhere."""
        self.moved: dict[str, float] = {}
        """By request: when it was moved to make room for another."""
        self.releases: Releases | None = None
        self.version = 0
        """Of nodes, of what is held and kept of them, of who runs, and of queues."""
        self.changed = True
        self.loosened = True
        """Something that could not start may be able to now."""
        self._queues_changed = False
        self._sums_changed = False
        self._nodes_changed = False

    # -- what it adds up to -----------------------------------------------------------------------

    def may_have(
        self, leaf: QueueNode, request: Request, amounts: Amounts, *, lending: bool = True
    ) -> bool:
        """Whether queues and limits allow a request to hold this."""
        if self.limits.spent(request.user, request.project, amounts) is not None:
            return False
        returnable = request.preemptible
        return self.tree.full(leaf, amounts, returnable=returnable, lending=lending) is None

    def amounts_of(self, groups: Shape, placements: Iterable[Placement]) -> Amounts:
        """What replicas count for at these places."""
        needs = {group.role: group.resources for group in groups}
        total: dict[str, int] = {}
        for place in placements:
            node = self.nodes[place.node_id]
            sums.add(total, self.meter.replica(needs[place.role], place.devices, node))
        return sums.amounts_of(total)

    def shift_sums(self, run: Run, amounts: Amounts, sign: int, *, planned: bool = True) -> None:
        """For a what-if: sums as if a run held so much more, or less; to be taken back."""
        request = run.request
        leaf = self.tree.leaf(request.queue)
        self.tree.charge(leaf, request.user, amounts, sign, planned=planned)
        self.limits.charge(request.user, request.project, amounts, sign)

    def _charge(self, run: Run, amounts: Amounts, sign: int, *, planned: bool = True) -> None:
        request = run.request
        leaf = self.tree.leaf(request.queue)
        self.tree.charge(leaf, request.user, amounts, sign, planned=planned)
        self.limits.charge(request.user, request.project, amounts, sign)
        milli = sum(amount for name, amount in amounts if name in self.kinds)
        if milli:
            self.tree.usage.hold(request.user, sign * milli)
            self.tree.usage.hold(request.queue, sign * milli)

    def _plan_for(self, kept: Kept, sign: int) -> None:
        """Sums in which the request has its places already."""
        request = self.kept_for[kept.request_id]
        amounts = self.amounts_of(request.groups, kept.placements)
        leaf = self.tree.leaf(request.queue)
        self.tree.charge(leaf, request.user, amounts, sign, live=False)
        self.limits.charge(request.user, request.project, amounts, sign)
        self.limits.count(request.user, request.project, sign)

    def _count_nodes(self) -> None:
        everything: dict[str, int] = {}
        open_: dict[str, int] = {}
        self.kinds = {device.kind for node in self.nodes.values() for device in node.devices}
        for node in self.nodes.values():
            has = self.meter.has(node)
            sums.add(everything, has)
            if node.open:
                sums.add(open_, has)
        self.tree.set_capacity(everything, open_)

    def _recount(self) -> None:
        self.tree.forget_sums()
        self.tree.usage.forget_holds()
        self.limits.forget_sums()
        for run in self.runs:
            if run.keys:
                self.limits.count(run.request.user, run.request.project, 1)
            for key in run.keys:
                allocation = self.held[key]
                amounts = self.meter.held(allocation, self.nodes.get(allocation.node_id))
                run.keys[key] = amounts
                self._charge(run, amounts, 1, planned=key not in run.leaving)
        for kept in self.kept.values():
            self._plan_for(kept, 1)

    # -- what is free, and when -------------------------------------------------------------------

    def held_on(self, node_id: str) -> Iterable[Allocation]:
        return self._held_on.get(node_id, {}).values()

    def room(self, node_id: str) -> Room:
        """What a node has free now, less what is kept there."""
        room = Room(self.nodes[node_id])
        for allocation in self.held_on(node_id):
            room.take(allocation, allocation.devices)
        for kept in self.kept.values():
            groups = self.kept_for[kept.request_id].groups
            needs = {group.role: group.resources for group in groups}
            for place in kept.placements:
                if place.node_id == node_id:
                    room.take(needs[place.role], place.devices)
        return room

    def _release_of(self, run: Run | None, allocation: Allocation) -> Release:
        node_id, need, devices = allocation.node_id, need_of(allocation), allocation.devices
        if run is None:  # nobody knows since when
            return Release(end_at(0.0, None, self.now), node_id, need, devices, sure=False)
        end, sure = run.end_at(self.now)
        return Release(end, node_id, need, devices, sure, run.request.id, run.since)

    def all_releases(self) -> Releases:
        """When what is held is given back, as far as anybody knows."""
        if self.releases is None:
            self.releases = Releases()
            for key, allocation in self.held.items():
                run = self.runs.of(key)
                known = run if run is not None and key in run.keys else None
                self.releases.set(key, self._release_of(known, allocation))
        self.releases.advance(self.now)
        return self.releases

    def next_boundary(self) -> float | None:
        """When what is free changes next as far as anybody knows, or a window begins or ends."""
        times = [time for time in self.all_releases().times() if time > self.now][:1]
        for window in self.windows():
            times += [time for time in (window.start, window.end) if time > self.now]
        return min(times, default=None)

    def windows(self) -> Iterator[Reservation]:
        """Those that are not over, and not given back."""
        for reservation in self.reservations.values():
            if not reservation.returned and reservation.end > self.now:
                yield reservation

    def releases_in_windows(self) -> dict[str, list[Release]]:
        """What runs for reservations, by series: what it holds is part of what they hold."""
        own: dict[str, list[Release]] = {}
        if self.reservations:
            for key, release in self.all_releases().items():
                run = self.runs.of(key)
                if run is not None and run.request.reservation:
                    own.setdefault(run.request.reservation, []).append(release)
        return own

    # -- all of it --------------------------------------------------------------------------------

    def snapshot(self, now: float | None) -> Snapshot:
        """All that a planner needs to go on from here."""
        if now is not None:
            self.tree.usage.advance(now)
        return Snapshot(
            nodes=tuple(self.nodes.values()),
            allocations=tuple(self.held.values()),
            requests=tuple(self.requests.values()),
            running=tuple(run.told for run in self.runs),
            queues=tuple(self.tree.queues),
            limits=tuple(self.limits),
            reservations=tuple(self.reservations.values()),
            usage=self.tree.usage.told(),
            policy=self.policy,
            leaving=self.runs.leaving,
            kept=tuple(self.kept.values()),
            mix=tuple(self.cluster.mix.counts.items()),
            moved=tuple(self.moved.items()),
        )


def need_of(allocation: Allocation) -> Resources:
    """What it takes of its node beside devices."""
    return Resources(allocation.cpu_milli, allocation.memory_bytes, counted=allocation.counted)


def largest_of(nodes: Iterable[Node]) -> dict[str, int]:
    """By kind of accelerator, the memory of the largest."""
    largest: dict[str, int] = {}
    for node in nodes:
        for device in node.devices:
            largest[device.kind] = max(largest.get(device.kind, 0), device.memory_bytes)
    return largest
