"""Those who wait in one queue, in its order; equal ones are looked at once."""

from __future__ import annotations

import heapq
from bisect import bisect_left, insort
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from itertools import groupby, pairwise
from typing import Any

from madang.scheduling.model import Amounts, Group, Request
from madang.scheduling.ordering import Key, Order, Shares

Shape = tuple[Group, ...]


class Alike:
    """Requests of one queue that are equal in all that decides whether they may start: when the
    first of them can't, none can. `active`: not yet known to be unable to start now."""

    __slots__ = (
        "active",
        "groups",
        "keys",
        "kind",
        "least",
        "number",
        "preemptible",
        "priority",
        "sort",
        "stage",
        "subject",
    )

    def __init__(
        self,
        request: Request,
        groups: Shape,
        sort: tuple[Any, ...],
        subject: str,
        stage: int,
        number: int,
        least: Amounts,
    ) -> None:
        self.sort = sort
        self.groups = groups
        self.preemptible = request.preemptible
        self.priority = request.priority
        """The highest that any of them has had."""
        self.subject = subject
        self.stage = stage
        self.number = number
        self.least = least
        self.kind = kind_of(groups)
        self.keys: list[Key] = []
        self.active = True

    @property
    def first(self) -> str:
        """The id of the one whose turn comes first."""
        return self.keys[0][2]


