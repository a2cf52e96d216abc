"""Why a request waits, in one sentence, with what would have to be done about it.

All that stands in its way is found, not only what the planner met first: what is done about one
thing alone would not make it start. The first of them gives the sentence, the others its clauses.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from madang.core.reasons import Reason, ReasonCode
from madang.scheduling import sums
from madang.scheduling.backfill import Profile, at_minimum
from madang.scheduling.bounds import Bounds, frees, iso, name_of
from madang.scheduling.lacking import Case, Lacking, Shape, Step
from madang.scheduling.ledger import Ledger
from madang.scheduling.model import Placement, Request, Wait
from madang.scheduling.placement import place
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
        self.lacking = Lacking(ledger.cluster, list(ledger.nodes.values()), ledger.held_on)
        self._profile: Profile | None = None
        self._never: dict[Shape, Case | None] = {}
        self._lacking: dict[tuple[Shape, str], Case | None] = {}

    # -- the answer ---------------------------------------------------------------------------

    def wait(self, request: Request) -> Wait:
        """Why it waits, and when it is expected to start, where that is known."""
        leaf = self._ledger.tree.leaf(request.queue)
        cases = list(self._cases(request, leaf))
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
        if not any(case.code in _BEYOND_ROOM for case in cases) and not self._is_never(first):
            also.append({"code": "quota_allows", "facts": {}})
        facts["also"] = also
        facts["remedy"] = [*self._go_first(leaf, ahead), *_steps(cases or [first])]
        return Wait(request.id, Reason(first.code, facts), self._expected(request, cases))

    def ahead(self, request: Request, leaf: QueueNode) -> int:
        """How many of its queue go before it."""
        assert leaf.line is not None
        return leaf.line.ahead(request, leaf) if leaf.line.waits(request) else 0

    # -- what stands in the way ---------------------------------------------------------------

    def _cases(self, request: Request, leaf: QueueNode) -> Iterator[Case]:
        kept = self._ledger.kept.get(request.id)
        if kept is not None:
            yield self._stopping(kept.until)
            return
        never = self.never(request.groups)
        if never is not None:
            yield never
        yield from self._bounds.cases(request, leaf, self._amounts(request))
        yield from self._window(request)
        if leaf.id in self._rounds:
            at = self._rounds[leaf.id]
            facts = {"queue": name_of(leaf), "from_at": iso(at)}
            yield Case(ReasonCode.ROUND, facts, [{"do": "wait", "until_at": iso(at)}], [], at)
        if never is None or never.code is ReasonCode.NODES_CLOSED:
            yield from self._room(request, never)

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
        attempt = place(at_minimum(request.groups), self._ledger.cluster.copy())
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
        return Case(ReasonCode.STOPPING, {"jobs": jobs}, [step], [], self._ledger.now)

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
        if closed is not None:
            state = self.lacking.opened_now
            case = self.lacking.now(request.groups, state)
            if case is not None:
                profile = Profile(state, self._ledger.all_releases(), self._ledger.now)
                yield self._with_ends(case, request, profile)
            return
        key = (request.groups, request.reservation)
        if key not in self._lacking:
            case = self.lacking.now(request.groups, self._ledger.cluster)
            case = case and self._with_ends(case, request, self.profile)
            self._lacking[key] = case
        lacking = self._lacking[key]
        if lacking is not None:
            yield from self._victims(request)
            yield lacking
            return
        yield from self._held(request)

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
        step: Step = {"do": "end", "requests": list(owners), "jobs": _distinct(owners.values())}
        clause = frees(_distinct(owners.values()), time)
        return Case(case.code, case.facts, [step], [clause], time)

    def _with_any_ends(self, case: Case, groups: Shape) -> Case:
        """Nobody knows when it fits: what runs where it would fit if nothing did."""
        attempt = place(at_minimum(groups), self.lacking.empty.copy())
        owners = self._on_nodes(attempt.placements)
        step: Step = {"do": "end", "requests": list(owners), "jobs": _distinct(owners.values())}
        return Case(case.code, case.facts, [step], [{"code": "frees_unknown", "facts": {}}])

    def _victims(self, request: Request) -> Iterator[Case]:
        if request.id in self._young:
            victims, at = self._young[request.id]
            jobs = [self._owner(victim) for victim in victims]
            steps: list[Step] = [{"do": "wait", "until_at": iso(at)}]
            facts = {"jobs": jobs, "from_at": iso(at)}
            yield Case(ReasonCode.VICTIMS_YOUNG, facts, steps, [], at)

    def _held(self, request: Request) -> Iterator[Case]:
        """It fits, but what it would take is held for others."""
        lasts = request.time_limit_s or None
        holders = self.profile.in_the_way(
            request.groups,
            lasts,
            reservation=request.reservation,
            yields=request.preemptible,
        )
        if not holders:
            return
        windows = [holder for holder in holders if self.profile.is_window(holder)]
        first = windows[0] if windows else holders[0]
        start = self.profile.held_from(first)
        assert start is not None
        also: list[Step] = []
        most = start - self._ledger.now
        if most >= 60 and not self.profile.in_the_way(
            request.groups, most, reservation=request.reservation
        ):
            also.append({"code": "shorter", "facts": {"limit": _duration(most)}})
        steps: list[Step] = []
        if windows:
            steps.append({"do": "cancel_reservation", "reservations": windows})
            facts = {"reservation": series_of(first), "from_at": iso(start)}
            yield Case(ReasonCode.WINDOW_AHEAD, facts, steps, also)
            return
        steps.append({"do": "pass", "requests": list(holders)})
        facts = {"job": self._owner(first), "from_at": iso(start)}
        yield Case(ReasonCode.WOULD_DELAY, facts, steps, also)

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

    def _go_first(self, leaf: QueueNode, ahead: int) -> list[Step]:
        others = sorted(
            {
                other.id
                for other in self._ledger.tree.leaves
                if other is not leaf and other.line is not None and other.line.size
            }
        )
        if not ahead and not others:
            return []
        return [{"do": "go_first", "queue": leaf.id, "ahead": ahead, "queues": others}]

    # -- when ---------------------------------------------------------------------------------

    @property
    def profile(self) -> Profile:
        """What frees when, with windows and the places of heads."""
        if self._profile is None:
            ledger = self._ledger
            own: dict[str, list[Release]] = {}
            for key, release in ledger.all_releases().items():
                run = ledger.runs.of(key)
                if run is not None and run.request.reservation:
                    own.setdefault(run.request.reservation, []).append(release)
            profile = Profile(
                ledger.cluster, ledger.all_releases(), ledger.now, ledger.windows(), own
            )
            for head in self._heads.values():
                request = ledger.requests.get(head)
                if request is None:
                    continue
                lasts = request.time_limit_s or None
                found = profile.earliest(request.groups, lasts, reservation=request.reservation)
                if found is not None:
                    profile.hold(head, *found, request.groups, lasts)
            self._profile = profile
        return self._profile

    def _expected(self, request: Request, cases: Sequence[Case]) -> float | None:
        times = [case.expected for case in cases]
        if any(case.code in _BEYOND_ROOM and case.expected is None for case in cases):
            return None
        if any(self._is_never(case) for case in cases):
            return None
        held = self.profile.held_from(request.id)
        if held is None:
            lasts = request.time_limit_s or request.expected_s
            found = self.profile.earliest(request.groups, lasts, reservation=request.reservation)
            held = found[0] if found is not None else None
        if held is None:
            return None
        return max([held, *(time for time in times if time is not None)])

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


def _steps(cases: Sequence[Case]) -> list[Step]:
    return [step for case in cases for step in case.steps]


def _distinct(names: Iterable[str]) -> list[str]:
    return list(dict.fromkeys(names))


def _duration(seconds: float) -> str:
    """`2h30m`, `45m`: as `--time-limit` takes it, never more than what was meant."""
    hours, minutes = divmod(int(seconds // 60), 60)
    return (f"{hours}h" if hours else "") + (f"{minutes}m" if minutes or not hours else "")
