"""Moving: what fits nowhere may fit when a few that run go elsewhere; nobody loses a place by it.

Who may be moved: what is preemptible, one task by itself, and has run long enough since it started
and for an hour since it was moved; never for one of its own queue that is less urgent. In any hour
no more are moved than the budget allows of all tasks that hold places.

It comes to rest: each time somebody starts who waited, nobody stops running for good, and nothing
is moved twice within an hour.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator

from madang.core.amounts import format_amounts
from madang.scheduling.ledger import Ledger
from madang.scheduling.line import at_minimum
from madang.scheduling.model import Allocation, Amounts, Kept, Migrate, Placement, Request
from madang.scheduling.ordering import TIME_SHARING
from madang.scheduling.placement import Cluster, Movable, Moved, make_room
from madang.scheduling.queues import QueueNode
from madang.scheduling.runs import Run
from madang.scheduling.units import rest_s

PERIOD_S = 3600.0
"""The budget is for any stretch of time so long."""

MOST_MOVES = 3
"""So many are moved to make room for one."""


class Migration:
    """Asked for one request at a time; changes nothing unless it makes room."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger
        self.again_at: float | None = None
        """When more may be moved than now, though nothing happened."""
        self._left = 0
        self._movable: dict[str, list[tuple[Run, Movable]]] = {}
        self._ripe_at = float("inf")
        """When the first of those that were too young to be moved no longer is."""
        self._failed: dict[tuple[object, ...], tuple[int, int, float]] = {}
        """What there was no way for: at which version of the ledger, with how many moves, and
        until when at least that holds."""

    def begin(self) -> None:
        """A round of turns begins: find out how many may be moved in it."""
        ledger = self._ledger
        self.again_at = None
        self._left = 0
        if not ledger.policy.migration_budget or not ledger.runs.preemptible:
            return
        since = ledger.now - PERIOD_S
        ledger.moved = {name: at for name, at in ledger.moved.items() if at > since}
        left = int(ledger.policy.migration_budget * len(ledger.held)) - len(ledger.moved)
        self._left = min(MOST_MOVES, left)
        if left < MOST_MOVES and ledger.moved:
            self._look_again_at(min(ledger.moved.values()) + PERIOD_S)

    @property
    def possible(self) -> bool:
        """Whether anything may be moved now."""
        return self._left > 0

    def make_room(
        self,
        leaf: QueueNode,
        request: Request,
        least: Amounts,
        spare: Cluster,
        held: Collection[str],
    ) -> list[Migrate]:
        """Move what must go, and keep all places; nothing when that can't be. spare: what is free
        and held for nobody. held: nodes that are needed by others later: nothing there changes."""
        ledger = self._ledger
        groups = at_minimum(request.groups)
        if len(groups) != 1 or groups[0].replicas_min != 1:
            return []
        group = groups[0]
        sort = (group, request.queue, request.priority)
        plain = spare is ledger.cluster
        if plain and self._has_failed(sort):
            return []
        self._ripe_at = float("inf")
        self._movable.clear()

        def movable(node_id: str) -> list[Movable]:
            if node_id in held:
                return []
            return [
                one
                for run, one in self._movable_on(node_id)
                if run.request.queue != request.queue or run.request.priority <= request.priority
            ]

        room = make_room(group.resources, group.where, spare, movable, self._left, held)
        if room is None:
            if plain:
                if any(version != ledger.version for version, *_ in self._failed.values()):
                    self._failed.clear()
                self._failed[sort] = (ledger.version, self._left, self._ripe_at)
            return []
        place = Placement(group.role, group.first, room.node_id, room.devices)
        exactly = ledger.amounts_of(groups, (place,))
        if exactly != least and not ledger.may_have(leaf, request, exactly):
            return []
        if not all(self._counts_as_much(move) for move in room.moves):
            return []
        gained = format_amounts(dict(exactly))
        until = tuple(move.movable.key for move in room.moves)
        actions = [self._move(move, until, request, gained) for move in room.moves]
        ledger.keep(Kept(request.id, (place,), until))
        self._left -= len(actions)
        return actions

    def _has_failed(self, sort: tuple[object, ...]) -> bool:
        """Whether nothing has changed since there was no way for such a request."""
        version, left, ripe_at = self._failed.get(sort, (-1, 0, 0.0))
        if version != self._ledger.version or self._left > left or self._ledger.now >= ripe_at:
            return False
        if ripe_at < float("inf"):
            self._look_again_at(ripe_at)
        return True

    def _move(self, move: Moved, until: tuple[str, ...], winner: Request, gained: str) -> Migrate:
        ledger = self._ledger
        run = ledger.runs.of(move.movable.key)
        assert run is not None
        request = run.request
        places = (_place_of(run, move),)
        lost_s = run.lost_s(ledger.now)
        ledger.leave(move.movable.key)
        ledger.keep(Kept(request.id, places, until, goes_on=True))
        ledger.moved[request.id] = ledger.now
        return Migrate(request.id, request.owner, places, gained, winner.id, lost_s)

    def _counts_as_much(self, move: Moved) -> bool:
        """Whether it holds no more of anything there: limits may bound single models."""
        run = self._ledger.runs.of(move.movable.key)
        assert run is not None
        there = self._ledger.amounts_of(run.request.groups, (_place_of(run, move),))
        return there == run.keys[move.movable.key]

    # -- who may be moved -------------------------------------------------------------------------

    def _movable_on(self, node_id: str) -> list[tuple[Run, Movable]]:
        if node_id not in self._movable:
            allocations = sorted(self._ledger.held_on(node_id), key=lambda one: one.key)
            self._movable[node_id] = list(self._movable_of(allocations))
        return self._movable[node_id]

    def _movable_of(self, allocations: list[Allocation]) -> Iterator[tuple[Run, Movable]]:
        ledger = self._ledger
        for allocation in allocations:
            run = ledger.runs.of(allocation.key)
            if run is None or run.leaving or not _may_move(run, allocation.key):
                continue
            leaf = ledger.tree.leaf(run.request.queue)
            if not leaf.open or leaf.queue.ordering in TIME_SHARING:
                continue
            ripe = run.since + rest_s(leaf)
            if run.request.id in ledger.moved:
                ripe = max(ripe, ledger.moved[run.request.id] + PERIOD_S)
            if ripe > ledger.now:
                self._ripe_at = min(self._ripe_at, ripe)
                self._look_again_at(ripe)
                continue
            group = run.request.groups[0]
            lost_s = run.lost_s(ledger.now)
            key, devices = allocation.key, allocation.devices
            need = group.resources
            yield run, Movable(key, allocation.node_id, need, devices, group.where, lost_s)

    def _look_again_at(self, time: float) -> None:
        self.again_at = time if self.again_at is None else min(self.again_at, time)


def _may_move(run: Run, key: str) -> bool:
    """One task by itself, as it was asked for, that may be stopped and started again."""
    request = run.request
    return (
        request.preemptible
        and not request.resizable
        and not request.reservation
        and run.keys.keys() == {key}
        and len(request.groups) == 1
        and request.groups[0].replicas_min == 1
    )


def _place_of(run: Run, move: Moved) -> Placement:
    number = int(move.movable.key.rpartition("/")[2])
    return Placement(run.request.groups[0].role, number, move.node_id, move.devices)