class Line:
    """Deterministic: what it says depends on who waits, not on how they came."""

    def __init__(self, order: Order, *, limited: bool = False) -> None:
        """limited: users or projects have limits, so requests of different ones are not alike."""
        self.order = order
        self._limited = limited
        self._alike: dict[tuple[Any, ...], Alike] = {}
        self._of: dict[str, Alike] = {}
        """By id of a request that waits."""
        self._shapes: dict[Shape, Shape] = {}
        self._turns: dict[str, list[tuple[Key, int, Alike]]] = {}
        self._numbers = 0
        self._standing: dict[str, int] = {}
        """The place of each subject when everybody last had a turn; equals have the same."""

    def __iter__(self) -> Iterator[Alike]:
        return iter(self._alike.values())

    def add(self, request: Request, least: Callable[[Shape], Amounts]) -> Alike:
        """`least`: what its minimum counts for."""
        sort = self._sort_of(request)
        alike = self._alike.get(sort)
        if alike is None:
            self._numbers += 1
            subject, stage = self.order.subject(request), self.order.stage(request)
            groups = self._shapes.setdefault(request.groups, request.groups)
            alike = Alike(request, groups, sort, subject, stage, self._numbers, least(groups))
            self._alike[sort] = alike
        elif request.priority > alike.priority:
            alike.priority = request.priority
        key = self.order.key(request)
        insort(alike.keys, key)
        self._of[request.id] = alike
        if alike.keys[0] == key:  # even where those behind it could not start
            alike.active = True
            self._give_turn(alike)
        return alike

    def remove(self, request: Request) -> bool:
        """Whether it waited."""
        alike = self._of.pop(request.id, None)
        if alike is None:
            return False
        position = bisect_left(alike.keys, self.order.key(request))
        del alike.keys[position]
        if not alike.keys:
            del self._alike[alike.sort]
        elif position == 0 and alike.active:
            self._give_turn(alike)
        return True

    def waits(self, request: Request) -> bool:
        return request.id in self._of

    @property
    def size(self) -> int:
        return len(self._of)

    def first(self, shares: Shares) -> Alike | None:
        """Whose turn it is among those that are active."""
        best: Alike | None = None
        best_rank: tuple[float, Key] | None = None
        for subject in list(self._turns):
            alike = self._first_of(subject)
            if alike is None:
                del self._turns[subject]
                continue
            if len(self._turns) == 1:
                return alike
            rank = (self.order.rank(subject, shares), alike.keys[0])
            if best_rank is None or rank < best_rank:
                best, best_rank = alike, rank
        return best

    def block(self, alike: Alike) -> None:
        """It can't start now: others' turn."""
        alike.active = False

    def block_like(self, alike: Alike) -> None:
        """There is no room for its shape: nor is there for others of the same, however long they
        run, unless they may stop more."""
        for other in self._alike.values():
            if (
                other.active
                and other.groups is alike.groups
                and other.priority <= alike.priority
                and other.stage >= alike.stage
                and other.preemptible == alike.preemptible
            ):
                other.active = False

    def precedes(self, one: Request, other: Request, shares: Shares) -> bool:
        """Whether `one` has its turn before `other`."""
        return self._turn_of(one, shares) < self._turn_of(other, shares)

    def _turn_of(self, request: Request, shares: Shares) -> tuple[float, Key]:
        order = self.order
        return (order.rank(order.subject(request), shares), order.key(request))

    def wake(self, alike: Alike) -> None:
        """It may be able to start again."""
        if not alike.active:
            alike.active = True
            self._give_turn(alike)

    def note_standing(self, shares: Shares) -> None:
        """Everybody has had a turn: remember who went before whom, where that drifts."""
        if self.order.drifts:
            ranks = {alike.subject: 0.0 for alike in self._alike.values()}
            for subject in ranks:
                ranks[subject] = self.order.rank(subject, shares)
            places = {rank: place for place, rank in enumerate(sorted(set(ranks.values())))}
            self._standing = {subject: places[rank] for subject, rank in ranks.items()}

    def has_drifted(self, shares: Shares) -> bool:
        """Whether somebody goes before another by now who did not then."""
        standing = self._standing
        subjects = {alike.subject for alike in self._alike.values()}
        if not subjects <= standing.keys():
            return True
        places = sorted((self.order.rank(each, shares), standing[each]) for each in subjects)
        return any(
            low > high or (low == high) != (rank == next_rank)
            for (rank, low), (next_rank, high) in pairwise(places)
        )

    def in_order(self, shares: Shares) -> Iterator[Key]:
        """All keys, as their turns would come if nothing started."""
        ranked = [(self.order.rank(a.subject, shares), a.keys) for a in self._alike.values()]
        ranked.sort(key=lambda pair: pair[0])
        for _, equals in groupby(ranked, key=lambda pair: pair[0]):
            yield from heapq.merge(*(keys for _, keys in equals))

    def ahead(self, request: Request, shares: Shares) -> int:
        """How many go before it."""
        key = self.order.key(request)
        own = self.order.rank(self.order.subject(request), shares)
        ahead = 0
        for alike in self._alike.values():
            rank = self.order.rank(alike.subject, shares)
            if rank == own:
                ahead += bisect_left(alike.keys, key)
            elif rank < own:
                ahead += len(alike.keys)
        return ahead

    def _sort_of(self, request: Request) -> tuple[Any, ...]:
        work = request.work
        return (
            request.groups,
            (request.user, request.project) if self._limited else self.order.subject(request),
            self.order.stage(request),
            request.time_limit_s,
            request.preemptible,
            request.resizable,
            request.reservation,
            work.step_times if work is not None else (),
        )

    def _give_turn(self, alike: Alike) -> None:
        turns = self._turns.setdefault(alike.subject, [])
        heapq.heappush(turns, (alike.keys[0], alike.number, alike))

    def _first_of(self, subject: str) -> Alike | None:
        turns = self._turns[subject]
        while turns:
            key, _, alike = turns[0]
            if alike.active and alike.keys and alike.keys[0] == key:
                return alike
            heapq.heappop(turns)
        return None


def kind_of(groups: Shape) -> str:
    """What the line is for: the scarcest thing that is asked for."""
    return max((group.resources.device_kind for group in groups), default="")


def at_minimum(groups: Sequence[Group]) -> Shape:
    """The groups with no more replicas than they need."""
    return tuple(
        group
        if group.replicas_max == group.replicas_min
        else replace(group, replicas_max=group.replicas_min)
        for group in groups
    )
