"""Reservations: windows, once or again and again, whether they fit, and what would.

A calendar, without clock or I/O. A *series* is what somebody booked; its *windows* are
`model.Reservation` values whose ids begin with the series' (`series_of`). Windows are kept in the
order in which they were booked: what was promised first is placed first, both here, when a new one
is asked for, and in `backfill.Profile`, which keeps jobs clear of them.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

from madang.scheduling.backfill import FOREVER, Profile
from madang.scheduling.model import Group, Reservation
from madang.scheduling.placement import Cluster
from madang.scheduling.timeline import series_of

__all__ = [
    "Calendar",
    "Conflict",
    "Series",
    "Span",
    "give_back_at",
    "is_unused",
    "series_of",
    "window_at",
    "windows",
]

RECURRENCES = ("once", "daily", "weekdays", "weekly")

_PERIODS = {"daily": 86_400.0, "weekdays": 86_400.0, "weekly": 604_800.0}

MAX_OCCURRENCES = 1_000
"""No series is followed further."""

MAX_SHIFTS = 100
"""How many other times are tried for a series that does not fit, the nearest first."""

Span = tuple[float, float]
"""From when until when, in seconds since 1970."""


@dataclass(frozen=True, slots=True)
class Series:
    """What somebody booked: resources for a project from `start` to `end`, and again as
    `recurrence` says, at the same time of day in `timezone`, as long as a window starts before
    `until`.

    return_after_s: a window that nothing has used for so long is given back; 0: never. returned:
    starts of windows that were given back or cancelled.
    """

    id: str
    project: str
    groups: tuple[Group, ...]
    start: float
    end: float
    recurrence: str = "once"
    until: float | None = None
    timezone: str = "UTC"
    return_after_s: float = 900.0
    returned: frozenset[float] = frozenset()


@dataclass(frozen=True, slots=True)
class Conflict:
    """A window that does not fit, and what is booked for the same time (ids of windows, or its own
    series' where it would run into itself)."""

    start: float
    end: float
    others: tuple[str, ...]


# -- windows ----------------------------------------------------------------------------------


def windows(series: Series, since: float, until: float) -> list[Reservation]:
    """The windows that touch the time from `since` to `until`, the earliest first."""
    found = []
    for start, end in spans(series):
        if start >= until:
            break
        if end > since:
            found.append(_window(series, start, end))
    return found


def window_at(series: Series, time: float) -> Reservation | None:
    """The window that is open then."""
    return next(iter(windows(series, time, time + 1e-6)), None)


def spans(series: Series) -> Iterator[Span]:
    """From when until when, one window after the other. Where clocks are put forward, a time that
    does not exist is the one an hour later; a window lasts as long as the first."""
    zone = ZoneInfo(series.timezone)
    first = datetime.fromtimestamp(series.start, zone).replace(tzinfo=None)
    lasts = series.end - series.start
    days = {"daily": 1, "weekdays": 1, "weekly": 7}.get(series.recurrence, 0)
    for number in range(MAX_OCCURRENCES if days else 1):
        local = first + timedelta(days=days * number)
        start = series.start if number == 0 else local.replace(tzinfo=zone).timestamp()
        if number and series.until is not None and start >= series.until:
            return
        if series.recurrence == "weekdays" and local.weekday() >= 5 and number:
            continue
        yield start, start + lasts


def _window(series: Series, start: float, end: float) -> Reservation:
    name = series.id
    if series.recurrence != "once":
        name += f"/{datetime.fromtimestamp(start, UTC):%Y%m%dT%H%M%SZ}"
    returned = start in series.returned
    return Reservation(name, series.project, series.groups, start, end, returned)


# -- given back -------------------------------------------------------------------------------


def give_back_at(
    window: Reservation, return_after_s: float, last_used: float | None
) -> float | None:
    """When a window will be given back if nothing uses it; None: never. last_used: until when
    something of its project ran in it."""
    if not return_after_s:
        return None
    at = max(window.start, last_used or window.start) + return_after_s
    return at if at < window.end else None


def is_unused(
    window: Reservation, return_after_s: float, last_used: float | None, now: float
) -> bool:
    """Whether it is to be given back now: it is open and nothing has used it for too long. (What
    runs in it at this moment has used it until `now`.)"""
    at = give_back_at(window, return_after_s, last_used)
    return at is not None and window.start <= at <= now < window.end


# -- what fits --------------------------------------------------------------------------------


class Calendar:
    """What is booked, on nodes of which nothing else runs: windows are promises, and whatever runs
    flows around them."""

    def __init__(self, cluster: Cluster, booked: Iterable[Reservation], now: float) -> None:
        """cluster: all nodes, empty (`Cluster.emptied`)."""
        self._booked = [window for window in booked if not window.returned and window.end > now]
        self._profile = Profile(cluster, (), now, self._booked)
        self._now = now
        self._fit_alone: dict[tuple[Group, ...], bool] = {}

    def conflict(self, series: Series) -> Conflict | None:
        """The first window of a new series that does not fit; None: all do."""
        if series.end - series.start > _PERIODS.get(series.recurrence, FOREVER):
            return Conflict(series.start, series.end, (series.id,))
        for start, end in spans(series):
            if end > self._now and not self._fits(series.groups, start, end):
                return Conflict(start, end, self._beside(start, end))
        return None

    def nearest(self, series: Series) -> tuple[Series | None, Series | None]:
        """The series moved as little as possible to where all its windows fit: earlier (but not
        into the past), and later. None: there is no such time among those tried."""
        shifts = sorted(self._shifts(series), key=abs)[:MAX_SHIFTS]
        earlier = (s for s in shifts if s < 0 and series.start + s >= self._now)
        later = (s for s in shifts if s > 0)
        return self._first(series, earlier), self._first(series, later)

    def _first(self, series: Series, shifts: Iterable[float]) -> Series | None:
        moved = (_moved(series, shift) for shift in shifts)
        return next((one for one in moved if self.conflict(one) is None), None)

    def _shifts(self, series: Series) -> set[float]:
        """Moves that bring a window to where another ends, or its end to where another starts:
        what fits anywhere near fits at one of these."""
        shifts = set()
        lasts = series.end - series.start
        reach = _PERIODS.get(series.recurrence, FOREVER)
        for start, _ in spans(series):
            if start + lasts <= self._now:
                continue
            for window in self._booked:
                shifts.update({window.end - start, window.start - lasts - start})
        return {shift for shift in shifts if shift and abs(shift) < reach}

    def _beside(self, start: float, end: float) -> tuple[str, ...]:
        return tuple(w.id for w in self._booked if w.start < end and w.end > start)

    def _fits(self, groups: tuple[Group, ...], start: float, end: float) -> bool:
        start = max(start, self._now)
        if self._beside(start, end):
            return self._profile.fits(groups, start, end - start)
        if groups not in self._fit_alone:
            self._fit_alone[groups] = self._profile.fits(groups, start, end - start)
        return self._fit_alone[groups]


def _moved(series: Series, shift: float) -> Series:
    until = None if series.until is None else series.until + shift
    return replace(series, start=series.start + shift, end=series.end + shift, until=until)
