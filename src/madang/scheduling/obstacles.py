"""What stands in a request's way: room that is lacking, or held for others, and what would do.

Bounds of queues and limits are in `bounds`; what could never be in `lacking`.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace

from madang.core.reasons import ReasonCode
from madang.scheduling import sums
from madang.scheduling.backfill import Profile, at_minimum
from madang.scheduling.bounds import frees, has_known_end, iso
from madang.scheduling.lacking import Case, Lacking, Shape, Step, new_nodes
from madang.scheduling.ledger import Ledger
from madang.scheduling.model import Amounts, Placement, Request
from madang.scheduling.ordering import NEVER
from madang.scheduling.placement import Cluster, place
from madang.scheduling.queues import QueueNode
from madang.scheduling.reclaim import may_reclaim, yields_from
from madang.scheduling.runs import Run
from madang.scheduling.timeline import Release, Releases, series_of
from madang.scheduling.units import LEAST_RUNTIME_S

_MOST_WEIGHED = 24
"""Of more releases than this it is not asked which of them would do without the others."""


class Obstacles:
    """The answers for one state of the ledger. heads: whose places are held, in the order in which
    they were taken."""

    def __init__(self, ledger: Ledger, heads: Mapping[tuple[str, str], str]) -> None:
        self._ledger = ledger
        self._heads = heads
        self._free = _without_kept(ledger)
        self.lacking = Lacking(self._free, list(ledger.nodes.values()))
        self._never: dict[Shape, Case | None] = {}
        self._rooms: dict[tuple[object, ...], list[Case]] = {}
        self._profile: Profile | None = None

    def windows_then(
        self, request: Request, never: Case | None, ended: Collection[str]
    ) -> list[Case]:
        """Windows that would be in the way when all else is done: they look for their places anew
        when things end and nodes come."""
        ledger = self._ledger
        cluster = self._done(never.steps if never is not None else ())
        releases = Releases()
        for key, release in ledger.all_releases().items():
            if release.request_id not in ended:
                releases.set(key, release)
            elif release.node_id in cluster.node_ids:
                cluster.give(release.node_id, release.need, release.devices)
        now = max(ledger.now, self._opens_at(request) or 0.0)
        own = {
            series: [release for release in held if release.request_id not in ended]
            for series, held in ledger.releases_in_windows().items()
        }
        left = {window.id: window for window in ledger.windows()}
        found: list[str] = []
        while left:
            profile = Profile(cluster, releases, now, left.values(), own)
            holders = profile.in_the_way(
                request.groups,
                request.time_limit_s or None,
                reservation=request.reservation,
                yields=request.preemptible,
            )
            if not holders:
                break
            for holder in holders:
                found.append(holder)
                del left[holder]
        return self._window_cases(found)

    def _window_cases(self, found: Sequence[str]) -> list[Case]:
        if not found:
            return []
        start = self._ledger.reservations[found[0]].start
        facts = {"reservation": series_of(found[0]), "from_at": iso(start)}
        also: list[Step] = []
        if start > self._ledger.now:
            also.append({"code": "shorter", "facts": {"by_at": iso(start)}})
        step: Step = {"do": "cancel_reservation", "reservations": list(found)}
        return [Case(ReasonCode.WINDOW_AHEAD, facts, [step], also)]

    def _opens_at(self, request: Request) -> float | None:
        """When the first window of its reservation begins, or began; None: there is none."""
        if not request.reservation:
            return None
        windows = (w for w in self._ledger.windows() if series_of(w.id) == request.reservation)
        return min((window.start for window in windows), default=None)

    def never(self, groups: Shape) -> Case | None:
        """Why it could not start though nothing ran; None: it could."""
        if groups not in self._never:
            self._never[groups] = self.lacking.ever(groups)
        return self._never[groups]

    def amounts(self, request: Request) -> tuple[tuple[str, int], ...]:
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

    def stopping(self, keys: Sequence[str]) -> Case:
        books = self._ledger.runs
        stopping = [key for key in keys if books.is_leaving(key)]
        runs = {run.request.id: run for key in stopping if (run := books.of(key))}
        jobs = [run.request.owner for run in runs.values()]
        step: Step = {"do": "end", "requests": list(runs), "jobs": jobs}
        return Case(ReasonCode.STOPPING, {"jobs": jobs}, [step])

    def there_then(self, never: Case | None) -> dict[str, int] | None:
        """What open nodes have once those are opened or added that it needs; None: as now."""
        if never is None:
            return None
        total: dict[str, int] = {}
        for node in self._done(never.steps).free().nodes:
            if node is not None and node.open:
                sums.add(total, self._ledger.meter.has(node))
        return total

    def window(self, request: Request) -> Iterator[Case]:
        """A request for a reservation starts in one of its windows only."""
        if not request.reservation:
            return
        at = self._opens_at(request)
        facts = {"reservation": request.reservation}
        if at is None:
            yield Case(ReasonCode.WINDOW_OVER, facts, [{"do": "without_reservation"}])
        elif at > self._ledger.now:
            steps: list[Step] = [{"do": "wait", "until_at": iso(at)}]
            yield Case(ReasonCode.WINDOW_BEGINS, facts | {"from_at": iso(at)}, steps, [], at)

    def room(self, request: Request, never: Case | None) -> list[Case]:
        """What is lacking now, or held for other requests. never: what it lacks though nothing
        ran; room is looked for as if that were done away with."""
        key = (
            request.groups,
            request.time_limit_s,
            request.reservation,
            request.preemptible,
            request.priority,
            request.queue,
        )
        if key not in self._rooms:
            cluster, profile = self._free, None
            if never is not None:
                cluster = self._done(never.steps)
                profile = self._profile_of(cluster)
            case = self.lacking.now(request.groups, cluster)
            if case is not None:
                cases = [self._with_ends(case, request, profile or self.profile)]
            else:
                cases = list(self._held(request, profile or self.profile))
            self._rooms[key] = cases
        return self._rooms[key]

    def _done(self, steps: Iterable[Step]) -> Cluster:
        """What would be free if nodes were opened or came, as steps ask for."""
        cluster = self._free.copy()
        for step in steps:
            for node in new_nodes(step):
                cluster.set_node(node)
            for node_id in step.get("nodes", ()):
                node = replace(self._ledger.nodes[node_id], open=True)
                cluster.set_node(node, self._ledger.held_on(node_id))
        return cluster

    def _with_ends(self, case: Case, request: Request, profile: Profile) -> Case:
        """With what has to end so that it fits, and when that is expected."""
        lasts = request.time_limit_s or None
        found = profile.earliest(
            request.groups,
            lasts,
            reservation=request.reservation,
            alone=True,
            yields=request.preemptible,
        )
        if found is None:
            return self._with_any_ends(case, request.groups)
        time, placements = found
        releases = self._needed(profile.freeing(placements, request.groups), request.groups)
        time = max((release.time for release in releases), default=time)
        owners = self._owners(releases)
        if not owners:
            return Case(case.code, case.facts, [], [], time)
        young = self._too_young(request, list(owners))
        if young is not None:
            return young
        runs = self._ledger.runs
        known = all(has_known_end(runs.get(release.request_id)) for release in releases)
        return self._ends(case, owners, time if known else None)

    def _needed(self, releases: Sequence[Release], groups: Shape) -> list[Release]:
        """Those without which it would not fit: nobody is named whose end would change nothing.
        Runs of which nobody knows when they end are left out first, then those that end last."""
        runs = self._ledger.runs
        needed = list(releases)
        if len(needed) > _MOST_WEIGHED:
            return needed
        order = sorted(
            dict.fromkeys(release.request_id for release in releases),
            key=lambda one: (
                has_known_end(runs.get(one)),
                -max(release.time for release in releases if release.request_id == one),
                one,
            ),
        )
        for left_out in order:
            rest = [release for release in needed if release.request_id != left_out]
            cluster = self._free.copy()
            for release in rest:
                if release.node_id in cluster.node_ids:
                    cluster.give(release.node_id, release.need, release.devices)
            if place(at_minimum(groups), cluster).complete:
                needed = rest
        return needed

    def _with_any_ends(self, case: Case, groups: Shape) -> Case:
        """Nobody knows when it fits: what runs where it would fit if nothing did."""
        attempt = place(at_minimum(groups), self.lacking.opened.copy())
        return self._ends(case, self._on_nodes(attempt.placements), None)

    def _ends(self, case: Case, owners: Mapping[str, str], time: float | None) -> Case:
        """owners: the requests that have to end, and whose they are."""
        jobs = _distinct(owners.values())
        step: Step = {"do": "end", "requests": list(owners), "jobs": jobs}
        return Case(case.code, case.facts, [step], [frees(jobs, time)] if jobs else [], time)

    def _too_young(self, request: Request, ids: Sequence[str]) -> Case | None:
        """Those who have to end could be stopped for it, but have not run for long enough."""
        ledger = self._ledger
        if not ledger.policy.preemption:
            return None
        leaf = ledger.tree.leaf(request.queue)
        least = sums.of_groups(ledger.meter, at_minimum(request.groups))
        until = ledger.now
        for victim in ids:
            run = ledger.runs.get(victim)
            if run is None or run.leaving or not self._may_stop(run, request, leaf, least):
                return None
            path = ledger.tree.leaf(run.request.queue).path
            rests = max(LEAST_RUNTIME_S, *(node.queue.min_runtime_s for node in path))
            until = max(until, run.since + rests)
            other = ledger.tree.leaf(run.request.queue)
            yields = yields_from(leaf, other, request, run)
            if yields < NEVER:
                until = max(until, yields)
        if until <= ledger.now:
            return None
        facts = {"jobs": [self.owner(victim) for victim in ids], "from_at": iso(until)}
        steps: list[Step] = [{"do": "wait", "until_at": iso(until)}]
        return Case(ReasonCode.VICTIMS_YOUNG, facts, steps, [], until)

    def _may_stop(self, run: Run, request: Request, leaf: QueueNode, least: Amounts) -> bool:
        if not run.request.preemptible:
            return False
        other = self._ledger.tree.leaf(run.request.queue)
        yields = yields_from(leaf, other, request, run) < NEVER
        if other is leaf or yields:
            return yields
        given: dict[str, int] = {}
        for held in run.keys.values():
            sums.add(given, held)
        return may_reclaim(leaf, other, least, sums.amounts_of(given))

    def _held(self, request: Request, profile: Profile) -> Iterator[Case]:
        """It fits, but what it would take is held for other requests."""
        lasts = request.time_limit_s or None
        holders = profile.in_the_way(
            request.groups,
            lasts,
            reservation=request.reservation,
            yields=request.preemptible,
            own=request.id,
        )
        if not holders:
            return
        requests = [holder for holder in holders if not profile.is_window(holder)]
        if not requests:
            return
        first = requests[0]
        step: Step = {"do": "pass", "requests": requests}
        if first in self._ledger.kept:
            yield Case(ReasonCode.KEPT_FOR_ANOTHER, {"job": self.owner(first)}, [step])
            return
        start = profile.held_from(first) or self._ledger.now
        by = start - self._ledger.now
        also: list[Step] = []
        if by > 0 and not profile.in_the_way(
            request.groups, by, reservation=request.reservation, own=request.id
        ):
            also.append({"code": "shorter", "facts": {"by_at": iso(start)}})
        facts = {"job": self.owner(first), "from_at": iso(start)}
        yield Case(ReasonCode.WOULD_DELAY, facts, [step], also)

    @property
    def profile(self) -> Profile:
        """What frees when, with windows and the places of heads."""
        if self._profile is None:
            self._profile = self._profile_of(self._free)
        return self._profile

    def _profile_of(self, cluster: Cluster) -> Profile:
        ledger = self._ledger
        profile = Profile(
            cluster,
            ledger.all_releases(),
            ledger.now,
            ledger.windows(),
            ledger.releases_in_windows(),
        )
        for kept in ledger.kept.values():
            groups = ledger.kept_for[kept.request_id].groups
            profile.hold(kept.request_id, ledger.now, kept.placements, groups)
        for request in self._in_order(self._heads.values()) if ledger.policy.backfill else ():
            lasts = request.time_limit_s or None
            found = profile.earliest(
                request.groups,
                lasts,
                reservation=request.reservation,
                yields=request.preemptible,
            )
            if found is not None:
                profile.hold(request.id, *found, request.groups, lasts)
        return profile

    def _in_order(self, heads: Iterable[str]) -> list[Request]:
        """By what they are, not by how they came: what is told depends on the state alone."""
        waiting = self._ledger.requests
        known = [waiting[head] for head in heads if head in waiting]
        return sorted(known, key=lambda request: (-request.priority, request.order, request.id))

    def owner(self, request_id: str) -> str:
        run = self._ledger.runs.get(request_id)
        request = run.request if run is not None else self._ledger.requests.get(request_id)
        return request.owner if request is not None else request_id

    def _owners(self, releases: Sequence[Release]) -> dict[str, str]:
        """Requests that hold these, and whose they are."""
        owners: dict[str, str] = {}
        for release in releases:
            if release.request_id:
                owners[release.request_id] = self.owner(release.request_id)
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
        groups = ledger.kept_for[kept.request_id].groups
        needs = {group.role: group.resources for group in groups}
        for p in kept.placements:
            if p.node_id in ledger.nodes:
                free.give(p.node_id, needs[p.role], p.devices)
    return free


def _distinct(names: Iterable[str]) -> list[str]:
    return list(dict.fromkeys(names))
