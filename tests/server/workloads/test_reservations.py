"""Reservations: windows, what does not fit and what would, giving back, jobs that use them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from madang.core.errors import Conflict, Forbidden, InvalidInput, NotFound
from madang.schemas.limits import LimitSet
from madang.schemas.reservations import Recurrence, ReservationCreate, WindowState
from madang.server.workloads import limits, reservations, upkeep
from madang.server.workloads.reservations import Reserved, state_of
from tests.conftest import People
from tests.server.workloads.platform import Platform, platform_of

NINE = datetime(2026, 3, 2, 9, tzinfo=UTC)
"""A Monday, later than the tests' clock."""


async def reserve(people: People, name: str, who: str = "maintainer", **settings: Any) -> Reserved:
    values: dict[str, Any] = {
        "start": NINE,
        "project": "vision",
        "resources": {"gpu": 4, "cpu": 1, "memory": "1GiB"},
    }
    if "end" not in settings:
        values["duration_s"] = 3600.0
    principal = await people.principal(who)
    request = ReservationCreate(name, **(values | settings))
    return await reservations.create_reservation(people.context, principal, request)


async def with_node(people: People) -> Platform:
    platform = Platform(people, await people.principal("member"))
    await platform.agent("a", cpu=8, gpus=8).step()
    return platform


async def test_what_does_not_fit_is_told_when_it_would(people: People) -> None:
    await with_node(people)
    await reserve(people, "morning", resources={"gpu": 6, "cpu": 1, "memory": "1GiB"})
    await reserve(people, "beside", resources={"gpu": 2, "cpu": 1, "memory": "1GiB"})
    with pytest.raises(Conflict) as refused:
        await reserve(people, "third")
    assert "It fits from 2026-03-02 08:00 UTC to 2026-03-02 09:00 UTC or" in str(refused.value)
    nearest = refused.value.details["nearest"]
    assert nearest[1] == {
        "start": "2026-03-02T10:00:00+00:00",
        "end": "2026-03-02T11:00:00+00:00",
    }
    later = datetime.fromisoformat(nearest[1]["start"])
    await reserve(people, "third", start=later)
    with pytest.raises(Conflict, match="could not hold it"):
        await reserve(people, "huge", start=NINE + timedelta(days=9), resources={"gpu": 16})


async def test_windows_come_again_at_the_same_time_of_day(people: People) -> None:
    await with_node(people)
    seoul = datetime.fromisoformat("2026-03-02T09:00:00+09:00")
    made = await reserve(
        people,
        "standup",
        start=seoul,
        recurrence=Recurrence.WEEKDAYS,
        until=seoul + timedelta(days=9),
        timezone="Asia/Seoul",
    )
    starts = [window.start.astimezone(seoul.tzinfo) for window in made.windows]
    assert [start.day for start in starts] == [2, 3, 4, 5, 6, 9, 10]
    assert {start.hour for start in starts} == {9}
    with pytest.raises(InvalidInput, match="would not be over"):
        await reserve(
            people,
            "long",
            duration_s=90_000.0,
            recurrence=Recurrence.DAILY,
            until=NINE + timedelta(days=3),
        )
    with pytest.raises(InvalidInput, match="needs an end"):
        await reserve(people, "endless", recurrence=Recurrence.DAILY)
    with pytest.raises(InvalidInput, match="has no time zone"):
        await reserve(people, "naive", start=NINE.replace(tzinfo=None))
    with pytest.raises(InvalidInput, match="is over already"):
        await reserve(people, "past", start=NINE - timedelta(days=400))
    for edge in ("9999-12-31T23:00+00:00", "9999-12-31T23:00-14:00"):
        with pytest.raises(InvalidInput, match="too far away"):
            await reserve(people, "far", start=datetime.fromisoformat(edge))
    for edge in ("0001-01-01T00:00+14:00", "0001-01-01T00:00+00:00"):
        with pytest.raises(InvalidInput, match="is over already"):
            await reserve(people, "long-past", start=datetime.fromisoformat(edge))


async def test_who_may(people: People) -> None:
    await with_node(people)
    with pytest.raises(Forbidden):
        await reserve(people, "mine", who="member")
    with pytest.raises(NotFound):
        await reserve(people, "theirs", who="outsider")
    made = await reserve(people, "ours")
    admin = await people.principal("admin")
    await limits.set_limit(people.context, admin, LimitSet("project:vision", amounts={"gpu": 2}))
    with pytest.raises(InvalidInput, match="gpu=4 is more than the project may have"):
        await reserve(people, "more", start=NINE + timedelta(days=1))
    outsider = await people.principal("outsider")
    with pytest.raises(NotFound):
        await reservations.get_reservation(people.context, outsider, made.row.id, None)
    with pytest.raises(Conflict, match="already"):
        await reserve(people, "ours", start=NINE + timedelta(days=1), resources={"gpu": 1})


async def test_an_unused_window_is_given_back(people: People) -> None:
    context = people.context
    await with_node(people)
    unused = await reserve(people, "unused", return_after_s=600.0)
    kept = await reserve(people, "kept", return_after_s=0.0)
    clock: Any = context.clock
    clock.advance((NINE - context.clock.now()).total_seconds() + 300)
    await upkeep.give_back_unused(context)
    member = await people.principal("member")

    async def state(made: Reserved) -> WindowState:
        found = await reservations.get_reservation(context, member, made.row.id, None)
        return state_of(found.windows[0], context.clock.now())

    assert await state(unused) is WindowState.ACTIVE
    clock.advance(301)
    await upkeep.give_back_unused(context)
    assert await state(unused) is WindowState.RETURNED
    assert await state(kept) is WindowState.ACTIVE
    clock.advance(3600)
    assert await state(kept) is WindowState.ENDED


async def test_a_job_says_whose_window_it_runs_in(people: People) -> None:
    context = people.context
    async with platform_of(people, a={"cpu": 2, "gpus": 2}) as platform:
        await platform.agents["a"].step()
        clock: Any = context.clock
        start = context.clock.now() + timedelta(hours=1)
        need = {"gpu": 2, "cpu": 1, "memory": "1GiB"}
        made = await reserve(people, "demo", start=start, resources=need)
        with pytest.raises(NotFound, match="no reservation 'other'"):
            await platform.submit("wait", reservation="other")
        resources = ("gpu=2", "cpu=1", "memory=1GiB")
        job = await platform.submit("wait", reservation="demo", resources=resources)
        assert (await platform.workload(job)).reservation_id == made.row.id
        await platform.until(job, lambda row: "waits for reservation" in str(row.reason))
        async with people.client("member") as member:
            told = (await member.get(f"/api/v1/jobs/{job}/why")).json()
        assert told["sentence"].startswith("waits for reservation demo to begin at ")
        assert datetime.fromisoformat(told["expected_start"]) == start
        clock.advance(3700)
        # The planner wakes by itself in real time; here the clock is moved by hand.
        await platform.submit("true")
        await platform.until(job, lambda row: row.state == "running")
        await upkeep.give_back_unused(context)
        admin = await people.principal("admin")
        found = await reservations.get_reservation(context, admin, "demo", "vision")
        assert found.windows[0].used_at == context.clock.now()
        await reservations.cancel_reservation(context, admin, "demo", "vision")
        with pytest.raises(InvalidInput, match="is over"):
            await platform.submit("wait", reservation="demo")
