"""What tasks report: once, in order, from the attempt that counts."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from sqlalchemy import event

from madang.core.errors import Conflict, NotFound
from madang.core.states import WorkloadState
from madang.server.identity.tokens import task_token
from madang.server.workloads import reports
from madang.server.workloads.spec import RetryPolicy
from tests.conftest import People
from tests.server.workloads.platform import Platform, platform_of


def line(step: int, **metrics: float) -> dict[str, Any]:
    return {"step": step, "time": 1_764_000_000.5 + step, "rank": 0, "metrics": metrics}


async def running_task(platform: Platform, **changes: Any) -> tuple[str, str]:
    job = await platform.submit("wait", **changes)
    await platform.until_state(job, WorkloadState.RUNNING)
    return job, (await platform.tasks(job))[0].id


async def values(platform: Platform, job: str, points: int = 500) -> list[float]:
    series = await reports.read_series(platform.context, job, keys=["loss"], max_points=points)
    return [value for one in series for _, value, _ in one.points]


async def test_lines_that_come_again_are_dropped(people: People) -> None:
    async with platform_of(people, a={}) as platform:
        job, task = await running_task(platform)
        lines = [line(step, loss=float(step)) for step in range(10)]

        async def send(offset: int, end: int) -> int:
            return await reports.take_in_reports(
                platform.context, task, attempt=1, offset=offset, lines=lines[offset:end]
            )

        assert await send(0, 4) == 4
        assert await send(0, 4) == 4
        assert await send(2, 7) == 7
        await asyncio.gather(send(7, 9), send(7, 10), send(7, 8))
        assert await values(platform, job) == [float(step) for step in range(10)]


async def test_what_is_no_finite_number_is_passed_over(people: People) -> None:
    async with platform_of(people, a={}) as platform:
        job, task = await running_task(platform)
        odd: list[dict[str, Any]] = [
            {"metrics": {"loss": "NaN", "ok": True, "huge": 10**400, "a\0b": 1}},
            {"metrics": [1], "step": 1},
            {"step": "x", "metrics": {"loss": 1}, "time": "noon", "rank": None},
            {"step": 2**80, "metrics": {"loss": float("inf")}},
            {},
        ]
        known = await reports.take_in_reports(
            platform.context, task, attempt=1, offset=0, lines=odd
        )
        assert known == 5
        assert await values(platform, job) == [1.0]


async def test_an_attempt_that_is_over_is_refused(people: People) -> None:
    async with platform_of(people, a={}) as platform:
        job, task = await running_task(platform, retry=RetryPolicy(count=1, backoff_s=0.0))
        platform.agents["a"].end(task, "signal", 137, {"signal": "SIGKILL"})
        await platform.until(job, lambda row: row.attempt == 2)
        for attempt in (1, 2):
            with pytest.raises(Conflict):
                await reports.take_in_reports(
                    platform.context, task, attempt=attempt, offset=0, lines=[line(1, loss=1)]
                )
        with pytest.raises(NotFound):
            await reports.take_in_reports(
                platform.context, "task-none", attempt=1, offset=0, lines=[]
            )


async def test_who_comes_together_is_committed_together(sqlite_people: People) -> None:
    async with platform_of(sqlite_people, a={}) as platform:
        _, task = await running_task(platform)
        commits: list[object] = []
        engine = platform.context.telemetry.writer.sync_engine
        event.listen(engine, "commit", commits.append)
        await asyncio.gather(
            *(
                reports.take_in_reports(
                    platform.context, task, attempt=1, offset=n, lines=[line(n, loss=n)]
                )
                for n in range(50)
            )
        )
        assert len(commits) < 25


async def test_long_series_are_thinned_and_keep_their_end(people: People) -> None:
    async with platform_of(people, a={}) as platform:
        job, task = await running_task(platform)
        lines = [line(step, loss=float(step)) for step in range(1001)]
        await reports.take_in_reports(platform.context, task, attempt=1, offset=0, lines=lines)
        thinned = await values(platform, job, points=50)
        assert 40 <= len(thinned) <= 52
        assert (thinned[0], thinned[-1]) == (0.0, 1000.0)


async def test_only_the_task_itself_reports(sqlite_people: People) -> None:
    async with platform_of(sqlite_people, a={}) as platform:
        job, task = await running_task(platform)
        row = await platform.workload(job)
        path = f"/internal/v1/tasks/{task}/reports"
        body = {"attempt": 1, "offset": 0, "lines": [line(1, loss=0.5)]}
        async with sqlite_people.client("member") as client:
            assert (await client.post(path, json=body)).status_code == 403
            for name, status in ((task, 200), ("task-other", 403)):
                word = task_token(platform.context, name, row.user_id, row.project_id)
                client.headers["Authorization"] = f"Bearer {word}"
                assert (await client.post(path, json=body)).status_code == status
        async with sqlite_people.client("viewer") as viewer:
            shown = (await viewer.get(f"/api/v1/jobs/{job}/metrics")).json()
        assert [(one["key"], one["points"][0]["value"]) for one in shown] == [("loss", 0.5)]
