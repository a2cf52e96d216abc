"""Those who wait in one queue, in its order; equal ones are looked at once."""

from __future__ import annotations

import heapq
from bisect import bisect_left, insort
from collections.abc import Callable, Iterator
from itertools import groupby
from typing import Any

from madang.scheduling.model import Amounts, Group, Request
from madang.scheduling.ordering import Key, Order, Shares

Shape = tuple[Group, ...]


class Alike:
    """Requests of one queue that are equal in all that decides whether they may start: when the
    first of them can't, none can. `active`: not yet known to be unable to start now."""

    __slots__ = ("active", "groups", "keys", "kind", "least", "number", "subject")

    def __init__(self, request: Request, subject: str, number: int, least: Amounts) -> None:
        self.groups = request.groups
        self.subject = subject
        self.number = number
        self.least = least
        self.kind = kind_of(request.groups)
        self.keys: list[Key] = []
        self.active = True

    @property
    def first(self) -> str:
        """The id of the one whose turn comes first."""
        return self.keys[0][2]


class Line:
    """Deterministic: what it says depends on who waits, not on how they came."""

    def __init__(self, order: Order) -> None:
        self.order = order
        self._alike: dict[tuple[Any, ...], Alike] = {}
        self._turns: dict[str, list[tuple[Key, int, Alike]]] = {}
        self._numbers = 0
        self.size = 0

    def __iter__(self) -> Iterator[Alike]:
        return iter(self._alike.values())

    def add(self, request: Request, least: Callable[[Shape], Amounts]) -> Alike:
        """`least`: what its minimum counts for."""
        sort = _sort_of(request)
        alike = self._alike.get(sort)
        if alike is None:
            self._numbers += 1
            subject = self.order.subject(request)
            alike = Alike(request, subject, self._numbers, least(request.groups))
            self._alike[sort] = alike
        key = self.order.key(request)
        insort(alike.keys, key)
        self.size += 1
        if alike.keys[0] == key and alike.active:
            self._give_turn(alike)
        return alike

    def remove(self, request: Request) -> bool:
        """Whether it waited."""
        sort = _sort_of(request)
        alike = self._alike.get(sort)
        if alike is None:
            return False
        key = self.order.key(request)
        position = bisect_left(alike.keys, key)
        if position == len(alike.keys) or alike.keys[position] != key:
            return False
        del alike.keys[position]
        self.size -= 1
        if not alike.keys:
            del self._alike[sort]
        elif position == 0 and alike.active:
            self._give_turn(alike)
        return True

    def waits(self, request: Request) -> bool:
        alike = self._alike.get(_sort_of(request))
        if alike is None:
            return False
        key = self.order.key(request)
        position = bisect_left(alike.keys, key)
        return position < len(alike.keys) and alike.keys[position] == key

    def alike(self, request: Request) -> Alike:
        return self._alike[_sort_of(request)]

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

    def wake(self, alike: Alike) -> None:
        """It may be able to start again."""
        if not alike.active:
            alike.active = True
            self._give_turn(alike)

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


def _sort_of(request: Request) -> tuple[Any, ...]:
    work = request.work
    return (
        request.groups,
        request.user,
        request.project,
        request.time_limit_s,
        request.preemptible,
        request.resizable,
        request.reservation,
        work.step_times if work is not None else (),
    )
