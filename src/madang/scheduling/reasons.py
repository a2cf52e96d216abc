"""Why a request waits, in one sentence, with what would have to be done about it.

All that stands in its way is found, not only what the planner met first: what is done about one
thing alone would not make it start. The first of them gives the sentence, the others its clauses.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from madang.core.reasons import Reason, ReasonCode
from madang.scheduling.backfill import FOREVER
from madang.scheduling.bounds import Bounds, iso, name_of
from madang.scheduling.lacking import Case, Step
from madang.scheduling.ledger import Ledger
from madang.scheduling.model import Request, Wait
from madang.scheduling.obstacles import Obstacles
from madang.scheduling.queues import QueueNode

_BEYOND_ROOM = frozenset(
    {
        ReasonCode.QUEUE_CLOSED,
        ReasonCode.QUEUE_LIMIT,
        ReasonCode.BORROWING_LIMIT,
        ReasonCode.GUARANTEE_KEPT,
        ReasonCode.SUBJECT_LIMIT,
        ReasonCode.SUBJECT_RUNNING,
    }
)

_NEED_TIME = _BEYOND_ROOM | {
    ReasonCode.RESOURCES,
    ReasonCode.GANG,
    ReasonCode.WINDOW_OVER,
    ReasonCode.STOPPING,
    ReasonCode.KEPT_FOR_ANOTHER,
}
"""Without knowing when these are gone nobody knows when it starts."""

_NEVER = frozenset(
    {
        ReasonCode.NO_NODE,
        ReasonCode.NODES_CLOSED,
        ReasonCode.NO_DEVICE,
        ReasonCode.TOO_LARGE,
        ReasonCode.GANG_TOO_LARGE,
        ReasonCode.TOGETHER_TOO_LARGE,
        ReasonCode.APART_TOO_FEW,
        ReasonCode.NO_POOL,
        ReasonCode.NO_LABEL,
    }
)

_STATIC = frozenset({"fifo", "priority"})
"""Orders in which nothing but who waits says who is first."""

_CLAUSES_TOLD = 2
"""So many further reasons are told; facts and remedy have all of them."""


class Teller:
    """The answers for one state of the ledger; made anew when something changes.

    heads: whose places are held, in the order in which they were taken (`turns.Turns.heads`).
    rounds: of queues that share in time, when they decide next.
    """

    def __init__(
        self,
        ledger: Ledger,
        heads: Mapping[tuple[str, str], str],
        *,
        rounds: Mapping[str, float] | None = None,
    ) -> None:
        self._ledger = ledger
        self._rounds = rounds or {}
        self._heads = heads
        self._bounds = Bounds(ledger)
        self.obstacles = Obstacles(ledger, heads)
        self._are_bounds = bool(ledger.tree.names() or list(ledger.limits))
        self._held_ids = frozenset(heads.values())
        self._alike: dict[tuple[object, ...], tuple[list[Case], float | None]] = {}
        self._starts: dict[tuple[object, ...], float | None] = {}

    # -- the answer ---------------------------------------------------------------------------

    def wait(self, request: Request) -> Wait:
        """Why it waits, and when it is expected to start, where that is known."""
        leaf = self._ledger.tree.leaf(request.queue)
        cases, expected = self._found(request, leaf)
        ahead = self.ahead(request, leaf)
        first = cases[0] if cases else self._behind(request, leaf, ahead)
        others = [case for case in cases[1:]]
        facts: dict[str, Any] = dict(first.facts)
        facts["ahead"] = ahead
        also = [*first.also]
        for case in others[:_CLAUSES_TOLD]:
            also.append({"code": str(case.code), "facts": case.facts})
            also.extend(case.also)
        also.extend(self._place_in_line(request, leaf, ahead, first))
        if self._are_bounds and not any(
            case.code in _BEYOND_ROOM or case.code in _NEVER for case in cases
        ):
            also.append({"code": "quota_allows", "facts": {}})
        facts["also"] = also
        facts["remedy"] = [*self._go_first(request, leaf, ahead), *_steps(cases or [first])]
        return Wait(request.id, Reason(first.code, facts), expected)

    def _found(self, request: Request, leaf: QueueNode) -> tuple[list[Case], float | None]:
        """What stands in its way, and when it is expected to start: the same for all that are
        alike."""
        ledger = self._ledger
        if request.id in ledger.kept or request.id in self._held_ids:
            cases = list(self._cases(request, leaf))
            return cases, self._expected(request, cases)
        sort = (
            request.groups,
            leaf.id,
            request.user,
            request.project,
            request.time_limit_s,
            request.expected_s,
            request.preemptible,
            request.reservation,
            request.priority,
        )
        if sort not in self._alike:
            cases = list(self._cases(request, leaf))
            self._alike[sort] = (cases, self._expected(request, cases))
        return self._alike[sort]

    def leaf_of(self, request: Request) -> QueueNode:
        """Where it waits."""
        return self._ledger.tree.leaf(request.queue)

    def line(self, leaf: QueueNode) -> list[str]:
        """Who waits there (ids), in order."""
        assert leaf.line is not None
        return [key[2] for key in leaf.line.in_order(leaf)]

    def ahead(self, request: Request, leaf: QueueNode) -> int:
        """How many of its queue go before it: those for whom others are being stopped, then those
        before it in the queue's order."""
        if request.id in self._ledger.kept:
            return 0
        assert leaf.line is not None
        before = leaf.line.ahead(request, leaf)
        return before + sum(
            self._ledger.tree.leaf(r.queue) is leaf for r in self._winners(request)
        )

    def _winners(self, request: Request) -> list[Request]:
        """Others who wait for places that are kept for them."""
        ledger = self._ledger
        waiting = (one for one in sorted(ledger.kept) if ledger.waits(one))
        return [ledger.requests[one] for one in waiting if one != request.id]

    # -- what stands in the way ---------------------------------------------------------------

    def _cases(self, request: Request, leaf: QueueNode) -> Iterator[Case]:
        kept = self._ledger.kept.get(request.id)
        obstacles = self.obstacles
        if kept is not None:
            yield obstacles.stopping(kept.until)
            return
        never = obstacles.never(request.groups)
        if never is not None:
            yield never
        amounts = obstacles.amounts(request)
        room = []
        if never is None or never.code is ReasonCode.NODES_CLOSED:
            room = list(obstacles.room(request, never))
        ended = {one for case in room for step in case.steps for one in step.get("requests", ())}
        if self._ledger.reservations:
            room += obstacles.windows_then(request, never, ended)
        yield from self._bounds.cases(request, leaf, amounts)
        there = obstacles.there_then(never)
        yield from self._bounds.kept_for_others(request, leaf, amounts, ended, there)
        yield from obstacles.window(request)
        if leaf.id in self._rounds:
            at = self._rounds[leaf.id]
            facts = {"queue": name_of(leaf), "from_at": iso(at)}
            yield Case(ReasonCode.ROUND, facts, [{"do": "wait", "until_at": iso(at)}], [], at)
        yield from room

    def _behind(self, request: Request, leaf: QueueNode, ahead: int) -> Case:
        """Nothing is in its way but those before it."""
        head = next((head for (queue, _), head in self._heads.items() if queue == leaf.id), "")
        if not self._ledger.policy.backfill and head and head != request.id:
            facts = {"job": self.obstacles.owner(head), "queue": name_of(leaf)}
            return Case(ReasonCode.STRICT_ORDER, facts)
        return Case(ReasonCode.QUEUED, {"ahead": ahead, "queue": name_of(leaf)})

    # -- the line -----------------------------------------------------------------------------

    def _place_in_line(
        self, request: Request, leaf: QueueNode, ahead: int, first: Case
    ) -> Iterator[Step]:
        queue = name_of(leaf)
        if first.code is ReasonCode.QUEUED or not queue:
            return
        if ahead == 0:
            yield {"code": "next", "facts": {"queue": queue}}
        elif ahead == 1:
            yield {"code": "one_ahead", "facts": {"queue": queue}}
        else:
            yield {"code": "ahead", "facts": {"ahead": ahead, "queue": queue}}

    def _go_first(self, request: Request, leaf: QueueNode, ahead: int) -> list[Step]:
        """It goes before all that might have the place otherwise: those before it in its queue
        (all, where who ends may change who is first), other queues, those whose place is kept."""
        others = sorted(
            other.id
            for other in self._ledger.tree.leaves
            if other is not leaf and other.line is not None and other.line.size
        )
        winners = [winner.id for winner in self._winners(request)]
        assert leaf.line is not None
        if leaf.queue.ordering not in _STATIC:
            ahead = max(ahead, leaf.line.size - 1)
        if not ahead and not others and not winners:
            return []
        step: Step = {"do": "go_first", "queue": leaf.id, "ahead": ahead, "queues": others}
        return [step | {"requests": winners}]

    # -- when ---------------------------------------------------------------------------------

    def _expected(self, request: Request, cases: Sequence[Case]) -> float | None:
        if not cases or any(case.code in _NEVER for case in cases):
            return None
        if any(case.code in _NEED_TIME and case.expected is None for case in cases):
            return None
        start = self.obstacles.profile.held_from(request.id) or self._earliest(request)
        if start is None:
            return None
        times = [start, *(case.expected for case in cases if case.expected is not None)]
        return max(times) if max(times) > self._ledger.now else None

    def _earliest(self, request: Request) -> float | None:
        lasts = request.time_limit_s or None
        key = (request.groups, lasts, request.reservation, request.preemptible)
        if key not in self._starts:
            found = self.obstacles.profile.earliest(
                request.groups,
                lasts,
                reservation=request.reservation,
                yields=request.preemptible,
            )
            self._starts[key] = found[0] if found is not None else None
        return self._starts[key]

    @property
    def good_until(self) -> float:
        """When answers may be others though nothing happened: something is expected to end then,
        or a window begins or ends."""
        until = self._ledger.next_boundary()
        return FOREVER if until is None else until

    # -- who ----------------------------------------------------------------------------------


def _steps(cases: Sequence[Case]) -> list[Step]:
    return [step for case in cases for step in case.steps]
