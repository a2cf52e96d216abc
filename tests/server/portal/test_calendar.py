"""Blocks of a week stand beside each other where they overlap, and nowhere else."""

from __future__ import annotations

from datetime import UTC, date, datetime
from itertools import combinations
from types import SimpleNamespace
from typing import Any, cast
from zoneinfo import ZoneInfo

from hypothesis import given
from hypothesis import strategies as st

from madang.schemas.reservations import Window, WindowState
from madang.server.portal.calendar import Block, blocks_of, place, week_of

MONDAY = date(2026, 11, 16)


def block(begin: float, end: float) -> Block:
    return Block(cast("Any", None), cast("Any", None), MONDAY, begin, end)


spans = st.tuples(st.integers(0, 95), st.integers(1, 96)).map(
    lambda pair: block(pair[0] / 96, min(96, pair[0] + pair[1]) / 96)
)


@given(st.lists(spans, max_size=12))
def test_no_two_cover_each_other(blocks: list[Block]) -> None:
    placed = place(blocks)
    assert len(placed) == len(blocks)
    for one, other in combinations(placed, 2):
        overlap = max(one.block.begin, other.block.begin) < min(one.block.end, other.block.end)
        if overlap:
            assert one.lane != other.lane
            assert one.lanes == other.lanes
    for one in placed:
        assert 0 <= one.lane < one.lanes


def test_a_night_is_on_two_days_in_the_visitor_s_zone() -> None:
    window = Window(
        datetime(2026, 11, 17, 13, tzinfo=UTC), datetime(2026, 11, 17, 17, tzinfo=UTC),
        WindowState.PLANNED,
    )  # fmt: skip
    session = cast("Any", SimpleNamespace(zone=ZoneInfo("Asia/Seoul"), now=lambda: window.start))
    reservation = cast("Any", SimpleNamespace(windows=[window]))
    days = blocks_of(session, [reservation], MONDAY)
    shown = {
        day: [(one.block.begin * 24, one.block.end * 24) for one in placed]
        for day, placed in days.items()
        if placed
    }
    assert shown == {date(2026, 11, 17): [(22, 24)], date(2026, 11, 18): [(0, 2)]}


def test_a_week_begins_on_monday() -> None:
    assert week_of("2026-11-22", MONDAY) == MONDAY
    assert week_of("no day", date(2026, 11, 18)) == MONDAY
