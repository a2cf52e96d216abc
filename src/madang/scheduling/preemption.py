"""Making room: which of those who run are stopped, or shrunk, for one who may have their place.

Who may be stopped for a request:

- replicas of an elastic gang above its minimum: they hold only what was idle;
- in its own queue, what is preemptible and of lower priority;
- where queues let newcomers go first (`ordering.newcomers`), for one that is new, what has had its
  first turn, of its own priority or in other such queues, within a guarantee or not;
- in other queues (where their paths part, `own` on its side and `other` on theirs): what is
  preemptible, while `other` holds more than its guarantee of what is asked for, and either `own`
  stays within its guarantee, or the share of `own` afterwards is neither above that of `other`
  afterwards nor as large as that of `other` before.

So nobody is stopped by one whom it could have stopped a moment later. By priority: it would have
to be higher, and lower. By newness: who has had a first turn stops nobody who has not, nor does
for its share anybody of a queue of another order. For a guarantee: `other` loses only what it
could not claim as guaranteed to it (it holds more than that, of something that its guarantee
speaks of), and takes nothing from who is within theirs. For shares: with s the share of `own`
afterwards and t, t' those of `other` before and afterwards, s ≤ t' and s < t; to win it back
`other` would have to end up at t with t ≤ (share of `own` without it) ≤ s. (Kueue's
"LessThanOrEqualToFinalShare", made strict where shares do not move.)

Chosen is what loses the least work since it was last saved. What is being stopped already, for
whomever, costs nothing; and one that is too young to be stopped by the blink of `LEAST_RUNTIME_S`
alone is waited for where stopping it would lose less.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import zip_longest

from madang.core.amounts import format_amounts
from madang.scheduling import sums
from madang.scheduling.books import need_of
from madang.scheduling.ledger import Ledger
from madang.scheduling.line import Shape, at_minimum
from madang.scheduling.model import Kept, Placement, Preempt, Request, Reservation, Resize
from madang.scheduling.ordering import NEVER, order_of
from madang.scheduling.placement import place, undo
from madang.scheduling.queues import QueueNode
from madang.scheduling.reclaim import Claim, may_yield, scarcest, yields_from
from madang.scheduling.room import Room
from madang.scheduling.runs import Run
from madang.scheduling.units import LEAST_RUNTIME_S, Plan, Unit, extra_keys, parts_of, rest_s

Actions = list[Preempt | Resize]


class Preemption:
    """Asked for one request at a time; changes nothing unless it makes room."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger
        self.again_at: float | None = None
        """When the first of those who are too young to be stopped no longer is."""
        self._ripe: list[tuple[str, QueueNode]] = []
        """Queues of which something preemptible has run long enough."""
        self._soon: list[tuple[str, QueueNode]] = []
        """Others of which something will have in a moment."""

    def begin(self) -> None:
        """A round of turns begins: find out once who may be stopped in it at all."""
        ledger = self._ledger
        self.again_at = None
        self._ripe, self._soon = [], []
        if ledger.policy.preemption:
            for queue_id in ledger.runs.preemptible:
                leaf = ledger.tree.leaf(queue_id)
                ripe = ledger.runs.oldest(queue_id) + rest_s(leaf)
                if ripe <= ledger.now:
                    self._ripe.append((queue_id, leaf))
                    continue
                self._look_again_at(ripe)
                if ripe <= ledger.now + LEAST_RUNTIME_S:
                    self._soon.append((queue_id, leaf))

    @property
    def possible(self) -> bool:
        """Whether there is anybody who could be stopped or shrunk."""
        return bool(self._ripe or self._ledger.runs.resizable)

    def make_room(
        self, leaf: QueueNode, request: Request, groups: Shape, *, others_hold: bool = False
    ) -> Actions:
        """Stop or shrink what must go, and keep the place; nothing when that can't be, or when it
        was enough to keep the place of what is leaving. others_hold: that is not for it to take,
        since others hold places and count on it."""
        units = self._units(leaf, request)
        if not units or not self._is_enough(groups, units):
            return []
        if not others_hold:
            units.extend(self._leaving())
        units.sort(key=lambda unit: unit.order)
        search = _Search(self._ledger, leaf, request, groups, units)
        plan = search.best()
        if plan is None or not search.allows(plan) or any(unit.soon for unit in plan.units):
            return []
        return self._carry_out(plan, request)

    def clear_window(self, window: Reservation) -> Actions:
        """Stop what is preemptible where a reservation begins that nothing of its own uses yet;
        its place is kept by `backfill.Profile`. Nothing when what is leaving is enough."""
        ledger = self._ledger
        groups = at_minimum(window.groups)
        cluster = ledger.cluster.copy()
        for key in ledger.runs.leaving:
            allocation = ledger.held.get(key)
            if allocation is not None and allocation.node_id in ledger.nodes:
                cluster.give(allocation.node_id, need_of(allocation), allocation.devices)
        if place(groups, cluster).complete:
            return []
        units = [
            unit
            for queue_id, by_priority in ledger.runs.preemptible.items()
            for runs in by_priority.values()
            for unit in self._stops(runs.values(), ledger.tree.leaf(queue_id), own=True, rests=0.0)
            if not unit.run.request.reservation
        ]
        units.sort(key=lambda unit: unit.order)
        request = Request(window.id, window.id, "", groups)
        leaf = ledger.tree.leaf("")
        plan = _WindowSearch(ledger, leaf, request, groups, units).best()
        if plan is None:
            return []
        gained = format_amounts(dict(sums.of_groups(ledger.meter, groups)))
        actions: Actions = []
        for unit in plan.units:
            victim = unit.run.request
            actions.append(Preempt(victim.id, victim.owner, window.id, gained, unit.lost_s))
            for key in unit.keys:
                ledger.leave(key)
        return actions

    def _carry_out(self, plan: Plan, request: Request) -> Actions:
        ledger = self._ledger
        stopped = [unit for unit in plan.units if unit.stops]
        actions: Actions = []
        gained = format_amounts(dict(sums.of_groups(ledger.meter, request.groups)))
        for unit in stopped:
            victim = unit.run.request
            actions.append(Preempt(victim.id, victim.owner, request.id, gained, unit.lost_s))
        gone = {unit.run.request.id for unit in stopped}
        shrunk: dict[str, list[str]] = {}
        runs: dict[str, Run] = {}
        for unit in plan.units:
            if unit.shrinks and unit.run.request.id not in gone:
                shrunk.setdefault(unit.run.request.id, []).extend(unit.keys)
                runs[unit.run.request.id] = unit.run
        for request_id, keys in shrunk.items():
            owner = runs[request_id].request.owner
            actions.append(Resize(request_id, owner, (), tuple(keys), request.id))
        until = tuple(dict.fromkeys(key for unit in plan.units for key in unit.keys))
        for key in until:
            ledger.leave(key)
        ledger.keep(Kept(request.id, plan.placements, until))
        return actions

    # -- who may be stopped -------------------------------------------------------------------

    def _units(self, leaf: QueueNode, request: Request) -> list[Unit]:
        ledger = self._ledger
        units = [
            Unit(run, (key,), True, False, 0.0, run.keys[key])
            for run in ledger.runs.resizable.values()
            for key in extra_keys(run)
        ]
        if not self._ripe:
            return units
        asked, order = sums.of_groups(ledger.meter, request.groups), order_of(leaf.queue.ordering)
        claim, names, came = Claim(leaf, asked), scarcest(asked), request.submitted_at
        for queue_id, other in (*self._ripe, *self._soon):
            reaches = other is not leaf and claim.reaches(other)
            if not reaches and not may_yield(leaf, other):
                continue
            within = other is not leaf and not other.exceeds_guarantee(names)
            for priority, runs in ledger.runs.preemptible[queue_id].items():
                if other is leaf and priority >= request.priority and not order.takes_turns:
                    continue
                own = self._yielding(runs.values(), leaf, other, request)
                units.extend(self._stops(own, other, True, came=came, spared=int(within)))
                if reaches:
                    claimed = self._claimed(runs.values(), claim, other, request)
                    units.extend(self._stops(claimed, other, False, came=came))
        return units

    def _yielding(
        self, runs: Iterable[Run], leaf: QueueNode, other: QueueNode, request: Request
    ) -> Iterator[Run]:
        """Those who may be stopped as the order of their queue goes."""
        for run in runs:
            ripe = yields_from(leaf, other, request, run)
            if ripe <= self._ledger.now:
                yield run
            elif ripe < NEVER:
                self._look_again_at(ripe)

    def _claimed(
        self, runs: Iterable[Run], claim: Claim, other: QueueNode, request: Request
    ) -> Iterator[Run]:
        """Others of a queue that has more than its due; but no newcomers for those who would then
        stop one another by turns."""
        spares = not claim.takes_first_turns(request, other)
        for run in runs:
            turn_ends = order_of(other.queue.ordering).turn_ends(run.told)
            if spares and turn_ends > self._ledger.now:
                self._look_again_at(turn_ends)
            elif yields_from(claim.leaf, other, request, run) > self._ledger.now:
                yield run

    def _leaving(self) -> Iterator[Unit]:
        """What is being stopped, for others or because somebody wants it to end."""
        ledger = self._ledger
        for key in ledger.runs.leaving:
            run = ledger.runs.of(key)
            if run is not None and key in run.keys and ledger.held[key].node_id in ledger.nodes:
                yield Unit(run, (key,), False, False, 0.0, run.keys[key], leaves=True)

    def _stops(
        self,
        runs: Iterable[Run],
        leaf: QueueNode,
        own: bool,
        rests: float | None = None,
        came: float = float("-inf"),
        spared: int = 0,
    ) -> Iterator[Unit]:
        """came: when the winner was asked for. It waits a moment for those that ran before it, and
        for no later ones: so never for long."""
        now = self._ledger.now
        if rests is None:
            rests = rest_s(leaf)
        for run in runs:
            if run.leaving or not run.keys:
                continue
            soon = run.since + rests > now
            if soon:
                self._look_again_at(run.since + rests)
                if run.since > came or run.since + rests > now + LEAST_RUNTIME_S:
                    continue
            total: dict[str, int] = {}
            for amounts in run.keys.values():
                sums.add(total, amounts)
            amounts, lost_s = sums.amounts_of(total), run.lost_s(now)
            early = order_of(leaf.queue.ordering).turn_ends(run.told) > now
            spares, keys = 2 if early else spared, tuple(run.keys)
            yield Unit(run, keys, False, own, lost_s, amounts, soon=soon, spared=spares)

    def _look_again_at(self, time: float) -> None:
        self.again_at = time if self.again_at is None else min(self.again_at, time)

    def _is_enough(self, groups: Shape, units: Sequence[Unit]) -> bool:
        """Whether it would fit if the cluster were one node, and all of them gone."""
        ledger = self._ledger
        total: dict[str, int] = {}
        for unit in units:
            sums.add(total, unit.amounts)
        capacity, use = ledger.tree.capacity, ledger.tree.root.planned
        return all(
            capacity.get(name, 0) - use.get(name, 0) + total.get(name, 0) >= amount
            for name, amount in sums.of_groups(ledger.meter, groups)
            if "/" not in name
        )


