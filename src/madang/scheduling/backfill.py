"""What frees when: the earliest time at which something fits, and who may go before it.

EASY backfill (Lifka, "The ANL/IBM SP scheduling system", 1995) with several heads: the first few
that wait, one of each kind of resource and queue, *hold* their places from the earliest time at
which they fit; others may start meanwhile if what they take is not missing then.

A plain function of what it is told: the same releases, windows and holds give the same answers.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import pairwise

from madang.scheduling.model import Group, Placement, Reservation
from madang.scheduling.placement import Cluster, place
from madang.scheduling.timeline import (
    FOREVER,
    Hold,
    Release,
    Releases,
    Timeline,
    amounts_of,
    less,
    releases_of,
    series_of,
    shortfall,
    take,
)

__all__ = ["FOREVER", "Profile", "Release", "Releases", "releases_of", "series_of"]

Found = tuple[float, tuple[Placement, ...]]


class Profile:
    """Free space over time, from `now` on.

    cluster, releases: what is free now and what is given back later; they are not changed, and
    must not change while the profile is in use but for what `started` is told. windows:
    reservations that are not over. own: what runs in windows now, by series: it holds what is
    theirs.
    """

    def __init__(
        self,
        cluster: Cluster,
        releases: Releases | Iterable[Release],
        now: float,
        windows: Iterable[Reservation] = (),
        own: Mapping[str, Sequence[Release]] | None = None,
    ) -> None:
        self.now = now
        self._cluster = cluster
        self._releases = releases if isinstance(releases, Releases) else Releases(releases)
        self._all = Timeline(cluster, self._releases)
        self._holds: list[Hold] = []
        self._spares: dict[tuple[str, ...], Cluster] = {}
        self._windows = self._hold_windows(windows, own or {})

    # -- questions ----------------------------------------------------------------------------

    def earliest(
        self,
        groups: Sequence[Group],
        duration: float | None = None,
        *,
        reservation: str = "",
        alone: bool = False,
        yields: bool = False,
    ) -> Found | None:
        """When all groups fit at their minimum beside what is held, and where; None: never, with
        what is known.

        duration: how long it runs at most; None: for ever. reservation: the window that it may
        use. alone: as if no request held anything (windows do). yields: it may be stopped when a
        window begins: only those that are open when it starts keep it off.
        """
        smallest = at_minimum(groups)
        holds = self._seen(reservation, alone=alone)
        times = self._times(holds)
        lasts = FOREVER if duration is None else duration
        windows = self._windows if yields else frozenset[str]()
        begins = [hold.start for hold in holds if hold.holder in windows]
        for low, high in _rising(times, holds, lasts, begins):
            kept_off = [
                hold for hold in holds if hold.holder not in windows or hold.start <= times[low]
            ]
            found = self._first(smallest, times, low, high, kept_off, lasts)
            if found is not None:
                return found
        return None

    def spare(
        self, duration: float | None = None, *, reservation: str = "", yields: bool = False
    ) -> Cluster:
        """What is free now and stays free of holds for `duration` (None: for ever): what is placed
        in it delays nobody.

        yields: it may be stopped when a window begins, so windows to come do not keep it off.
        Kept between calls: whatever is taken from it must be told to `started`.
        """
        lasts = FOREVER if duration is None else duration
        holds = self._now_held(duration, reservation, yields)
        key = tuple(hold.holder for hold in holds)
        if key not in self._spares:
            self._spares[key] = self._state(self._cluster, self.now, lasts, holds)
        return self._spares[key]

    def may_start(
        self,
        groups: Sequence[Group],
        placements: Sequence[Placement],
        duration: float | None = None,
        *,
        reservation: str = "",
    ) -> bool:
        """Whether starting it now at these places delays nothing that is held."""
        return self.delayed(groups, placements, duration, reservation=reservation) is None

    def delayed(
        self,
        groups: Sequence[Group],
        placements: Sequence[Placement],
        duration: float | None = None,
        *,
        reservation: str = "",
    ) -> str | None:
        """The holder (a request's or a reservation's id) that it would delay first, if any."""
        lasts = FOREVER if duration is None else duration
        wanted = amounts_of(placements, groups)
        holds = [hold for hold in self._seen(reservation) if hold.start < self.now + lasts]
        for number, hold in enumerate(sorted(holds, key=lambda hold: hold.start), start=1):
            if not any(node_id in hold.amounts for node_id in wanted):
                continue
            among = sorted(holds, key=lambda hold: hold.start)[:number]
            for node_id, amount in wanted.items():
                missing = shortfall(
                    self._releases.of_node(node_id), among, node_id, self.now, self.now + lasts
                )
                free = self._all.free_now(node_id)
                if any(free.get(what, 0) - missing.get(what, 0) < n for what, n in amount.items()):
                    return hold.holder
        return None

    def in_the_way(
        self,
        groups: Sequence[Group],
        duration: float | None = None,
        *,
        reservation: str = "",
        yields: bool = False,
        own: str = "",
    ) -> tuple[str, ...]:
        """Holders but for whom it could start now: one alone if that is so, else all requests, or
        all. Empty: nobody is in its way, or it would not fit without them either. own: what it
        holds itself, which is never in its way."""
        holders = [holder for holder in self.holders if holder != own]
        smallest = at_minimum(groups)

        def fits_without(left_out: Collection[str]) -> bool:
            holds = [
                hold
                for hold in self._now_held(duration, reservation, yields)
                if hold.holder not in left_out and hold.holder != own
            ]
            lasts = FOREVER if duration is None else duration
            return place(smallest, self._state(self._cluster, self.now, lasts, holds)).complete

        requests = [holder for holder in holders if holder not in self._windows]
        if fits_without(()):
            return ()
        for left_out in (*((holder,) for holder in holders), requests, holders):
            if fits_without(left_out):
                return tuple(left_out)
        return ()

    def fits(self, groups: Sequence[Group], time: float, duration: float) -> bool:
        """Whether all groups fit at their minimum from `time` on for `duration` seconds."""
        holds = self._seen("")
        return self._fits(at_minimum(groups), time, holds, duration) is not None

    def held_from(self, holder: str) -> float | None:
        """When a hold begins; None: it holds nothing."""
        return next((hold.start for hold in self._holds if hold.holder == holder), None)

    @property
    def holders(self) -> tuple[str, ...]:
        """Who holds places, the earliest first: requests and reservations."""
        return tuple(dict.fromkeys(hold.holder for hold in self._by_start()))

    @property
    def held_nodes(self) -> frozenset[str]:
        """Nodes of which something is held, now or later."""
        return frozenset(node_id for hold in self._holds for node_id in hold.amounts)

    def is_window(self, holder: str) -> bool:
        """Whether a holder is a reservation."""
        return holder in self._windows

    def freeing(
        self, placements: Sequence[Placement], groups: Sequence[Group]
    ) -> tuple[Release, ...]:
        """The releases that these places wait for, the first to come first."""
        waited: list[Release] = []
        for node_id, amount in amounts_of(placements, groups).items():
            free = self._all.free_now(node_id)
            missing = {what: n - free.get(what, 0) for what, n in amount.items()}
            for release in self._releases.of_node(node_id):
                if all(n <= 0 for n in missing.values()):
                    break
                gain = {w: n for w, n in release.amounts().items() if missing.get(w, 0) > 0 < n}
                if gain:
                    waited.append(release)
                    for what, n in release.amounts().items():
                        missing[what] = missing.get(what, 0) - n
        return tuple(sorted(waited, key=lambda release: release.time))

    # -- what changes it ----------------------------------------------------------------------

    def hold(
        self,
        holder: str,
        time: float,
        placements: Sequence[Placement],
        groups: Sequence[Group],
        duration: float | None = None,
    ) -> None:
        """Keep these places for `holder` (a request's id) from `time` on."""
        end = FOREVER if duration is None else time + duration
        self._holds.append(Hold(holder, time, end, amounts_of(placements, groups)))
        self._spares.clear()

    def started(
        self,
        groups: Sequence[Group],
        placements: Sequence[Placement],
        placed_in: Cluster | None = None,
    ) -> None:
        """It has started now at these places: it was taken from the cluster, and when it ends was
        added to the releases. placed_in: what `spare` gave and `place` took it from already."""
        for spare in self._spares.values():
            if spare is not placed_in:
                for node_id, amount in amounts_of(placements, groups).items():
                    take(spare, node_id, amount)
        self._all.forget()

    # -- parts --------------------------------------------------------------------------------

    def _seen(self, reservation: str, *, alone: bool = False) -> list[Hold]:
        return [
            hold
            for hold in self._holds
            if (not reservation or series_of(hold.holder) != reservation)
            and (not alone or hold.holder in self._windows)
        ]

    def _by_start(self) -> list[Hold]:
        return sorted(self._holds, key=lambda hold: hold.start)

    def _now_held(self, duration: float | None, reservation: str, yields: bool) -> list[Hold]:
        """What something that starts now must keep clear of."""
        end = FOREVER if duration is None else self.now + duration
        return [
            hold
            for hold in self._seen(reservation)
            if hold.start < end
            and not (yields and hold.holder in self._windows and hold.start > self.now)
        ]

    def _times(self, holds: Iterable[Hold]) -> list[float]:
        ends = [hold.end for hold in holds if self.now < hold.end < FOREVER]
        later = [time for time in self._releases.times() if time > self.now]
        return sorted([self.now, *later, *ends])

    def _first(
        self,
        groups: Sequence[Group],
        times: Sequence[float],
        low: int,
        high: int,
        holds: Sequence[Hold],
        lasts: float,
    ) -> Found | None:
        """The first of `times[low:high]`, along which space only grows, at which it fits: in steps
        that double, then halving the last one."""
        step, fails = 1, low - 1
        probe = low
        found: Found | None = None
        while found is None:
            placements = self._fits(groups, times[probe], holds, lasts)
            if placements is not None:
                found = (times[probe], placements)
            elif probe == high - 1:
                return None
            else:
                fails = probe
                probe = min(probe + step, high - 1)
                step *= 2
        while probe - fails > 1:
            middle = (probe + fails) // 2
            placements = self._fits(groups, times[middle], holds, lasts)
            if placements is None:
                fails = middle
            else:
                probe, found = middle, (times[middle], placements)
        return found

    def _fits(
        self, groups: Sequence[Group], time: float, holds: Sequence[Hold], lasts: float
    ) -> tuple[Placement, ...] | None:
        cluster = self._all.at(time)
        if any(
            cluster.most(group.resources, group.where, empty=False) < group.replicas_min
            for group in groups
        ):
            return None
        attempt = place(groups, self._state(cluster, time, lasts, holds))
        return attempt.placements if attempt.complete else None

    def _state(
        self, cluster: Cluster, time: float, lasts: float, holds: Sequence[Hold]
    ) -> Cluster:
        """A copy of `cluster` (what is free at `time`) less what holds need until it is over."""
        state = cluster.copy()
        over = [hold for hold in holds if hold.start < time + lasts and hold.end > time]
        for node_id in {node_id for hold in over for node_id in hold.amounts}:
            missing = shortfall(self._releases.of_node(node_id), over, node_id, time, time + lasts)
            take(state, node_id, missing)
        return state

    def _hold_windows(
        self, windows: Iterable[Reservation], own: Mapping[str, Sequence[Release]]
    ) -> frozenset[str]:
        """Each window holds its places, the one that was booked first first: where nothing runs
        into it for sure, else where what runs is expected to have ended, else where it would fit
        if nothing ran."""
        ahead = sorted(
            (window for window in windows if not window.returned and window.end > self.now),
            key=lambda window: window.id,
        )
        if not ahead:
            return frozenset()
        sure = Timeline(self._cluster, self._releases.sure())
        found: dict[tuple[object, ...], tuple[Placement, ...]] = {}
        for window in ahead:
            start = max(window.start, self.now)
            used = own.get(series_of(window.id), ()) if start == self.now else ()
            groups = at_minimum(window.groups)
            beside = tuple(h.holder for h in self._holds if h.start < window.end and h.end > start)
            key = (groups, beside, len(self._releases.until(start)), window.end - start, id(used))
            if key not in found:
                found[key] = self._place_window(groups, start, window.end - start, sure, used)
            amounts = amounts_of(found[key], groups)
            for release in used:
                if release.node_id in amounts:
                    less(amounts[release.node_id], release.amounts())
            self._holds.append(Hold(window.id, start, window.end, amounts))
        return frozenset(window.id for window in ahead)

    def _place_window(
        self,
        groups: Sequence[Group],
        start: float,
        lasts: float,
        sure: Timeline,
        used: Sequence[Release],
    ) -> tuple[Placement, ...]:
        nodes = {release.node_id for release in used}
        for expected in (sure, self._all, None):
            cluster = self._cluster.emptied() if expected is None else expected.at(start)
            state = self._state(cluster, start, lasts, self._holds)
            for release in used if expected is not None else ():
                state.give(release.node_id, release.need, release.devices)
            placements = _place_near(groups, state, nodes)
            if placements is not None:
                return placements
        return ()


def _place_near(
    groups: Sequence[Group], cluster: Cluster, nodes: Collection[str]
) -> tuple[Placement, ...] | None:
    """Places for all, on `nodes` as far as they go, so that what runs there counts as theirs."""
    own: list[Placement] = []
    left: list[Group] = []
    for group in groups:
        count = 0
        while nodes and count < group.replicas_min:
            one = replace(group, replicas_min=1, replicas_max=1, first=group.first + count)
            attempt = place((one,), cluster, within=nodes)
            if not attempt.complete:
                break
            own.extend(attempt.placements)
            count += 1
        rest = group.replicas_min - count
        if rest:
            first = group.first + count
            left.append(replace(group, replicas_min=rest, replicas_max=rest, first=first))
    attempt = place(left, cluster)
    return (*own, *attempt.placements) if attempt.complete else None


def at_minimum(groups: Sequence[Group]) -> tuple[Group, ...]:
    """The groups with no more replicas than they need."""
    return tuple(replace(group, replicas_max=group.replicas_min) for group in groups)


def _rising(
    times: Sequence[float], holds: Iterable[Hold], lasts: float, begins: Iterable[float] = ()
) -> Iterator[tuple[int, int]]:
    """Stretches of `times` along which space only grows: between moments from which on a run of
    `lasts` seconds would reach into another hold. begins: of holds that matter from then on only.
    """
    cuts = {bisect_left(times, start) for start in begins}
    if lasts != FOREVER:
        cuts |= {bisect_right(times, hold.start - lasts) for hold in holds}
    edges = sorted({0, len(times), *cuts})
    yield from pairwise(edges)
