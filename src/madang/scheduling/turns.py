"""One round of turns: whoever's turn it is starts, or waits and lets others pass.

Who may pass whom: the first of each queue and kind of accelerator that finds no room is a *head*:
its place is held from the earliest time at which it fits (`backfill.Profile`), and those behind
start only where that delays no head. So the first in line is delayed by nobody behind it, everybody
becomes the first in line at last, and what it can't use does not lie idle.

Cost: equal requests are looked at once, a shape that found no room is not tried again until
something is given back, and the profile is worked out only when somebody behind a head would find
room without it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from madang.scheduling import sums
from madang.scheduling.backfill import Profile
from madang.scheduling.ledger import Ledger
from madang.scheduling.line import Alike, Shape
from madang.scheduling.model import Amounts, Placement, Request, Start
from madang.scheduling.placement import Attempt, place, undo
from madang.scheduling.queues import QueueNode

MOST_HEADS = 8
"""How many hold places at once: one of each queue and kind, and never more than this."""


class Turns:
    """Starts what may start now. What it learns of what can't is kept until something is given
    back (`forget`)."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger
        self._no_room: set[Shape] = set()
        self._possible: dict[Shape, bool] = {}
        self.heads: dict[tuple[str, str], str] = {}
        """By queue and kind: the request whose place is held."""
        self.again_at: float | None = None
        """When heads' places may be others, though nothing happened."""
        self._profile: Profile | None = None
        self._pending: list[Request] = []
        """Heads whose places the profile does not hold yet."""

    def forget(self, *, nodes: bool) -> None:
        """Something was given back, or (`nodes`) the nodes are others."""
        self._no_room.clear()
        if nodes:
            self._possible.clear()

    def take(self) -> list[Start]:
        """Let everybody who is active have a turn."""
        self.heads = {}
        self.again_at = None
        self._profile = None
        self._pending = []
        starts: list[Start] = []
        tree = self._ledger.tree
        while (turn := tree.first()) is not None:
            leaf, alike = turn
            request = self._ledger.requests[alike.first]
            placements = self._try(leaf, alike, request)
            if placements is not None:
                self._ledger.start(request, request.groups, placements)
                starts.append(Start(request, placements))
                continue
            assert leaf.line is not None
            leaf.line.block(alike)
            tree.touch(leaf)
        return starts

    # -- one turn -----------------------------------------------------------------------------

    def _try(
        self, leaf: QueueNode, alike: Alike, request: Request
    ) -> tuple[Placement, ...] | None:
        ledger = self._ledger
        if not self._may_have(leaf, request, alike.least):
            return None
        if alike.groups in self._no_room:
            self._become_head(leaf, alike, request)
            return None
        groups = self._within_bounds(leaf, request)
        attempt = place(groups, ledger.cluster, request.work)
        if not attempt.complete:
            self._no_room.add(alike.groups)
            self._become_head(leaf, alike, request)
            return None
        if self.heads:
            if self._passes_strictly(leaf):
                undo(attempt, groups, ledger.cluster)
                return None
            undo(attempt, groups, ledger.cluster)
            attempt = self._beside_heads(groups, request)
            if not attempt.complete:
                self._become_head(leaf, alike, request)
                return None
        if not self._exactly(leaf, request, groups, attempt):
            undo(attempt, groups, ledger.cluster)
            return None
        return attempt.placements

    def _may_have(self, leaf: QueueNode, request: Request, amounts: Amounts) -> bool:
        ledger = self._ledger
        if ledger.limits.spent(request.user, request.project, amounts) is not None:
            return False
        full = ledger.tree.full(leaf, amounts, returnable=request.preemptible)
        return full is None

    def _within_bounds(self, leaf: QueueNode, request: Request) -> Shape:
        """The groups with no more replicas than queues and limits allow, and no more than needed
        where more may come later."""
        if all(group.replicas_max == group.replicas_min for group in request.groups):
            return request.groups
        if request.resizable:
            return at_minimum(request.groups)
        most = sums.of_groups(self._ledger.meter, request.groups, most=True)
        if self._may_have(leaf, request, most):
            return request.groups
        groups = list(at_minimum(request.groups))
        for number, group in enumerate(request.groups):
            low, high = group.replicas_min, group.replicas_max
            while low < high:
                middle = (low + high + 1) // 2
                groups[number] = replace(group, replicas_max=middle)
                amounts = sums.of_groups(self._ledger.meter, groups, most=True)
                low, high = (
                    (middle, high) if self._may_have(leaf, request, amounts) else (low, middle - 1)
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
        needs = {group.role: group.resources for group in groups}
        total: dict[str, int] = {}
        for place_ in attempt.placements:
            node = self._ledger.nodes[place_.node_id]
            sums.add(total, meter.replica(needs[place_.role], place_.devices, node))
        return self._may_have(leaf, request, sums.amounts_of(total))

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
        """A place that delays no head, taken."""
        ledger = self._ledger
        if not ledger.policy.backfill:
            return place(groups, ledger.cluster, request.work)
        profile = self._profile_with_holds()
        lasts = request.time_limit_s or None
        spare = profile.spare(lasts, reservation=request.reservation)
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
                ledger.cluster, ledger.all_releases(), ledger.now, ledger.windows()
            )
            self.again_at = ledger.next_boundary()
        for head in self._pending:
            lasts = head.time_limit_s or None
            found = self._profile.earliest(head.groups, lasts, reservation=head.reservation)
            if found is not None:
                time, placements = found
                self._profile.hold(head.id, time, placements, head.groups, lasts)
        self._pending.clear()
        return self._profile

    def _could_ever(self, groups: Shape) -> bool:
        """Whether it would start if nothing ran on the nodes that are open."""
        if groups not in self._possible:
            smallest = at_minimum(groups)
            attempt = place(smallest, self._ledger.cluster.emptied())
            self._possible[groups] = attempt.complete
        return self._possible[groups]


def at_minimum(groups: Sequence) -> Shape:  # type: ignore[type-arg]
    """The groups with no more replicas than they need."""
    return tuple(
        group
        if group.replicas_max == group.replicas_min
        else replace(group, replicas_max=group.replicas_min)
        for group in groups
    )
