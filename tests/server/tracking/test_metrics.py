"""Metrics: which value is the latest, repeated batches, histories in pages."""

from __future__ import annotations

import math
import random

import pytest

from madang.core.errors import InvalidInput
from madang.server.tracking import runs
from madang.server.tracking.metrics import (
    HistoryPage,
    Point,
    log_batch,
    metric_history,
    number_of,
    read_position,
)
from tests.conftest import People


@pytest.mark.parametrize("seed", range(3))
async def test_latest_is_the_greatest_step_then_time_then_value(people: People, seed: int) -> None:
    chance = random.Random(seed)
    principal = await people.principal("member")
    run = await runs.create_run(people.context, principal, "0")
    values = [math.inf, -math.inf, -1.5, 0.0, 2.0**60, 3.0]
    points = [
        Point("m", chance.choice(values), chance.randrange(3), chance.randrange(-2, 3))
        for _ in range(60)
    ]
    for start in range(0, 60, 7):
        await log_batch(people.context, principal, run.row.id, metrics=points[start : start + 7])
    (latest,) = (await runs.get_run(people.context, principal, run.row.id)).metrics
    expected = max(points, key=lambda point: (point.step, point.timestamp_ms, point.value))
    assert (latest.step, latest.timestamp_ms, number_of(latest)) == (
        expected.step,
        expected.timestamp_ms,
        expected.value,
    )


async def test_a_repeated_batch_adds_nothing(people: People) -> None:
    principal = await people.principal("member")
    run = await runs.create_run(people.context, principal, "0")
    points = [Point("m", value, 5, 1) for value in (1.0, math.nan, 2.0, math.inf)]
    for _ in range(3):
        await log_batch(people.context, principal, run.row.id, metrics=points + points)
    history = await metric_history(people.context, principal, run.row.id, "m")
    assert [str(number_of(row)) for row in history.points] == ["nan", "1.0", "2.0", "inf"]


@pytest.mark.parametrize("limit", [1, 3, 10, 11])
async def test_history_pages_join_to_the_whole(people: People, limit: int) -> None:
    principal = await people.principal("member")
    run = await runs.create_run(people.context, principal, "0")
    points = [Point("m", float(i % 4), i // 3, i % 2) for i in range(10)]
    points += [Point("m", math.nan, 2, 0), Point("m", 0.0, 2, 0), Point("other", 1.0, 1)]
    await log_batch(people.context, principal, run.row.id, metrics=points)
    whole = await metric_history(people.context, principal, run.row.id, "m")
    collected: list[tuple[int, int, str]] = []
    page = HistoryPage([], (-1, 0, 0.0, 0))
    while page.next_position:
        page = await metric_history(
            people.context, principal, run.row.id, "m", limit=limit, after=page.next_position
        )
        assert len(page.points) <= limit
        collected += [(p.timestamp_ms, p.step, str(number_of(p))) for p in page.points]
    assert collected == [(p.timestamp_ms, p.step, str(number_of(p))) for p in whole.points]


@pytest.mark.parametrize("position", [None, [], [1, 2, 3], [1, 2, "x", 0], [2**64, 0, 0.0, 0], {}])
def test_strange_positions_are_refused(position: object) -> None:
    with pytest.raises(InvalidInput):
        read_position(position)
