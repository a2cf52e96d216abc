"""The planner: a state machine that is told what happened and says what should.

A plan goes: whose time has come begins to wait; whose turn it is (`queues`: guarantees first, then
the lowest share; inside a queue its own order) starts if queues and limits allow it and there is
room (`placement`); if there is none it holds its place, and others may pass without delaying it
(`turns`); or room is made for it (`preemption`); what is idle then lets elastic ones grow
(`elastic`). Queues that share in time decide in rounds (`rounds`). Those who wait are told why
(`reasons`).

Cost: nothing happens when nothing changed; equal requests are looked at once: a plan costs work
for each *different* shape that waits, not for each request.
"""

from __future__ import annotations

from collections.abc import Iterable

from madang.scheduling.elastic import grow
from madang.scheduling.ledger import Ledger
from madang.scheduling.model import (
    Action,
    Asked,
    Began,
    Event,
    Held,
    Leaving,
    LimitSet,
    NodeGone,
    NodeSet,
    PolicySet,
    QueueGone,
    QueueSet,
    Released,
    Reserved,
    Running,
    Snapshot,
    Unreserved,
    Wait,
    Withdrawn,
)
from madang.scheduling.queues import QueueNode, QueueTree
from madang.scheduling.reasons import Teller
from madang.scheduling.rounds import Rounds
from madang.scheduling.turns import Turns
from madang.scheduling.why import Why, why

WAITS_TOLD = 100
"""How many of each queue are told by `plan` why they wait, the first in line first; any other by
`explain`."""


