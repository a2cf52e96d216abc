"""Events written into the books: what each of them changes, and whether somebody may be able to
start because of it."""

from __future__ import annotations

import heapq
from collections.abc import Sequence
from dataclasses import fields
from operator import attrgetter

from madang.scheduling import sums
from madang.scheduling.books import Books, largest_of, need_of
from madang.scheduling.line import Shape
from madang.scheduling.model import (
    Allocation,
    Amounts,
    Kept,
    Limit,
    Node,
    Placement,
    Policy,
    Queue,
    Request,
    Reservation,
    Running,
    Snapshot,
)
from madang.scheduling.placement import Cluster, Mix
from madang.scheduling.runs import Run
from madang.scheduling.sums import Meter

_BUT_WORK = attrgetter(*(each.name for each in fields(Request) if each.name != "work"))
"""All that a request asks for."""


class Ledger(Books):
    """Told by events; asked and changed by the planner's decisions."""

    # -- nodes --------------------------------------------------------------------------------

    def load(self, snapshot: Snapshot) -> None:
        """Begin with all this at once; the ledger is new."""
        self.policy = snapshot.policy
        self.tree.usage.half_life_s = self.policy.half_life_s
        mix = Mix(dict(snapshot.mix), learns=self.policy.learn_mix)
        self.cluster = Cluster(self.policy, mix)
        for allocation in snapshot.allocations:
            self.held[allocation.key] = allocation
            self._held_on.setdefault(allocation.node_id, {})[allocation.key] = allocation
        for node in snapshot.nodes:
            self.set_node(node)
        for queue in snapshot.queues:
            self.set_queue(queue)
        for limit in snapshot.limits:
            self.set_limit(limit)
        for reservation in snapshot.reservations:
            self.set_reservation(reservation)
        self.tree.usage.load(snapshot.usage)
        for running in snapshot.running:
            self.begin(running)
        for request in snapshot.requests:
            self.ask(request)
        for key in snapshot.leaving:
            self.leave(key)
        for kept in snapshot.kept:
            self.keep(kept)
        self.moved = dict(snapshot.moved)

    def set_policy(self, policy: Policy) -> None:
        if policy == self.policy:
            return
        self.version += 1
        learns = self.policy.learn_mix
        self.policy = policy
        self.tree.usage.half_life_s = policy.half_life_s
        keeps = learns == policy.learn_mix
        mix = self.cluster.mix if keeps else Mix(self.cluster.mix.counts, learns=policy.learn_mix)
        self.cluster = Cluster(policy, mix)
        for node in self.nodes.values():
            self._put(node)
        for kept in self.kept.values():
            self._take_kept(kept)
        self._loosen()

    def set_node(self, node: Node) -> None:
        if self.nodes.get(node.id) == node:
            return
        self.version += 1
        if not node.open:
            self._drop_kept_on(node.id)
        self.nodes[node.id] = node
        self._put(node)
        for kept in self.kept.values():
            self._take_kept(kept, only=node.id)
        self._nodes_changed = True
        self._loosen()

    def _put(self, node: Node) -> None:
        self.cluster.set_node(node, self._held_on.get(node.id, {}).values())

    def forget_node(self, node_id: str) -> None:
        if node_id not in self.nodes:
            return
        self.version += 1
        self._drop_kept_on(node_id)
        del self.nodes[node_id]
        self.cluster.remove_node(node_id)
        self._nodes_changed = True
        self._loosen()

    # -- what is held -------------------------------------------------------------------------

    def hold(self, allocation: Allocation) -> None:
        """A task holds something that it was not given here."""
        known = self.held.get(allocation.key)
        if known == allocation:
            return
        self.version += 1
        if known is not None:
            self._let_go(known)
        self.held[allocation.key] = allocation
        self._held_on.setdefault(allocation.node_id, {})[allocation.key] = allocation
        if allocation.node_id in self.nodes:
            self._put_free(allocation, -1)
        run = self.runs.of(allocation.key)
        if run is not None:
            self._count_in(run, allocation)
        elif self.releases is not None:
            self.releases.set(allocation.key, self._release_of(None, allocation))
        more_moves = self.policy.migration_budget > 0
        self._loosen() if known is not None or more_moves else self._change()

    def release(self, key: str) -> None:
        allocation = self.held.pop(key, None)
        run = self.runs.of(key)
        if allocation is None:
            return
        self.version += 1
        self._let_go(allocation)
        self.runs.stayed(key)
        if run is not None and not run.keys:
            self.end(run)
        self._loosen()

    def _let_go(self, allocation: Allocation) -> None:
        key = allocation.key
        del self._held_on[allocation.node_id][key]
        if allocation.node_id in self.nodes:
            self._put_free(allocation, 1)
        if self.releases is not None:
            self.releases.discard(key)
        run = self.runs.of(key)
        if run is not None and key in run.keys:
            self._charge(run, run.keys.pop(key), -1, planned=key not in run.leaving)
            run.leaving.discard(key)
            if not run.keys:
                self.limits.count(run.request.user, run.request.project, -1)

    def _put_free(self, allocation: Allocation, sign: int) -> None:
        move = self.cluster.give if sign > 0 else self.cluster.take
        move(allocation.node_id, need_of(allocation), allocation.devices)

    def _count_in(self, run: Run, allocation: Allocation) -> None:
        amounts = self.meter.held(allocation, self.nodes.get(allocation.node_id))
        if not run.keys:
            self.limits.count(run.request.user, run.request.project, 1)
        run.keys[allocation.key] = amounts
        leaving = self.runs.is_leaving(allocation.key)
        if leaving:
            run.leaving.add(allocation.key)
        self._charge(run, amounts, 1, planned=not leaving)
        if self.releases is not None:
            self.releases.set(allocation.key, self._release_of(run, allocation))

    # -- who runs -----------------------------------------------------------------------------

    def begin(self, running: Running) -> None:
        """A request runs, or what is known of it has changed."""
        run = self.runs.get(running.request.id)
        if run is not None and run.told == running:
            return
        self.version += 1
        if run is not None and _only_progress(run.told, running):
            run.told, run.request = running, running.request
            self._loosen()
            return
        if run is not None:
            self.end(run, counted=True)
        else:
            self.drop_kept(running.request.id)  # it has begun elsewhere
        self._forget_request(running.request.id)
        run = self.runs.add(running)
        for key in run.possible_keys(self.held):
            self._count_in(run, self.held[key])
        self._loosen()

    def end(self, run: Run, *, counted: bool = False) -> None:
        """It no longer runs; `counted`: what it holds is taken out of all sums."""
        if counted and run.keys:
            for key, amounts in run.keys.items():
                self._charge(run, amounts, -1, planned=key not in run.leaving)
            self.limits.count(run.request.user, run.request.project, -1)
        self.runs.remove(run)
        if run.request.id in self._woken:
            self._line_up(self.requests[run.request.id])

    def start(self, request: Request, groups: Shape, placements: Sequence[Placement]) -> None:
        """It holds these places from now on; they were taken from the cluster already."""
        self._forget_request(request.id)
        run = self.runs.add(Running(request, self.now, self.now))
        self.limits.count(request.user, request.project, 1)
        self.grow(run, groups, placements)

    def grow(self, run: Run, groups: Shape, placements: Sequence[Placement]) -> None:
        """The same for more replicas of what runs."""
        self.version += 1
        needs = {group.role: group.resources for group in groups}
        owner = run.request.owner
        total: dict[str, int] = {}
        for placement in placements:
            need = needs[placement.role]
            node_id = placement.node_id
            key = f"{owner}/{placement.role}/{placement.replica}"
            allocation = Allocation(
                key,
                node_id,
                need.cpu_milli,
                need.memory_bytes,
                placement.devices,
                need.counted,
            )
            self.held[key] = allocation
            self._held_on.setdefault(node_id, {})[key] = allocation
            amounts = self.meter.replica(need, placement.devices, self.nodes[node_id])
            run.keys[key] = amounts
            sums.add(total, amounts)
            if self.releases is not None:
                self.releases.set(key, self._release_of(run, allocation))
        self._charge(run, sums.amounts_of(total), 1)

    def leave(self, key: str) -> None:
        """This task is being stopped."""
        if key not in self.held or self.runs.is_leaving(key):
            return
        self.version += 1
        self.runs.leave(key)
        run = self.runs.of(key)
        if run is not None and key in run.keys:
            run.leaving.add(key)
            leaf = self.tree.leaf(run.request.queue)
            self.tree.charge(leaf, run.request.user, run.keys[key], -1, live=False)
        self._change()

    # -- who waits ----------------------------------------------------------------------------

    def ask(self, request: Request) -> None:
        known = self.requests.get(request.id)
        if known == request:
            return
        kept = self.kept.get(request.id)
        if kept is not None:
            same = self.kept_for[request.id].groups == request.groups
            self._forget_kept(kept)
            kept = kept if same else None
        if known is not None:
            self._take_out(known)
        else:
            for group in request.groups:
                self.cluster.arrived(group.resources, group.replicas_min)
        self.requests[request.id] = request
        heapq.heappush(self._delayed, (request.not_before, request.id))
        if kept is not None:
            self.keep(kept)

    def withdraw(self, request_id: str) -> None:
        if request_id in self.requests:
            self.drop_kept(request_id)
            self._forget_request(request_id)

    def _forget_request(self, request_id: str) -> None:
        request = self.requests.pop(request_id, None)
        if request is not None:
            self._take_out(request)

    def _take_out(self, request: Request) -> None:
        """It does not wait any more, or waits as another."""
        self._woken.discard(request.id)
        leaf = self.tree.leaf(request.queue)
        if leaf.line is not None and leaf.line.remove(request):
            self.tree.touch(leaf)
            self._loosen()

    def wake(self, now: float) -> None:
        """Those whose time has come begin to wait for a place."""
        self.now = self.tree.now = now
        while self._delayed and self._delayed[0][0] <= now:
            at, request_id = heapq.heappop(self._delayed)
            request = self.requests.get(request_id)
            if request is None or request.not_before != at or request_id in self._woken:
                continue
            self._woken.add(request_id)
            if request_id not in self.runs:
                self._line_up(request)

    def _line_up(self, request: Request) -> None:
        self._change()
        if request.id in self.kept or self._queues_changed:
            return
        leaf = self.tree.leaf(request.queue)
        assert leaf.line is not None
        leaf.line.add(request, self._least)
        self.tree.touch(leaf)

    def line_up_again(self, request_id: str) -> None:
        """What was kept for it is not any more."""
        if request_id in self._woken and request_id not in self.runs:
            self._line_up(self.requests[request_id])

    def next_wake(self) -> float | None:
        """The first end of a backoff."""
        while self._delayed:
            at, request_id = self._delayed[0]
            request = self.requests.get(request_id)
            if request is not None and request.not_before == at and request_id not in self._woken:
                return at
            heapq.heappop(self._delayed)
        return None

    def waits(self, request_id: str) -> bool:
        """Whether it waits for a place."""
        return request_id in self._woken and request_id not in self.runs

    def _least(self, groups: Shape) -> Amounts:
        return sums.of_groups(self.meter, groups)

    # -- what is kept -------------------------------------------------------------------------

    def keep(self, kept: Kept) -> None:
        """Keep these places for a request, which waits for them and for nothing else; one that
        runs will wait for them when it has stopped."""
        run = self.runs.get(kept.request_id)
        request = self.requests.get(kept.request_id, run.request if run is not None else None)
        if request is None or any(p.node_id not in self.nodes for p in kept.placements):
            return
        leaf = self.tree.leaf(request.queue)
        if leaf.line is not None and leaf.line.remove(request):
            self.tree.touch(leaf)
        self.kept[kept.request_id] = kept
        self.kept_for[kept.request_id] = request
        self._take_kept(kept)
        self._plan_for(kept, 1)

    def drop_kept(self, request_id: str) -> None:
        kept = self.kept.get(request_id)
        if kept is not None:
            self._forget_kept(kept)
            self.line_up_again(request_id)

    def drop_orphans(self) -> None:
        """What was moved may have ended, or been cancelled, instead of going on."""
        for request_id in list(self.kept):
            if request_id not in self.requests and request_id not in self.runs:
                self.drop_kept(request_id)

    def _forget_kept(self, kept: Kept) -> None:
        self._take_kept(kept, sign=1)
        self._plan_for(kept, -1)
        del self.kept[kept.request_id], self.kept_for[kept.request_id]
        self._loosen()

    def _drop_kept_on(self, node_id: str) -> None:
        for kept in list(self.kept.values()):
            if any(place.node_id == node_id for place in kept.placements):
                self.drop_kept(kept.request_id)

    def _take_kept(self, kept: Kept, *, sign: int = -1, only: str = "") -> None:
        self.version += 1
        needs = {group.role: group.resources for group in self.kept_for[kept.request_id].groups}
        move = self.cluster.give if sign > 0 else self.cluster.take
        for place in kept.placements:
            if place.node_id in self.nodes and (not only or place.node_id == only):
                move(place.node_id, needs[place.role], place.devices)

    # -- queues, limits, windows --------------------------------------------------------------

    def set_queue(self, queue: Queue) -> None:
        if self.tree.put(queue):
            self.version += 1
            self._queues_changed = True
            self._loosen()

    def forget_queue(self, queue_id: str) -> None:
        if self.tree.remove(queue_id):
            self.version += 1
            self._queues_changed = True
            self._loosen()

    def set_limit(self, limit: Limit) -> None:
        if self.limits.put(limit):
            self._sums_changed = True
            if self.tree.limited != bool(self.limits):
                self.tree.limited = bool(self.limits)
                self._queues_changed = True
            self._loosen()

    def set_reservation(self, reservation: Reservation) -> None:
        if self.reservations.get(reservation.id) != reservation:
            self.reservations[reservation.id] = reservation
            self._loosen()

    def forget_reservation(self, reservation_id: str) -> None:
        if self.reservations.pop(reservation_id, None) is not None:
            self._loosen()

    # -- settling -----------------------------------------------------------------------------

    def _change(self) -> None:
        self.changed = True

    def _loosen(self) -> None:
        self.changed = self.loosened = True

    def has_drifted(self) -> bool:
        """Whether it is somebody else's turn by now, though nothing happened that frees
        anything: what people have had lately counts less and less."""
        self.tree.usage.advance(self.now)
        return any(line.has_drifted(leaf) for line, leaf in self.tree.drifting())

    def settle(self) -> None:
        """Make lines and sums right after queues, limits or nodes have changed."""
        recount = self._queues_changed or self._sums_changed
        if self._queues_changed:
            self.tree.build()
        if recount or self._nodes_changed:
            named = self.tree.names() | self.limits.names()
            meter = Meter(named, largest_of(self.nodes.values()))
            if (meter.named, meter.largest) != (self.meter.named, self.meter.largest):
                if meter.largest != self.meter.largest and not self._queues_changed:
                    self.tree.build()  # what those who wait ask for counts differently
                    self._queues_changed = True
                self.meter = meter
                self._nodes_changed = recount = True
            if self._nodes_changed:
                self._count_nodes()
                recount = recount or bool(self.meter.named)
        if recount:
            self._recount()
        if self._queues_changed:
            self._queues_changed = False
            for request_id in self._woken:
                if request_id not in self.runs:
                    self._line_up(self.requests[request_id])
        self._queues_changed = self._sums_changed = self._nodes_changed = False
        self.tree.usage.advance(self.now)


def _only_progress(known: Running, told: Running) -> bool:
    """Whether a report only says how far the same run is: no sum changes with that."""
    return known.since == told.since and _BUT_WORK(known.request) == _BUT_WORK(told.request)