class _Search:
    """For one request: a set of units that is enough, and lawful, and cheap."""

    def __init__(
        self,
        ledger: Ledger,
        leaf: QueueNode,
        request: Request,
        groups: Shape,
        units: Sequence[Unit],
    ) -> None:
        self._ledger = ledger
        self._leaf = leaf
        self._request = request
        self._groups = groups
        self._units = units
        self._least = sums.of_groups(ledger.meter, groups)
        self._cluster = ledger.cluster
        self._gone: list[Unit] = []

    def best(self) -> Plan | None:
        alone = len(self._groups) == 1 and self._groups[0].replicas_min == 1
        if alone and self._may_have():
            return self._on_one_node()
        return self._one_after_the_other()

    def allows(self, plan: Plan) -> bool:
        """Whether what the winner would hold there is allowed, now that it is known exactly."""
        ledger = self._ledger
        exactly = ledger.amounts_of(self._groups, plan.placements)
        if exactly == self._least:
            return True
        self._gone = []
        self._least = exactly
        if not self._lawful(plan.units):
            return False
        for unit in plan.units:
            _shift_sums(ledger, unit, -1)
        allowed = ledger.may_have(self._leaf, self._request, exactly)
        for unit in plan.units:
            _shift_sums(ledger, unit, 1)
        return allowed

    # -- one replica: node by node ------------------------------------------------------------

    def _on_one_node(self) -> Plan | None:
        """The cheapest of all nodes."""
        by_node: dict[str, list[Unit]] = {}
        claim = Claim(self._leaf, self._least)
        for unit in self._units:
            if not self._may_stop(unit, claim):
                continue  # it would be chosen, and in vain, whenever it happens to lose least
            for node_id in {self._ledger.held[key].node_id for key in unit.keys}:
                by_node.setdefault(node_id, []).append(unit)
        allowed = self._suiting_nodes()
        plans = []
        for node_id, units in by_node.items():
            if node_id in allowed:
                plan = self._on_node(node_id, units)
                if plan is not None:
                    plans.append(plan)
        plans.sort(
            key=lambda plan: (plan.cost, self._ledger.nodes[plan.placements[0].node_id].name)
        )
        return next((plan for plan in plans if self._lawful(plan.units)), None)

    def _suiting_nodes(self) -> set[str]:
        group = self._groups[0]
        cluster = self._ledger.cluster
        counts = cluster.most_by_row(group.resources, group.where, empty=True)
        return {
            node.id
            for node, count in zip(cluster.free().nodes, counts.tolist(), strict=False)
            if node is not None and count
        }

    def _on_node(self, node_id: str, units: Sequence[Unit]) -> Plan | None:
        need = self._groups[0].resources
        room = self._ledger.room(node_id)
        gone: list[Unit] = []
        for unit in units:
            for part in parts_of(unit, gone):
                self._move(room, part, -1)
                gone.remove(part)
            self._move(room, unit, 1)
            gone.append(unit)
            if room.fit(need) is not None:
                break
        else:
            return None
        for unit in sorted(gone[:-1], key=lambda unit: unit.order, reverse=True):
            self._move(room, unit, -1)
            if room.fit(need) is None:
                self._move(room, unit, 1)
            else:
                gone.remove(unit)
        devices = room.fit(need)
        assert devices is not None
        group = self._groups[0]
        return Plan(tuple(gone), (Placement(group.role, group.first, node_id, devices),))

    def _move(self, room: Room, unit: Unit, sign: int) -> None:
        for key in unit.keys:
            allocation = self._ledger.held[key]
            if allocation.node_id == room.node.id:
                move = room.give if sign > 0 else room.take
                move(allocation, allocation.devices)

    # -- gangs, and where a queue is full: one after the other ---------------------------------

    def _one_after_the_other(self) -> Plan | None:
        """In their order until it is enough (looked at after 1, 2, 4, … of them), then without
        those that turn out not to be needed."""
        self._cluster = self._ledger.cluster.copy()
        self._gone = []
        try:
            placements = self._until_it_fits()
            if placements is None:
                return None
            placements = self._without_the_needless(placements)
            return Plan(tuple(self._gone), placements) if self._gone else None
        finally:
            for unit in self._gone:
                _shift_sums(self._ledger, unit, 1)

    def _until_it_fits(self) -> tuple[Placement, ...] | None:
        look_at = 1
        for unit, following in zip_longest(self._units, self._units[1:]):
            if self._may_stop(unit):
                for part in parts_of(unit, self._gone):
                    self._shift(part, 1)
                    self._gone.remove(part)
                self._shift(unit, -1)
                self._gone.append(unit)
            all_shrunk = unit.shrinks and following is not None and not following.shrinks
            if len(self._gone) >= look_at or following is None or all_shrunk:
                look_at = 2 * len(self._gone)
                placements = self._fits()
                if placements is not None:
                    return placements
        return None

    def _without_the_needless(self, placements: tuple[Placement, ...]) -> tuple[Placement, ...]:
        nodes = {placement.node_id for placement in placements}
        full = self._gone_for_bounds()
        for unit in reversed(self._gone.copy()):
            elsewhere = all(self._ledger.held[key].node_id not in nodes for key in unit.keys)
            self._shift(unit, 1)
            self._gone.remove(unit)
            if elsewhere and not full:
                continue
            found = self._fits()
            if found is not None and self._lawful(self._gone):
                placements = found
                nodes = {placement.node_id for placement in placements}
            else:
                self._shift(unit, -1)
                self._gone.append(unit)
        return placements

    def _gone_for_bounds(self) -> bool:
        """Whether a queue or a limit was full before they were gone."""
        for unit in self._gone:
            _shift_sums(self._ledger, unit, 1)
        full = not self._may_have()
        for unit in self._gone:
            _shift_sums(self._ledger, unit, -1)
        return full

    def _shift(self, unit: Unit, sign: int) -> None:
        """It is gone (-1), or back."""
        _shift_sums(self._ledger, unit, sign)
        move = self._cluster.give if sign < 0 else self._cluster.take
        for key in unit.keys:
            allocation = self._ledger.held[key]
            if allocation.node_id in self._ledger.nodes:
                move(allocation.node_id, need_of(allocation), allocation.devices)

    def _fits(self) -> tuple[Placement, ...] | None:
        if not self._may_have():
            return None
        attempt = place(self._groups, self._cluster, self._request.work)
        if not attempt.complete:
            return None
        undo(attempt, self._groups, self._cluster)
        return attempt.placements

    # -- what is lawful -----------------------------------------------------------------------

    def _may_have(self) -> bool:
        """Whether queues and limits allow it, as sums are now."""
        return self._ledger.may_have(self._leaf, self._request, self._least)

    def _may_stop(self, unit: Unit, claim: Claim | None = None) -> bool:
        """claim: the request's, as sums are now."""
        if unit.own or not unit.stops:
            return True
        other = self._ledger.tree.leaf(unit.run.request.queue)
        return (claim or Claim(self._leaf, self._least)).reaches(other, unit.amounts)

    def _lawful(self, units: Sequence[Unit]) -> bool:
        """Whether each may be stopped when those before it are gone; none of them is, in the sums
        that are asked: but those that are gone already, which it puts back meanwhile."""
        if all(unit.own or not unit.stops for unit in units):
            return True
        gone = self._gone
        for unit in gone:
            _shift_sums(self._ledger, unit, 1)
        lawful = True
        out: list[Unit] = []
        for unit in units:
            if not self._may_stop(unit):
                lawful = False
                break
            _shift_sums(self._ledger, unit, -1)
            out.append(unit)
        for unit in out:
            _shift_sums(self._ledger, unit, 1)
        for unit in gone:
            _shift_sums(self._ledger, unit, -1)
        return lawful


class _WindowSearch(_Search):
    """For a reservation, which no queue bounds."""

    def _may_have(self) -> bool:
        return True


def _shift_sums(ledger: Ledger, unit: Unit, sign: int) -> None:
    """What is leaving is planned for no longer."""
    ledger.shift_sums(unit.run, unit.amounts, sign, planned=not unit.leaves)