class Planner:
    """Deterministic: after any sequence of events it acts as one freshly loaded with the same
    state. Not thread-safe."""

    def __init__(self) -> None:
        self._ledger = Ledger()
        self._rounds = Rounds(self._ledger)
        self._turns = Turns(self._ledger)
        self._teller: Teller | None = None
        self._told_until = float("inf")
        self._waits: list[Wait] | None = None

    def load(self, snapshot: Snapshot) -> None:
        """Forget everything and begin with `snapshot`."""
        Planner.__init__(self)
        self._ledger.load(snapshot)

    def apply(self, events: Iterable[Event]) -> None:
        """Take in what has happened. Repeating an event changes nothing."""
        ledger = self._ledger
        for event in events:
            match event:
                case Asked(request):
                    ledger.ask(request)
                case Released(key):
                    ledger.release(key)
                case Began(running):
                    ledger.begin(running)
                case Held(allocation):
                    ledger.hold(allocation)
                case Withdrawn(request_id):
                    ledger.withdraw(request_id)
                case Leaving(key):
                    ledger.leave(key)
                case NodeSet(node):
                    ledger.set_node(node)
                    self._turns.forget(nodes=True)
                case NodeGone(node_id):
                    ledger.forget_node(node_id)
                    self._turns.forget(nodes=True)
                case QueueSet(queue):
                    ledger.set_queue(queue)
                case QueueGone(queue_id):
                    ledger.forget_queue(queue_id)
                case LimitSet(limit):
                    ledger.set_limit(limit)
                case Reserved(reservation):
                    ledger.set_reservation(reservation)
                case Unreserved(reservation_id):
                    ledger.forget_reservation(reservation_id)
                case PolicySet(policy):
                    ledger.set_policy(policy)

    def plan(self, now: float, *, waits: bool = True) -> list[Action]:
        """What to do now, and (with `waits`) why the first in line of each queue wait. What is
        started, stopped or changed counts as such at once."""
        ledger = self._ledger
        ledger.wake(now)
        ledger.drop_orphans()
        actions: list[Action] = []
        again_at = self._turns.again_at
        if again_at is not None and now >= again_at:
            ledger.changed = ledger.loosened = True
        if ledger.tree.shares_in_time and self._rounds.due(now):
            ledger.changed = True
        if not ledger.loosened and ledger.has_drifted():
            ledger.changed = ledger.loosened = True
        if ledger.changed:
            ledger.settle()
            self._waits = self._teller = None
            actions += self._decide()
        elif now >= self._told_until:
            self._waits = self._teller = None
        if waits:
            actions += self._tell()
        return actions

    def explain(self, request_id: str) -> Wait | None:
        """Why this one waits; None when it does not wait, or waits for its time only."""
        ledger = self._ledger
        request = ledger.requests.get(request_id)
        if request is None or not ledger.waits(request_id):
            return None
        return self.teller().wait(request)

    def why(self, request_id: str) -> Why | None:
        """The same with all that was counted; None when it does not wait."""
        ledger = self._ledger
        request = ledger.requests.get(request_id)
        if request is None or not ledger.waits(request_id):
            return None
        return why(self.teller(), ledger, request)

    def next_time(self) -> float | None:
        """When a plan may come out differently without any event."""
        times = [self._ledger.next_wake(), self._turns.again_at]
        if self._ledger.tree.shares_in_time:
            times.append(self._rounds.next_at())
        if self._teller is not None and self._told_until < float("inf"):
            times.append(self._told_until)
        return min((time for time in times if time is not None), default=None)

    def snapshot(self, now: float | None = None) -> Snapshot:
        """All that there is: a planner loaded with it acts as this one. now: of usage; None: the
        last plan's."""
        return self._ledger.snapshot(now)

    @property
    def held_keys(self) -> Iterable[str]:
        """Keys of all that is held."""
        return self._ledger.held.keys()

    @property
    def running(self) -> dict[str, Running]:
        """What runs, by request."""
        return {run.request.id: run.told for run in self._ledger.runs}

    # -- deciding -----------------------------------------------------------------------------

    def _decide(self) -> list[Action]:
        """Turns, until nothing more comes of them: a start may move the place that a head will
        have, or the share of a queue, and so make room for somebody else."""
        ledger, turns = self._ledger, self._turns
        actions = self._rounds.decide() if ledger.tree.shares_in_time else []
        while ledger.changed:
            actions += self._turn_by_turn()
            if ledger.runs.resizable:
                actions, grew = grow(ledger, turns.spare, actions)
                # What grew into what is idle may leave a head another place to hold, and changes
                # shares: somebody may have some of it back.
                again = grew and bool(turns.heads or ledger.runs.preemptible)
                ledger.changed = ledger.loosened = again
        return actions

    def _turn_by_turn(self) -> list[Action]:
        ledger, turns = self._ledger, self._turns
        actions: list[Action] = []
        while ledger.changed:
            if ledger.kept:
                actions += turns.start_winners()
            newcomers_only = bool(turns.heads) and not ledger.loosened
            if ledger.loosened:
                turns.forget(nodes=False)
            done = turns.take_newcomers() if newcomers_only else None
            if done is None:
                # Who can't start may still be ahead of others of its queue, and so decide which
                # queue's turn it is.
                everybody = bool(ledger.loosened or turns.heads or ledger.tree.contended)
                if everybody:
                    _give_turns(ledger.tree)
                done = turns.take(everybody=everybody)
            again = bool(done) and bool(turns.heads or ledger.runs.preemptible)
            ledger.changed = ledger.loosened = again
            actions += done
        return actions

    # -- telling ------------------------------------------------------------------------------

    def _tell(self) -> list[Wait]:
        if self._waits is None:
            self._waits = []
            for leaf in sorted(set(self._ledger.tree.leaves), key=lambda leaf: leaf.id):
                self._waits += self._waits_of(leaf)
        return list(self._waits)

    def _waits_of(self, leaf: QueueNode) -> Iterable[Wait]:
        assert leaf.line is not None
        ledger = self._ledger
        for request_id in sorted(ledger.kept):
            if ledger.waits(request_id) and ledger.requests[request_id].queue == leaf.id:
                yield self.teller().wait(ledger.requests[request_id])
        for ahead, key in enumerate(leaf.line.in_order(leaf)):
            if ahead == WAITS_TOLD:
                return
            yield self.teller().wait(ledger.requests[key[2]])

    def teller(self) -> Teller:
        """Who can say why anybody waits, as things are now."""
        if self._ledger.changed:
            return Teller(self._ledger, self._turns.heads)
        if self._teller is None:
            self._teller = Teller(self._ledger, self._turns.heads)
            self._told_until = self._teller.good_until
        return self._teller


def _give_turns(tree: QueueTree) -> None:
    """Everybody who waits may be able to start."""
    for leaf in tree.leaves:
        assert leaf.line is not None
        for alike in leaf.line:
            leaf.line.wake(alike)
        tree.touch(leaf)
