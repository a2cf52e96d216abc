"""Why a request waits, in one sentence, with what would have to be done about it.

All that stands in its way is found, not only what the planner met first: what is done about one
thing alone would not make it start. The first of them gives the sentence, the others its clauses.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from madang.core.reasons import Reason, ReasonCode
from madang.scheduling import sums
from madang.scheduling.backfill import FOREVER, Profile, at_minimum
from madang.scheduling.bounds import Bounds, frees, has_known_end, iso, name_of
from madang.scheduling.lacking import Case, Lacking, Shape, Step
from madang.scheduling.ledger import Ledger
from madang.scheduling.model import Placement, Request, Wait
from madang.scheduling.placement import Cluster, place
from madang.scheduling.queues import QueueNode
from madang.scheduling.timeline import Release, series_of

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

_STATIC = frozenset({"fifo", "priority"})
"""Orders in which nothing but who waits says who is first."""

_CLAUSES_TOLD = 2
"""So many further reasons are told; facts and remedy have all of them."""


class Teller:
    """The answers for one state of the ledger; made anew when something changes.

    heads: whose places are held, in the order in which they were taken (`turns.Turns.heads`).
    young: of a request, those who may be stopped for it later (ids), and when. rounds: of queues
    that share in time, when they decide next.
    """

    def __init__(
        self,
        ledger: Ledger,
        heads: Mapping[tuple[str, str], str],
        *,
        young: Mapping[str, tuple[Sequence[str], float]] | None = None,
        rounds: Mapping[str, float] | None = None,
    ) -> None:
        self._ledger = ledger
        self._young = young or {}
        self._rounds = rounds or {}
        self._heads = heads
        self._bounds = Bounds(ledger)
        self._free = _without_kept(ledger)
        self.lacking = Lacking(self._free, list(ledger.nodes.values()), ledger.held_on)
        self._profile: Profile | None = None
        self._are_bounds = bool(ledger.tree.names() or list(ledger.limits))
        self._never: dict[Shape, Case | None] = {}
        self._held_ids = frozenset(heads.values())
        self._alike: dict[tuple[object, ...], tuple[list[Case], float | None]] = {}
        self._rooms: dict[tuple[object, ...], list[Case]] = {}
        self._starts: dict[tuple[object, ...], float | None] = {}
        self._profile_if_opened: Profile | None = None

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
            case.code in _BEYOND_ROOM or self._is_never(case) for case in cases
        ):
            also.append({"code": "quota_allows", "facts": {}})
        facts["also"] = also
        facts["remedy"] = [*self._go_first(request, leaf, ahead), *_steps(cases or [first])]
        return Wait(request.id, Reason(first.code, facts), expected)

    def _found(self, request: Request, leaf: QueueNode) -> tuple[list[Case], float | None]:
        """What stands in its way, and when it is expected to start: the same for all that are
        alike."""
        ledger = self._ledger
        if request.id in ledger.kept or request.id in self._young or request.id in self._held_ids:
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
        )
        if sort not in self._alike:
            cases = list(self._cases(request, leaf))
            self._alike[sort] = (cases, self._expected(request, cases))
        return self._alike[sort]

    def ahead(self, request: Request, leaf: QueueNode) -> int:
        """How many of its queue go before it: those for whom others are being stopped, then those
        before it in the queue's order."""
        if request.id in self._ledger.kept:
            return 0
        assert leaf.line is not None
        before = leaf.line.ahead(request, leaf) if leaf.line.waits(request) else 0
        return before + sum(
            self._ledger.tree.leaf(r.queue) is leaf for r in self._winners(request)
        )

    def _winners(self, request: Request) -> list[Request]:
        """Others for whom places are kept."""
        ledger = self._ledger
        return [ledger.requests[one] for one in sorted(ledger.kept) if one != request.id]

    # -- what stands in the way ---------------------------------------------------------------

    def _cases(self, request: Request, leaf: QueueNode) -> Iterator[Case]:
        kept = self._ledger.kept.get(request.id)
        if kept is not None:
            yield self._stopping(kept.until)
            return
        never = self.never(request.groups)
        if never is not None:
            yield never
        amounts = self._amounts(request)
        room = []
        if never is None or never.code is ReasonCode.NODES_CLOSED:
            room = list(self._room(request, never))
        ended = {one for case in room for step in case.steps for one in step.get("requests", ())}
        yield from self._bounds.cases(request, leaf, amounts)
        yield from self._bounds.kept_for_others(request, leaf, amounts, ended)
        yield from self._window(request)
        if leaf.id in self._rounds:
            at = self._rounds[leaf.id]
            facts = {"queue": name_of(leaf), "from_at": iso(at)}
            yield Case(ReasonCode.ROUND, facts, [{"do": "wait", "until_at": iso(at)}], [], at)
        yield from room

    def never(self, groups: Shape) -> Case | None:
        """Why it could not start though nothing ran; None: it could."""
        if groups not in self._never:
            self._never[groups] = self.lacking.ever(groups)
        return self._never[groups]

    def _is_never(self, case: Case) -> bool:
        return case in self._never.values()

    def _amounts(self, request: Request) -> tuple[tuple[str, int], ...]:
        """What it would hold: where it would be placed now, if it fits; else what it asks for."""
        meter = self._ledger.meter
        needs = {group.role: group.resources for group in request.groups}
        least = sums.of_groups(meter, at_minimum(request.groups))
        if not meter.named and all(n.device_milli or not n.device_kind for n in needs.values()):
            return least
        attempt = place(at_minimum(request.groups), self._free.copy())
        if not attempt.complete:
            return least
        total: dict[str, int] = {}
        for p in attempt.placements:
            node = self._ledger.nodes[p.node_id]
            sums.add(total, meter.replica(needs[p.role], p.devices, node))
        return sums.amounts_of(total)

    def _stopping(self, keys: Sequence[str]) -> Case:
        runs = {run.request.id: run for key in keys if (run := self._ledger.runs.of(key))}
        jobs = [run.request.owner for run in runs.values()]
        step: Step = {"do": "end", "requests": list(runs), "jobs": jobs}
        return Case(ReasonCode.STOPPING, {"jobs": jobs}, [step])

    def _window(self, request: Request) -> Iterator[Case]:
        """A request for a reservation starts in one of its windows only."""
        if not request.reservation:
            return
        now = self._ledger.now
        windows = [w for w in self._ledger.windows() if series_of(w.id) == request.reservation]
        if any(window.start <= now for window in windows):
            return
        facts = {"reservation": request.reservation}
        if not windows:
            yield Case(ReasonCode.WINDOW_OVER, facts, [{"do": "without_reservation"}])
            return
        at = min(window.start for window in windows)
        steps: list[Step] = [{"do": "wait", "until_at": iso(at)}]
        yield Case(ReasonCode.WINDOW_BEGINS, facts | {"from_at": iso(at)}, steps, [], at)

    def _room(self, request: Request, closed: Case | None) -> Iterator[Case]:
        """What is lacking now, or held for others; the same for all of a shape."""
        key = (
            request.groups,
            request.time_limit_s,
            request.reservation,
            request.preemptible,
        )
        if key not in self._rooms:
            self._rooms[key] = list(self._room_cases(request, opened=closed is not None))
        cases = self._rooms[key]
        if any(case.code in (ReasonCode.RESOURCES, ReasonCode.GANG) for case in cases):
            yield from self._victims(request)
        yield from cases

    def _room_cases(self, request: Request, *, opened: bool) -> Iterator[Case]:
        """opened: as if all nodes were open."""
        cluster = self.lacking.opened_now if opened else self._free
        profile = self._opened_profile() if opened else self.profile
        case = self.lacking.now(request.groups, cluster)
        if case is not None:
            yield self._with_ends(case, request, profile)
        else:
            yield from self._held(request, profile)

    def _with_ends(self, case: Case, request: Request, profile: Profile) -> Case:
        """With what has to end so that it fits, and when that is expected."""
        lasts = request.time_limit_s or None
        found = profile.earliest(
            request.groups, lasts, reservation=request.reservation, alone=True
        )
        if found is None:
            return self._with_any_ends(case, request.groups)
        time, placements = found
        releases = profile.freeing(placements, request.groups)
        owners = self._owners(releases)
        if not owners:
            return Case(case.code, case.facts, [], [], time)
        runs = self._ledger.runs
        known = all(has_known_end(runs.get(release.request_id)) for release in releases)
        return self._ends(case, owners, time if known else None)

    def _with_any_ends(self, case: Case, groups: Shape) -> Case:
        """Nobody knows when it fits: what runs where it would fit if nothing did."""
        attempt = place(at_minimum(groups), self.lacking.opened.copy())
        return self._ends(case, self._on_nodes(attempt.placements), None)

    def _ends(self, case: Case, owners: Mapping[str, str], time: float | None) -> Case:
        """owners: the requests that have to end, and whose they are."""
        jobs = _distinct(owners.values())
        step: Step = {"do": "end", "requests": list(owners), "jobs": jobs}
        return Case(case.code, case.facts, [step], [frees(jobs, time)] if jobs else [], time)

    def _victims(self, request: Request) -> Iterator[Case]:
        if request.id in self._young:
            victims, at = self._young[request.id]
            jobs = [self._owner(victim) for victim in victims]
            steps: list[Step] = [{"do": "wait", "until_at": iso(at)}]
            facts = {"jobs": jobs, "from_at": iso(at)}
            yield Case(ReasonCode.VICTIMS_YOUNG, facts, steps, [], at)

    def _held(self, request: Request, profile: Profile) -> Iterator[Case]:
        """It fits, but what it would take is held for others."""
        lasts = request.time_limit_s or None
        holders = profile.in_the_way(
            request.groups,
            lasts,
            reservation=request.reservation,
            yields=request.preemptible,
        )
        if not holders:
            return
        windows = [holder for holder in holders if profile.is_window(holder)]
        first = windows[0] if windows else holders[0]
        if windows:
            start = self._ledger.reservations[first].start
        elif first in self._ledger.kept:
            step: Step = {"do": "pass", "requests": list(holders)}
            yield Case(ReasonCode.KEPT_FOR_ANOTHER, {"job": self._owner(first)}, [step])
            return
        else:
            start = profile.held_from(first) or self._ledger.now
        also: list[Step] = []
        by = start - self._ledger.now
        if by > 0 and not profile.in_the_way(request.groups, by, reservation=request.reservation):
            also.append({"code": "shorter", "facts": {"by_at": iso(start)}})
        if windows:
            step = {"do": "cancel_reservation", "reservations": windows}
            facts = {"reservation": series_of(first), "from_at": iso(start)}
            yield Case(ReasonCode.WINDOW_AHEAD, facts, [step], also)
            return
        step = {"do": "pass", "requests": list(holders)}
        facts = {"job": self._owner(first), "from_at": iso(start)}
        yield Case(ReasonCode.WOULD_DELAY, facts, [step], also)

    def _behind(self, request: Request, leaf: QueueNode, ahead: int) -> Case:
        """Nothing is in its way but those before it."""
        head = next((head for (queue, _), head in self._heads.items() if queue == leaf.id), "")
        if not self._ledger.policy.backfill and head and head != request.id:
            facts = {"job": self._owner(head), "queue": name_of(leaf)}
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

    @property
    def profile(self) -> Profile:
        """What frees when, with windows and the places of heads."""
        if self._profile is None:
            self._profile = self._profile_of(self._free)
        return self._profile

    def _opened_profile(self) -> Profile:
        if self._profile_if_opened is None:
            self._profile_if_opened = self._profile_of(self.lacking.opened_now)
        return self._profile_if_opened

    def _profile_of(self, cluster: Cluster) -> Profile:
        ledger = self._ledger
        own: dict[str, list[Release]] = {}
        for key, release in ledger.all_releases().items():
            run = ledger.runs.of(key)
            if run is not None and run.request.reservation:
                own.setdefault(run.request.reservation, []).append(release)
        profile = Profile(cluster, ledger.all_releases(), ledger.now, ledger.windows(), own)
        for kept in ledger.kept.values():
            groups = ledger.requests[kept.request_id].groups
            profile.hold(kept.request_id, ledger.now, kept.placements, groups)
        for head in self._heads.values():
            request = ledger.requests.get(head)
            if request is None:
                continue
            lasts = request.time_limit_s or None
            found = profile.earliest(request.groups, lasts, reservation=request.reservation)
            if found is not None:
                profile.hold(head, *found, request.groups, lasts)
        return profile

    def _expected(self, request: Request, cases: Sequence[Case]) -> float | None:
        if not cases or any(self._is_never(case) for case in cases):
            return None
        if any(case.code in _NEED_TIME and case.expected is None for case in cases):
            return None
        start = self.profile.held_from(request.id) or self._earliest(request)
        if start is None:
            return None
        times = [start, *(case.expected for case in cases if case.expected is not None)]
        return max(times) if max(times) > self._ledger.now else None

    def _earliest(self, request: Request) -> float | None:
        lasts = request.time_limit_s or None
        key = (request.groups, lasts, request.reservation)
        if key not in self._starts:
            found = self.profile.earliest(request.groups, lasts, reservation=request.reservation)
            self._starts[key] = found[0] if found is not None else None
        return self._starts[key]

    @property
    def good_until(self) -> float:
        """When answers may be others though nothing happened: something is expected to end then,
        or a window begins or ends."""
        until = self._ledger.next_boundary()
        return FOREVER if until is None else until

    # -- who ----------------------------------------------------------------------------------

    def _owner(self, request_id: str) -> str:
        run = self._ledger.runs.get(request_id)
        request = run.request if run is not None else self._ledger.requests.get(request_id)
        return request.owner if request is not None else request_id

    def _owners(self, releases: Sequence[Release]) -> dict[str, str]:
        """Requests that hold these, and whose they are."""
        owners: dict[str, str] = {}
        for release in releases:
            if release.request_id:
                owners[release.request_id] = self._owner(release.request_id)
            else:
                owners |= self._on_nodes([Placement("", 0, release.node_id)], unknown=True)
        return owners

    def _on_nodes(
        self, placements: Sequence[Placement], *, unknown: bool = False
    ) -> dict[str, str]:
        """All that run there; `unknown`: only what no request is known for."""
        owners: dict[str, str] = {}
        for node_id in dict.fromkeys(p.node_id for p in placements):
            for allocation in self._ledger.held_on(node_id):
                run = self._ledger.runs.of(allocation.key)
                owner = allocation.key.rsplit("/", 2)[0]
                if run is None:
                    owners[owner] = owner
                elif not unknown:
                    owners[run.request.id] = owner
        return owners


def _without_kept(ledger: Ledger) -> Cluster:
    """What is free but for what runs: what is kept for those who are to have it is in the way of
    others as a hold is."""
    if not ledger.kept:
        return ledger.cluster
    free = ledger.cluster.copy()
    for kept in ledger.kept.values():
        groups = ledger.requests[kept.request_id].groups
        needs = {group.role: group.resources for group in groups}
        for p in kept.placements:
            if p.node_id in ledger.nodes:
                free.give(p.node_id, needs[p.role], p.devices)
    return free


def _steps(cases: Sequence[Case]) -> list[Step]:
    return [step for case in cases for step in case.steps]


def _distinct(names: Iterable[str]) -> list[str]:
    return list(dict.fromkeys(names))


def _duration(seconds: float) -> str:
    """`2h30m`, `45m`: as `--time-limit` takes it, never more than what was meant."""
    hours, minutes = divmod(int(seconds // 60), 60)
    return (f"{hours}h" if hours else "") + (f"{minutes}m" if minutes or not hours else "")
