"""One round of turns: whoever's turn it is starts, or waits and lets others pass.

Who may pass whom: the first of each queue and kind of accelerator that finds no room is a *head*:
its place is held from the earliest time at which it fits (`backfill.Profile`), and those behind
start only where that delays no head. So the first in line is delayed by nobody behind it,
everybody becomes the first in line at last, and what it can't use does not lie idle.

Cost: equal requests are looked at once, a shape that found no room is not tried again until
something is given back, and the profile is worked out only when somebody behind a head would find
room without it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import Any

from madang.scheduling import sums
from madang.scheduling.backfill import Profile, series_of
from madang.scheduling.ledger import Ledger
from madang.scheduling.line import Alike, Shape, at_minimum
from madang.scheduling.migration import Migration
from madang.scheduling.model import Action, Request, Reservation, Start
from madang.scheduling.placement import Attempt, Cluster, place, undo
from madang.scheduling.preemption import Preemption
from madang.scheduling.queues import QueueNode

MOST_HEADS = 8
"""How many hold places at once: one of each queue and kind, and never more than this."""


class Turns:
    """Starts what may start now. What it learns of what can't is kept until something is given
    back (`forget`)."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger
        self._preemption = Preemption(ledger)
        self._migration = Migration(ledger)
        self._no_room: set[Shape] = set()
        self._stuck: set[tuple[Any, ...]] = set()
        """For whom nobody can be stopped, in this round of turns."""
        self._unmoved: set[tuple[Any, ...]] = set()
        """For whom nobody can be moved."""
        self._give_up = False
        self._possible: dict[Shape, bool] = {}
        self.heads: dict[tuple[str, str], str] = {}
        """By queue and kind: the request whose place is held."""
        self.again_at: float | None = None
        """When heads' places may be others, though nothing happened."""
        self._profile: Profile | None = None
        self._pending: list[Request] = []
        """Heads whose places the profile does not hold yet."""
        self._windows: tuple[Reservation, ...] = ()

    def forget(self, *, nodes: bool) -> None:
        """Something was given back, or (`nodes`) the nodes are others."""
        self._no_room.clear()
        if nodes:
            self._possible.clear()

    def take(self, *, everybody: bool) -> list[Action]:
        """Let all who are active have a turn, from the first on. everybody: that is all who
        wait."""
        self.heads = {}
        if everybody:
            self.again_at = None
        self._profile = None
        self._pending = []
        self._windows = tuple(self._ledger.windows())
        self._give_up = False
        self._preemption.begin()
        self._migration.begin()
        actions: list[Action] = [*self._clear_windows(), *self._take_turns(self._try)]
        self._look_again_at(self._preemption.again_at)
        self._look_again_at(self._migration.again_at)
        if everybody:
            for line, leaf in self._ledger.tree.drifting():
                line.note_standing(leaf)
        return actions

    def _clear_windows(self) -> Iterator[Action]:
        """Room for reservations that have begun and are not used yet."""
        if not self._windows or not self._ledger.policy.preemption:
            return
        used = {run.request.reservation for run in self._ledger.runs}
        for window in sorted(self._windows, key=lambda window: (window.start, window.id)):
            if window.start > self._ledger.now:
                self._look_again_at(window.start)
            elif series_of(window.id) not in used:
                yield from self._preemption.clear_window(window)

    def take_newcomers(self) -> list[Action] | None:
        """The same when nothing was given back, some have come since, and heads hold places. None:
        one of them may be able to start, or be a head: then all must have their turn."""
        self._give_up = False
        self._preemption.begin()
        self._migration.begin()
        actions = self._take_turns(self._try_newcomer)
        self._look_again_at(self._preemption.again_at)
        self._look_again_at(self._migration.again_at)
        return None if self._give_up and not actions else actions

    def _take_turns(
        self, attempt: Callable[[QueueNode, Alike, Request], Sequence[Action]]
    ) -> list[Action]:
        actions: list[Action] = []
        tree = self._ledger.tree
        self._stuck.clear()
        self._unmoved.clear()
        while not self._give_up and (turn := tree.first()) is not None:
            leaf, alike = turn
            request = self._ledger.requests[alike.first]
            done = attempt(leaf, alike, request)
            if done or request.id in self._ledger.kept:
                actions += done
                continue
            assert leaf.line is not None
            leaf.line.block(alike)
            tree.touch(leaf)
        return actions

    @property
    def spare(self) -> Cluster:
        """What is free and held for nobody."""
        if not self._windows and (not self.heads or not self._ledger.policy.backfill):
            return self._ledger.cluster
        return self._profile_with_holds().spare(None, yields=True)

    def _look_again_at(self, time: float | None) -> None:
        if time is not None:
            self.again_at = time if self.again_at is None else min(time, self.again_at)

    # -- one turn -----------------------------------------------------------------------------

    def _try(self, leaf: QueueNode, alike: Alike, request: Request) -> Sequence[Action]:
        """What comes of a request's turn; nothing when it has to wait."""
        ledger = self._ledger
        if request.reservation and not self._window_is_open(request.reservation):
            return ()
        if not ledger.may_have(leaf, request, alike.least):
            return self._stop_others(leaf, alike, request, full=True)
        if self._no_room and alike.groups in self._no_room:
            return self._make_room(leaf, alike, request)
        groups = self._within_bounds(leaf, request)
        attempt = place(groups, ledger.cluster, request.work)
        if not attempt.complete:
            self._no_room.add(alike.groups)
            return self._make_room(leaf, alike, request)
        if self.heads or self._windows:
            undo(attempt, groups, ledger.cluster)
            if self._passes_strictly(leaf):
                return ()
            attempt = self._beside_heads(groups, request)
            if not attempt.complete:
                self._become_head(leaf, alike, request)
                return ()
        if not self._exactly(leaf, request, groups, attempt):
            undo(attempt, groups, ledger.cluster)
            return ()
        ledger.start(request, groups, attempt.placements)
        return (Start(request, attempt.placements),)

    def _try_newcomer(self, leaf: QueueNode, alike: Alike, request: Request) -> Sequence[Action]:
        ledger = self._ledger
        if not ledger.may_have(leaf, request, alike.least):
            return self._stop_others(leaf, alike, request, full=True)
        head = self.heads.get((leaf.id, alike.kind))
        assert leaf.line is not None
        if (
            alike.groups not in self._no_room
            or head is None
            or leaf.line.precedes(request, ledger.requests[head], leaf)
            or self._migration.possible
        ):
            self._give_up = True
            return ()
        return self._stop_others(leaf, alike, request, full=False)

    def _make_room(self, leaf: QueueNode, alike: Alike, request: Request) -> Sequence[Action]:
        """Where there is none: by moving others, by stopping others, or by holding the place for
        later."""
        actions = self._move_others(leaf, alike, request)
        actions = actions or self._stop_others(leaf, alike, request, full=False)
        if not actions and request.id not in self._ledger.kept:
            self._become_head(leaf, alike, request)
            assert leaf.line is not None
            leaf.line.block_like(alike)
        return actions

    def _move_others(self, leaf: QueueNode, alike: Alike, request: Request) -> Sequence[Action]:
        """To places that nobody waits for; the winner's own is on a node where no head and no
        reservation will have one, so that it delays none of them."""
        sort = (leaf.id, alike.groups, request.priority)
        if not self._migration.possible or sort in self._unmoved or request.reservation:
            return ()
        if self._passes_strictly(leaf):
            return ()
        spare = self.spare
        held = self._profile.held_nodes if self._profile is not None else frozenset[str]()
        actions = self._migration.make_room(leaf, request, alike.least, spare, held)
        if not actions:
            self._unmoved.add(sort)
        self._look_anew(request)
        return actions

    def _look_anew(self, request: Request) -> None:
        """Where places are kept for it now, the profile does not know of them."""
        if request.id in self._ledger.kept and self._profile is not None:
            self._profile = None
            waiting = self._ledger.requests
            self._pending = [waiting[head] for head in self.heads.values() if head in waiting]

    def _stop_others(
        self, leaf: QueueNode, alike: Alike, request: Request, *, full: bool
    ) -> Sequence[Action]:
        """`full`: it is queues or limits that have no room for it."""
        who = (request.user, request.project) if full else ()
        sort = (leaf.id, alike.groups, request.priority, alike.stage, request.preemptible, who)
        if not self._preemption.possible or sort in self._stuck:
            return ()
        groups, others_hold = at_minimum(request.groups), bool(self.heads or self._windows)
        actions = self._preemption.make_room(leaf, request, groups, others_hold=others_hold)
        if not actions and request.id not in self._ledger.kept:
            self._stuck.add(sort)
        self._look_anew(request)
        return actions

    def start_winners(self) -> Iterator[Start]:
        """Those for whom others were stopped, when all of these are gone."""
        ledger = self._ledger
        ready = [
            ledger.kept_for[kept.request_id]
            for kept in ledger.kept.values()
            # Not "held": what was moved may hold its new place by the same key already.
            if not any(ledger.runs.is_leaving(key) for key in kept.until)
        ]
        for request in sorted(ready, key=lambda r: (-r.priority, r.order, r.id)):
            if not ledger.waits(request.id):
                continue
            request = ledger.requests[request.id]
            kept = ledger.kept[request.id]
            ledger.drop_kept(request.id)
            leaf = ledger.tree.leaf(request.queue)
            groups = at_minimum(request.groups)
            amounts = ledger.amounts_of(groups, kept.placements)
            if not kept.goes_on and not ledger.may_have(leaf, request, amounts, lending=False):
                if any(run.leaving for run in ledger.runs):
                    ledger.keep(kept)  # what counts against it is about to end
                continue
            nodes = {place_.node_id for place_ in kept.placements}
            attempt = place(groups, ledger.cluster, request.work, nodes)
            if attempt.complete:
                ledger.start(request, groups, attempt.placements)
                yield Start(request, attempt.placements)

    def _within_bounds(self, leaf: QueueNode, request: Request) -> Shape:
        """The groups with no more replicas than queues and limits allow, and no more than needed
        where more may come later."""
        if all(group.replicas_max == group.replicas_min for group in request.groups):
            return request.groups
        if request.resizable:
            return at_minimum(request.groups)
        most = sums.of_groups(self._ledger.meter, request.groups, most=True)
        if self._ledger.may_have(leaf, request, most):
            return request.groups
        groups = list(at_minimum(request.groups))
        for number, group in enumerate(request.groups):
            low, high = group.replicas_min, group.replicas_max
            while low < high:
                middle = (low + high + 1) // 2
                groups[number] = replace(group, replicas_max=middle)
                amounts = sums.of_groups(self._ledger.meter, groups, most=True)
                low, high = (
                    (middle, high)
                    if self._ledger.may_have(leaf, request, amounts)
                    else (low, middle - 1)
                )
            groups[number] = replace(group, replicas_max=low)
        return tuple(groups)

    def _exactly(self, leaf: QueueNode, request: Request, groups: Shape, attempt: Attempt) -> bool:
        """Whether what it would hold there is allowed; known before where the share is known and
        no bound names a model."""
        meter = self._ledger.meter
        if not meter.named and all(
            group.resources.device_milli or not group.resources.device_kind for group in groups
        ):
            return True
        exactly = self._ledger.amounts_of(groups, attempt.placements)
        return self._ledger.may_have(leaf, request, exactly)

    # -- heads --------------------------------------------------------------------------------

    def _become_head(self, leaf: QueueNode, alike: Alike, request: Request) -> None:
        place_in_line = (leaf.id, alike.kind)
        if place_in_line in self.heads or len(self.heads) >= MOST_HEADS:
            return
        if self._could_ever(alike.groups):
            self.heads[place_in_line] = request.id
            self._pending.append(request)

    def _passes_strictly(self, leaf: QueueNode) -> bool:
        """Whether it would pass somebody of its queue, where nobody may."""
        return not self._ledger.policy.backfill and any(
            queue == leaf.id for queue, _ in self.heads
        )

    def _beside_heads(self, groups: Shape, request: Request) -> Attempt:
        """A place that delays no head and runs into no window, taken."""
        ledger = self._ledger
        if not ledger.policy.backfill and not self._windows:
            return place(groups, ledger.cluster, request.work)
        profile = self._profile_with_holds()
        lasts = request.time_limit_s or None
        spare = profile.spare(lasts, reservation=request.reservation, yields=request.preemptible)
        attempt = place(groups, spare, request.work)
        if attempt.complete:
            needs = {group.role: group.resources for group in groups}
            for place_ in attempt.placements:
                ledger.cluster.take(place_.node_id, needs[place_.role], place_.devices)
            profile.started(groups, attempt.placements, spare)
        return attempt

    def _profile_with_holds(self) -> Profile:
        ledger = self._ledger
        if self._profile is None:
            self._profile = Profile(
                ledger.cluster,
                ledger.all_releases(),
                ledger.now,
                self._windows,
                ledger.releases_in_windows(),
            )
            self._look_again_at(ledger.next_boundary())
        for head in self._pending if ledger.policy.backfill else ():
            lasts = head.time_limit_s or None
            found = self._profile.earliest(
                head.groups, lasts, reservation=head.reservation, yields=head.preemptible
            )
            if found is not None:
                time, placements = found
                self._profile.hold(head.id, time, placements, head.groups, lasts)
        self._pending.clear()
        return self._profile

    def _window_is_open(self, series: str) -> bool:
        """Whether what was submitted for a reservation may start; if not, when to look again."""
        own = [window for window in self._windows if series_of(window.id) == series]
        if any(window.start <= self._ledger.now for window in own):
            return True
        self._look_again_at(min((window.start for window in own), default=None))
        return False

    def _could_ever(self, groups: Shape) -> bool:
        """Whether it would start if nothing ran on the nodes that are open."""
        if groups not in self._possible:
            smallest = at_minimum(groups)
            attempt = place(smallest, self._ledger.cluster.emptied())
            self._possible[groups] = attempt.complete
        return self._possible[groups]
