"""Reservations: when windows are, whether they fit, what fits instead."""

from __future__ import annotations

import random
from dataclasses import replace
from datetime import UTC, datetime

from hypothesis import given, settings
from hypothesis import strategies as st

from madang.core.resources import Resources
from madang.scheduling.backfill import Profile, Release
from madang.scheduling.model import Device, Group, Node, Reservation
from madang.scheduling.placement import Cluster, place
from madang.scheduling.reservations import (
    Calendar,
    Series,
    give_back_at,
    is_unused,
    spans,
    window_at,
    windows,
)

GIB = 2**30
HOUR = 3_600.0
DAY = 24 * HOUR
MONDAY = datetime(2026, 11, 23, 9, tzinfo=UTC).timestamp()
NOW = MONDAY - DAY


def cluster_of(**gpus: int) -> Cluster:
    cluster = Cluster()
    for name, count in gpus.items():
        devices = tuple(Device("gpu", i, "NVIDIA H100", 80 * GIB) for i in range(count))
        cluster.set_node(Node(name, name, 16_000, 128 * GIB, devices))
    return cluster


def gpus(count: int, replicas: int = 1) -> tuple[Group, ...]:
    need = Resources.parse([f"gpu={count}", "cpu=1", "memory=1GiB"])
    return (Group("reserved", replicas, replicas, need),)


def series(
    start: float = MONDAY,
    hours: float = 2.0,
    count: int = 4,
    name: str = "rsv-9",
    **options: object,
) -> Series:
    return Series(name, "p", gpus(count), start, start + hours * HOUR, **options)  # type: ignore[arg-type]


def booked(name: str, start: float, hours: float, count: int) -> Reservation:
    return Reservation(name, "q", gpus(count), start, start + hours * HOUR)


def test_once_is_one_window() -> None:
    assert [(w.id, w.start) for w in windows(series(), NOW, NOW + 30 * DAY)] == [("rsv-9", MONDAY)]
    assert windows(series(), MONDAY + 2 * HOUR, MONDAY + DAY) == []
    assert window_at(series(), MONDAY + HOUR) is not None
    assert window_at(series(), MONDAY + 3 * HOUR) is None


def test_weekly_until() -> None:
    course = series(recurrence="weekly", until=MONDAY + 15 * DAY)
    found = windows(course, NOW, NOW + 100 * DAY)
    assert [w.start for w in found] == [MONDAY, MONDAY + 7 * DAY, MONDAY + 14 * DAY]
    assert found[1].id == "rsv-9/20261130T090000Z"


def test_weekdays_leave_out_the_weekend() -> None:
    course = series(recurrence="weekdays")
    found = windows(course, NOW, NOW + 9.5 * DAY)
    days = [datetime.fromtimestamp(w.start, UTC).strftime("%a") for w in found]
    assert days == ["Mon", "Tue", "Wed", "Thu", "Fri", "Mon", "Tue"]


def test_the_time_of_day_stays_when_clocks_change() -> None:
    start = datetime(2026, 10, 19, 7, tzinfo=UTC).timestamp()  # 09:00 in Berlin, still summer
    course = series(start=start, recurrence="weekly", timezone="Europe/Berlin")
    first, second = [w.start for w in windows(course, start, start + 10 * DAY)]
    assert second - first == 7 * DAY + HOUR


def test_a_returned_window_is_told_as_such() -> None:
    course = series(recurrence="daily", returned=frozenset({MONDAY + DAY}))
    found = windows(course, NOW, NOW + 3 * DAY)
    assert [w.returned for w in found] == [False, True]


def test_an_unused_window_is_given_back() -> None:
    window = booked("r", MONDAY, 2, 4)
    assert give_back_at(window, 900, None) == MONDAY + 900
    assert not is_unused(window, 900, None, MONDAY + 899)
    assert is_unused(window, 900, None, MONDAY + 900)
    assert not is_unused(window, 900, MONDAY + 600, MONDAY + 900)
    assert is_unused(window, 900, MONDAY + 600, MONDAY + 1500)
    assert give_back_at(window, 0, None) is None
    assert give_back_at(window, 8_000, None) is None


def test_what_fits_has_no_conflict() -> None:
    calendar = Calendar(cluster_of(a=8), [booked("r", MONDAY, 2, 4)], NOW)
    assert calendar.conflict(series(count=4)) is None
    assert calendar.conflict(series(start=MONDAY + 2 * HOUR, count=8)) is None


def test_a_conflict_names_the_others_and_the_nearest_windows_fit() -> None:
    calendar = Calendar(cluster_of(a=8), [booked("r", MONDAY, 2, 4)], NOW)
    asked = series(start=MONDAY + HOUR, hours=2, count=6)
    conflict = calendar.conflict(asked)
    assert conflict is not None
    assert conflict.others == ("r",)
    earlier, later = calendar.nearest(asked)
    assert earlier is not None and later is not None
    assert (earlier.start, later.start) == (MONDAY - 2 * HOUR, MONDAY + 2 * HOUR)
    assert calendar.conflict(earlier) is None


