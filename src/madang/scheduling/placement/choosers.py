"""The search for the best node: in arrays by numpy, or natively by `madang_native.Placement`.

Both choose the same (a test says so); the native one keeps scores and looks only at what changed.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

import numpy as np

from madang.scheduling.placement.asks import Ask
from madang.scheduling.placement.fragments import THRESHOLDS, Fragments
from madang.scheduling.placement.nodes import Flags, Integers
from madang.scheduling.placement.policies.rule import Rule, Trial
from madang.scheduling.placement.space import Space
from madang.scheduling.placement.types import Types

if TYPE_CHECKING:
    from madang.scheduling.placement.tables import Prices

_MOST_STATES = 200_000
"""A native chooser that has seen more states of nodes than this is made anew."""


class Chooser(Protocol):
    """Where the next replica goes, for one policy."""

    def copy(self, space: Space) -> Chooser:
        """One for a copy of the space."""
        ...

    def touch(self, row: int) -> None:
        """What is free on this node has changed."""
        ...

    def choose(self, ask: Ask, allowed: Flags | None) -> tuple[int, int]:
        """(row, column of the device for a share); row -1 when there is no room."""
        ...

    def choose_device(self, ask: Ask, row: int) -> int:
        """The device for a share on this node, which has room."""
        ...


class ReferenceChooser:
    def __init__(self, rule: Rule, types: Types, space: Space, rank: Integers) -> None:
        self._rule = rule
        self._types = types
        self._space = space
        self._rank = rank

    def copy(self, space: Space) -> Chooser:
        return ReferenceChooser(self._rule, self._types, space, self._rank)

    def touch(self, row: int) -> None:
        pass

    def choose(self, ask: Ask, allowed: Flags | None) -> tuple[int, int]:
        fits = self._space.fitting(ask) & self._space.open
        if allowed is not None:
            fits &= allowed
        rows = np.flatnonzero(fits)
        if not len(rows):
            return -1, -1
        trial, scores = self._score(ask, rows)
        best = scores.max(axis=1) if scores.ndim == 2 else scores
        tied = np.flatnonzero(best == best.max())
        place = int(tied[np.argmin(self._rank[rows[tied]])])
        return int(rows[place]), self._device(trial, scores, place)

    def choose_device(self, ask: Ask, row: int) -> int:
        trial, scores = self._score(ask, np.array([row]))
        return self._device(trial, scores, 0)

    def _score(self, ask: Ask, rows: Integers) -> tuple[Trial, Integers]:
        fits = self._space.fitting_devices(ask)[rows]
        trial = Trial(self._space, ask, rows, fits, self._types.counts)
        scores = self._rule.scores(trial)
        if scores.ndim == 2:
            scores = np.where(fits, scores, np.iinfo(np.int64).min)
        return trial, scores

    def _device(self, trial: Trial, scores: Integers, place: int) -> int:
        if not trial.ask.share:
            return -1
        good = trial.fits[place]
        if scores.ndim == 2:
            good = good & (scores[place] == scores[place].max())
        columns = np.flatnonzero(good)
        if not self._rule.fullest_first:
            return int(columns[0])
        free = self._space.device_milli[trial.rows[place], columns]
        return int(columns[np.argmin(free)])


class NativeRule(Rule, Protocol):
    """A policy that the native chooser knows: scores are values by `prices` plus a bias of the
    ask (by type of node, in units of value), then fragments."""

    @property
    def fragments(self) -> Fragments | None: ...

    @property
    def prices(self) -> Prices | None: ...

    def bias(self, ask: Ask) -> Integers: ...


class NativeChooser:
    def __init__(self, rule: NativeRule, types: Types, space: Space, rank: Integers) -> None:
        from madang_native import Placement

        self._rule = rule
        self._types = types
        self._rank = rank
        self._number_of: dict[Ask, int] = {}
        self._kernel = Placement(types.alike, types.counts.astype(np.int64), rule.fullest_first)
        fragments, prices = rule.fragments, rule.prices
        if fragments is not None:
            self._kernel.set_fragments(
                fragments.weights,
                fragments.cpu_milli,
                fragments.counts,
                fragments.milli,
                THRESHOLDS,
            )
        if prices is not None:
            self._kernel.set_prices(
                prices.lambdas,
                prices.cpu_thresholds,
                prices.table_of,
                prices.shares,
                prices.wholes,
                prices.slot_counts,
                prices.slot_cpu_milli,
                prices.slot_values,
            )
        self._bind(space, same=False)

    def copy(self, space: Space) -> Chooser:
        other = NativeChooser.__new__(NativeChooser)
        other.__dict__.update(self.__dict__)
        other._kernel = self._kernel.copy()
        other._bind(space, same=True)
        return other

    def _bind(self, space: Space, *, same: bool) -> None:
        self._space = space
        self._kernel.bind(
            space.cpu_milli,
            space.memory_bytes,
            space.device_milli,
            space.device_memory_bytes,
            space.type_of,
            space.open,
            self._rank,
            same,
        )

    def touch(self, row: int) -> None:
        if self._kernel.touch(row) > _MOST_STATES + len(self._space):
            self.__init__(self._rule, self._types, self._space, self._rank)  # type: ignore[misc]

    def choose(self, ask: Ask, allowed: Flags | None) -> tuple[int, int]:
        row, column = self._kernel.choose(self._number(ask), allowed)
        return row, column

    def choose_device(self, ask: Ask, row: int) -> int:
        column: int = self._kernel.choose_device(self._number(ask), row)
        return column

    def _number(self, ask: Ask) -> int:
        number = self._number_of.get(ask)
        if number is None:
            need = ask.need
            number = self._number_of[ask] = self._kernel.add_ask(
                need.cpu_milli,
                need.memory_bytes,
                ask.whole,
                ask.share,
                ask.suits.astype(np.int64),
                ask.milli,
                ask.memory,
                self._rule.bias(ask),
            )
        return number


def has_native() -> bool:
    try:
        from madang_native import Placement  # noqa: F401
    except ImportError:
        return False
    return True
