"""Queues that share in time (`timeshare`): when their rounds are, and that what a round decided
happens as soon as those who must leave have left.

Between rounds nothing of such a queue starts but that. What was decided and could not happen by
the next round (a task is slow to stop, somebody else took the place) is decided anew then.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import islice

from madang.core.resources import MILLI
from madang.scheduling.ledger import Ledger
from madang.scheduling.model import (
    Action,
    Kept,
    Migrate,
    Placement,
    Preempt,
    Request,
    Start,
)
from madang.scheduling.ordering import TIME_SHARING
from madang.scheduling.queues import QueueNode
from madang.scheduling.runs import Run
from madang.scheduling.timeshare import Round, View, plan_round

MOST_JUDGED = 4096
"""So many who wait in a queue, the first in line, take part in its round."""


class Rounds:
    """Of all queues that share in time. Its decisions count in the ledger at once."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger
        self._last: dict[str, float] = {}
        self._targets: dict[str, Kept] = {}

    def due(self, now: float) -> bool:
        """Whether a queue's round has come."""
        return any(self._is_due(leaf, now) for leaf in self._leaves())

    def next_at(self) -> float | None:
        """When the next round is; None when there is nobody to decide over."""
        round_s = self._ledger.policy.round_s
        times = [
            (self._last.get(leaf.id, -1.0) + 1) * round_s
            for leaf in self._leaves()
            if self._has_jobs(leaf)
        ]
        return min(times, default=None)

    def decide(self) -> list[Action]:
        """Start those whose places are free at last; then the rounds that are due."""
        actions: list[Action] = list(self._start_winners())
        now = self._ledger.now
        for leaf in self._leaves():
            if self._is_due(leaf, now):
                self._last[leaf.id] = now // self._ledger.policy.round_s
                self._forget(leaf)
                actions += self._carry_out(leaf, plan_round(self._view(leaf), now))
        return actions

    # -- when ---------------------------------------------------------------------------------

    def _leaves(self) -> Sequence[QueueNode]:
        leaves = {leaf.id: leaf for leaf in self._ledger.tree.leaves}
        return [
            leaves[leaf_id]
            for leaf_id in sorted(leaves)
            if leaves[leaf_id].queue.ordering in TIME_SHARING
        ]

    def _is_due(self, leaf: QueueNode, now: float) -> bool:
        return now // self._ledger.policy.round_s != self._last.get(leaf.id)

    def _has_jobs(self, leaf: QueueNode) -> bool:
        assert leaf.line is not None
        return any(True for _ in leaf.line) or any(True for _ in self._runs(leaf))

    # -- what ---------------------------------------------------------------------------------

    def _view(self, leaf: QueueNode) -> View:
        ledger = self._ledger
        assert leaf.line is not None
        line = islice(leaf.line.in_order(leaf), MOST_JUDGED)
        waiting = [ledger.requests[key[2]] for key in line] if leaf.open else []
        runs = [run for run in self._runs(leaf) if run.keys and not run.leaving]
        held = {run.request.id: [ledger.held[key] for key in run.keys] for run in runs}
        return View(
            ordering=leaf.queue.ordering,
            waiting=[request for request in waiting if request.id not in ledger.kept],
            running=[run.told for run in runs],
            held=held,
            cluster=ledger.cluster,
            budget_milli=self._budget_milli(leaf),
            preemption=ledger.policy.preemption,
        )

    def _runs(self, leaf: QueueNode) -> Iterator[Run]:
        tree = self._ledger.tree
        return (run for run in self._ledger.runs if tree.leaf(run.request.queue) is leaf)

    def _budget_milli(self, leaf: QueueNode) -> int | None:
        """What the queue holds and may take beside; None when it may take all there is."""
        tree, kinds = self._ledger.tree, self._ledger.kinds
        held = sum(leaf.use.get(kind, 0) for kind in kinds)
        total = 0
        bounded = False
        for kind in sorted(kinds):
            low, high = 0, tree.capacity.get(kind, 0) // MILLI
            if tree.full(leaf, ((kind, high * MILLI),), returnable=True) is None:
                low = high
            else:
                bounded = True
            while low < high:
                middle = (low + high + 1) // 2
                fits = tree.full(leaf, ((kind, middle * MILLI),), returnable=True) is None
                low, high = (middle, high) if fits else (low, middle - 1)
            total += low * MILLI
        return held + total if bounded else None

    # -- making it so -------------------------------------------------------------------------

    def _forget(self, leaf: QueueNode) -> None:
        ledger = self._ledger
        for request_id in list(self._targets):
            request = ledger.requests.get(request_id)
            run = ledger.runs.get(request_id)
            known = request or (run.request if run else None)
            if known is None or ledger.tree.leaf(known.queue) is leaf:
                del self._targets[request_id]

    def _carry_out(self, leaf: QueueNode, decided: Round) -> Iterator[Action]:
        ledger = self._ledger
        self._targets |= {kept.request_id: kept for kept in decided.kept}
        for action in decided.actions:
            if isinstance(action, Start):
                yield from self._start(leaf, action.request, action.placements)
            elif isinstance(action, Preempt | Migrate):
                run = ledger.runs.get(action.request_id)
                assert run is not None
                for key in list(run.keys):
                    ledger.leave(key)
                yield action

    def _start_winners(self) -> Iterator[Start]:
        ledger = self._ledger
        for request_id, kept in list(self._targets.items()):
            # Not "held": one that was moved may hold its new place by the same key already.
            if any(ledger.runs.is_leaving(key) for key in kept.until):
                continue
            request = ledger.requests.get(request_id)
            if request is None or not ledger.waits(request_id):
                continue  # it has not been asked for again yet
            del self._targets[request_id]
            leaf = ledger.tree.leaf(request.queue)
            yield from self._start(leaf, request, kept.placements)

    def _start(
        self, leaf: QueueNode, request: Request, places: Sequence[Placement]
    ) -> Iterator[Start]:
        """If limits allow it, and nobody else has taken the place."""
        ledger = self._ledger
        if not ledger.may_have(leaf, request, ledger.amounts_of(request.groups, places)):
            return
        placements = self._take(request, places)
        if placements:
            ledger.start(request, request.groups, placements)
            yield Start(request, placements)

    def _take(self, request: Request, places: Sequence[Placement]) -> tuple[Placement, ...]:
        """Devices of the nodes that were chosen; all that are needed, or none."""
        cluster = self._ledger.cluster
        needs = {group.role: group.resources for group in request.groups}
        taken: list[Placement] = []
        for place in places:
            devices = cluster.fit(place.node_id, needs[place.role])
            if devices is None:
                for other in taken:
                    cluster.give(other.node_id, needs[other.role], other.devices)
                return ()
            cluster.take(place.node_id, needs[place.role], devices)
            taken.append(replace(place, devices=devices))
        return tuple(taken)