def test_nothing_fits_what_is_larger_than_all_nodes() -> None:
    calendar = Calendar(cluster_of(a=8), [], NOW)
    assert calendar.conflict(series(count=9)) is not None
    assert calendar.nearest(series(count=9)) == (None, None)


def test_no_window_is_moved_into_the_past() -> None:
    calendar = Calendar(cluster_of(a=8), [booked("r", NOW + HOUR, 2, 8)], NOW)
    earlier, later = calendar.nearest(series(start=NOW + HOUR, hours=2, count=1))
    assert earlier is None
    assert later is not None and later.start == NOW + 3 * HOUR


def test_a_series_must_not_run_into_itself() -> None:
    calendar = Calendar(cluster_of(a=8), [], NOW)
    conflict = calendar.conflict(series(hours=25, recurrence="daily"))
    assert conflict is not None and conflict.others == ("rsv-9",)


def test_all_windows_of_a_series_must_fit() -> None:
    calendar = Calendar(cluster_of(a=8), [booked("r", MONDAY + 14 * DAY, 1, 8)], NOW)
    course = series(recurrence="weekly", until=MONDAY + 30 * DAY)
    conflict = calendar.conflict(course)
    assert conflict is not None and conflict.start == MONDAY + 14 * DAY
    _, later = calendar.nearest(course)
    assert later is not None and later.start == MONDAY + HOUR


def test_what_runs_in_a_window_has_its_part_of_it() -> None:
    """A window of two nodes of 4 GPUs, of which its project uses one GPU: 7 are kept."""
    cluster = cluster_of(a=4, b=4, c=4)
    need = gpus(1)[0].resources
    devices = cluster.fit("b", need)
    assert devices is not None
    cluster.take("b", need, devices)
    window = Reservation("r", "p", gpus(4, replicas=2), NOW - HOUR, NOW + HOUR)
    mine = Release(NOW + DAY, "b", need, devices, request_id="mine")
    profile = Profile(cluster, [mine], NOW, [window], {"r": [mine]})
    others = 0
    spare = profile.spare()
    while place(gpus(1), spare).complete:
        others += 1
    assert others == 4
    inside = profile.spare(reservation="r")
    assert place(gpus(4), inside).complete


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 10**9))
def test_what_is_booked_without_conflict_is_kept_for_it(seed: int) -> None:
    """Whatever the calendar accepts, the scheduler's profile finds places for, all of it."""
    chance = random.Random(seed)
    cluster = cluster_of(a=8, b=4, c=4)
    accepted: list[Reservation] = []
    for number in range(12):
        asked = replace(
            series(
                start=NOW + chance.randrange(48) * HOUR,
                hours=chance.randrange(1, 12),
                count=chance.choice([1, 2, 4, 8]),
                name=f"rsv-{number:02}",
                recurrence=chance.choice(["once", "daily"]),
                until=NOW + 4 * DAY,
            ),
            groups=gpus(chance.choice([1, 2, 4]), replicas=chance.choice([1, 2])),
        )
        calendar = Calendar(cluster, accepted, NOW)
        if calendar.conflict(asked) is not None:
            for nearest in calendar.nearest(asked):
                assert nearest is None or calendar.conflict(nearest) is None
            continue
        accepted.extend(windows(asked, NOW, NOW + 10 * DAY))
    profile = Profile(cluster, [], NOW, accepted)
    for window in accepted:
        at = max(window.start, NOW)
        inside = profile.earliest(
            window.groups, window.end - at, reservation=window.id.partition("/")[0]
        )
        assert inside is not None
        assert sum(1 for hold in profile.holders if hold == window.id) == 1
    assert all(any(hold.amounts.values()) for hold in profile._holds)


def test_spans_follow_a_series_no_further_than_told() -> None:
    assert len(list(spans(series(recurrence="daily")))) == 1_000


def test_what_yields_is_kept_off_only_by_windows_that_are_open() -> None:
    windows = [booked("now", NOW, 1.0, 4), booked("later", NOW + 9 * HOUR, 1.0, 4)]
    profile = Profile(cluster_of(a=4), [], NOW, windows)
    stays, yields = profile.earliest(gpus(2)), profile.earliest(gpus(2), yields=True)
    assert stays is not None
    assert yields is not None
    assert (stays[0], yields[0]) == (NOW + 10 * HOUR, NOW + HOUR)
    short = profile.earliest(gpus(2), 9 * HOUR, yields=True)
    assert short is not None
    assert short[0] == NOW + HOUR


def test_nobody_is_in_its_own_way() -> None:
    profile = Profile(cluster_of(a=4), [], NOW, [booked("later", NOW + HOUR, 1.0, 4)])
    found = profile.earliest(gpus(2))
    assert found is not None
    profile.hold("mine", *found, gpus(2))
    assert profile.in_the_way(gpus(2), own="mine") == ("later",)
