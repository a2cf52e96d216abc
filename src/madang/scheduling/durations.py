"""How long things are expected to run, learned from what has run before.

The most particular that is known decides: the user's runs of the same template, the template's,
the user's, all in the same project. Durations of jobs spread over many orders of magnitude, so
they are counted by their logarithm, and quantiles are asked for, not means: one run of a month
among a hundred of a minute says little about the next (Tsafrir et al., "Backfilling using
system-generated predictions rather than user runtime estimates", 2007: the last two runs of a user
beat her own estimates; Philly's jobs spread from seconds to weeks).
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field

DEFAULT_S = 3_600.0
"""What is expected of something of which nothing at all is known."""

_BINS = 96
_PER_BIN = math.log(2.0) / 4
"""Bins are a quarter of a doubling wide (19 %): from 1 s to 2^24 s, half a year."""

_FORGET = 0.98
"""Weight of what was seen before, at each new run: the last fifty or so count."""

_ENOUGH = 3.0
"""Runs that are needed before a level decides; fewer only help the next."""

Kind = tuple[str, str, str]
"""(template, user, project); any may be empty."""


@dataclass(slots=True)
class _Seen:
    """A histogram of logarithms of durations; old runs fade."""

    weights: list[float] = field(default_factory=lambda: [0.0] * _BINS)
    total: float = 0.0

    def add(self, duration_s: float) -> None:
        for position, weight in enumerate(self.weights):
            if weight:
                self.weights[position] = weight * _FORGET
        self.weights[_bin(duration_s)] += 1.0
        self.total = self.total * _FORGET + 1.0

    def quantile(self, q: float, longer_than_s: float = 0.0) -> float | None:
        """The duration that a part `q` of those that ran longer than that did not exceed."""
        first = _bin(longer_than_s) if longer_than_s > 1.0 else -1
        left = sum(self.weights[first + 1 :])
        if left <= 1e-3:
            return None
        wanted = q * left
        for position in range(first + 1, _BINS):
            weight = self.weights[position]
            if weight and wanted <= weight:
                return math.exp((position + wanted / weight) * _PER_BIN)
            wanted -= weight
        return math.exp(_BINS * _PER_BIN)


class Durations:
    """What was seen, by template, user and project. Depends on the order of what it was told."""

    def __init__(self) -> None:
        self._seen: dict[Kind, _Seen] = {}

    def ended(self, duration_s: float, *, template: str, user: str, project: str) -> None:
        """Something ran for so long, to its own end; what was stopped before says nothing."""
        for level in _levels(template, user, project):
            self._seen.setdefault(level, _Seen()).add(duration_s)

    def expected(
        self,
        *,
        template: str,
        user: str,
        project: str,
        run_for_s: float = 0.0,
        q: float = 0.5,
    ) -> float | None:
        """How long something like it runs in all, given that it has run for so long already: the
        median, or another quantile. None: nothing is known of anything like it."""
        best: float | None = None
        for level in _levels(template, user, project):
            seen = self._seen.get(level)
            if seen is None:
                continue
            known = seen.quantile(q, run_for_s)
            if known is None:
                continue
            if seen.total >= _ENOUGH:
                return max(known, run_for_s)
            best = best if best is not None else known
        return None if best is None else max(best, run_for_s)

    def to_rows(self) -> list[tuple[Kind, list[float]]]:
        """All that is known, to be kept; sorted."""
        return [(kind, list(seen.weights)) for kind, seen in sorted(self._seen.items())]

    @classmethod
    def from_rows(cls, rows: Iterable[tuple[Kind, Sequence[float]]]) -> Durations:
        """The inverse of `to_rows`."""
        durations = cls()
        for kind, weights in rows:
            durations._seen[kind] = _Seen(list(weights), sum(weights))
        return durations


def _levels(template: str, user: str, project: str) -> Iterator[Kind]:
    """From the most particular on; never what others ran of something else, or elsewhere."""
    if template:
        yield (template, user, project)
        yield (template, "", project)
    if user:
        yield ("", user, project)


def _bin(duration_s: float) -> int:
    return min(_BINS - 1, int(math.log(max(1.0, duration_s)) / _PER_BIN))
