"""The cluster as people see it: who holds what, what was, why something waits."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from madang.core.errors import InvalidInput
from madang.core.states import WorkloadState
from madang.schemas.limits import LimitSet
from madang.server.workloads import cluster_view, limits, upkeep
from madang.server.workloads.progress import ProgressBook, gpus_of, with_speed, work_of
from madang.server.workloads.tables import UsageRow
from madang.server.workloads.usage_history import percentile
from tests.conftest import People
from tests.server.workloads.platform import Platform, platform_of

HALF = ("gpu=0.6", "cpu=1", "memory=1GiB")


async def test_every_device_and_who_holds_it(people: People) -> None:
    async with platform_of(people, a={"cpu": 4, "gpus": 2}) as platform:
        jobs = [await platform.submit("wait", resources=HALF, name="secret") for _ in range(2)]
        for job in jobs:
            await platform.until_state(job, WorkloadState.RUNNING)
        async with people.client("member") as member:
            page = (await member.get("/api/v1/cluster")).json()
            summary = (await member.get("/api/v1/cluster/summary")).json()
            assert (await member.get("/api/v1/cluster?pool=none")).json()["items"] == []
            assert len((await member.get("/api/v1/cluster?state=ready")).json()["items"]) == 1
        devices = page["items"][0]["devices"]
        assert [device["used"] for device in devices] == [0.6, 0.6]
        assert [device["fragment"] for device in devices] == [True, True]
        (hold,) = devices[0]["holds"]
        assert (hold["share"], hold["name"], hold["mine"], hold["user"]) == (
            0.6, "secret", True, "member",
        )  # fmt: skip
        assert summary["nodes"] == {"ready": 1}
        (model,) = summary["models"]
        assert (model["total"], model["used"], model["free"], model["fragment"]) == (
            2, 1.2, 0.8, 0.8,
        )  # fmt: skip
        async with people.client("outsider") as outsider:
            page = (await outsider.get("/api/v1/cluster")).json()
        (hold,) = page["items"][0]["devices"][0]["holds"]
        assert (hold["name"], hold["workload_id"], hold["project"]) == ("", "", "")
        assert (hold["user"], hold["share"]) == ("member", 0.6)


def test_what_most_could_not_use_is_a_fragment() -> None:
    sizes = cluster_view.DeviceSizes({"gpu": [200, 500, 1000]})
    assert sizes.is_fragment("gpu", 400)
    assert not sizes.is_fragment("gpu", 500)
    assert not sizes.is_fragment("gpu", 1000)  # a whole one
    assert not sizes.is_fragment("tpu", 100)  # nobody asks for any


async def test_history_adds_up(people: People) -> None:
    clock: Any = people.context.clock
    async with platform_of(people, a={"cpu": 4, "gpus": 2}) as platform:
        await platform.agents["a"].step()
        start = clock.now()
        job = await platform.submit("wait", resources=("gpu=2", "cpu=1", "memory=1GiB"))
        await platform.until_state(job, WorkloadState.RUNNING)
        waits = await platform.submit("wait", resources=("gpu=1", "cpu=1", "memory=1GiB"))
        clock.advance(1800)
        params = {"since": start.isoformat(), "step": 900}
        async with people.client("member") as member:
            found = (await member.get("/api/v1/scheduling/history", params=params)).json()
            past = (await member.get("/api/v1/history")).json()["items"]
            refused = await member.get("/api/v1/scheduling/history", params={"step": 1e-3})
        assert refused.status_code == 422
        gpus = next(one for one in found["resources"] if one["resource"] == "gpu")
        assert [(p["capacity"], p["used"], p["waiting"]) for p in gpus["points"]] == [
            (2.0, 2.0, 1.0),
            (2.0, 2.0, 1.0),
        ]
        (queue,) = found["queues"]
        assert (queue["started"], queue["p50_wait_s"]) == (1, 0.0)
        assert [one["id"] for one in past] == [job, waits]
        assert past[0]["runs"][0]["nodes"] == ["a"]
        async with people.client("outsider") as outsider:
            past = (await outsider.get("/api/v1/history")).json()["items"]
        assert [one["name"] for one in past] == ["", ""]


async def test_why_has_the_arithmetic(people: People) -> None:
    async with platform_of(people, a={"cpu": 4, "gpus": 2}) as platform:
        job = await platform.submit("wait", resources=("gpu=2", "cpu=1", "memory=1GiB"))
        await platform.until_state(job, WorkloadState.RUNNING)
        waits = await platform.submit("wait", resources=("gpu=1", "cpu=1", "memory=1GiB"))
        await platform.until(waits, lambda row: row.reason is not None)
        async with people.client("member") as member:
            why = (await member.get(f"/api/v1/jobs/{waits}/why")).json()
            runs = (await member.get(f"/api/v1/jobs/{job}/why")).json()
            body = {"command": ["true"], "project": "vision", "resources": {"gpu": 1}}
            later = (await member.post("/api/v1/jobs/preview", json=body)).json()
            body["resources"] = {"cpu": 1}
            now = (await member.post("/api/v1/jobs/preview", json=body)).json()
            body["resources"] = {"gpu": 64}
            never = await member.post("/api/v1/jobs/preview", json=body)
            listed = (await member.get("/api/v1/jobs")).json()["items"]
        assert (why["position"], why["queued"]) == (1, 1)
        (group,) = why["groups"]
        assert (group["room"], group["room_empty"], group["nodes"]) == (0, 2, ["a"])
        assert why["lines"]
        assert (runs["position"], runs["groups"]) == (None, [])
        assert (later["starts_now"], now["starts_now"]) == (False, True)
        assert never.status_code == 422
        assert {job["id"] for job in listed} == {waits, job}


async def test_usage_halves_with_its_half_life(people: People) -> None:
    context = people.context
    clock: Any = context.clock
    async with platform_of(people, a={"cpu": 4, "gpus": 2}) as platform:
        await upkeep.count_usage(context)
        job = await platform.submit("wait", resources=("gpu=2", "cpu=1", "memory=1GiB"))
        row = await platform.until_state(job, WorkloadState.RUNNING)
        clock.advance(60)
        await upkeep.count_usage(context)
        await upkeep.count_usage(context)  # again: nothing is counted twice

        async def used() -> float:
            async with context.db.read() as session:
                return (await session.get_one(UsageRow, row.queue_id)).gpu_s

        assert await used() == pytest.approx(120, rel=1e-3)
        for agent in platform.agents.values():
            for task_id in list(agent.tasks):
                agent.end(task_id, "completed", 0, {})
        await platform.until_ended(job)
        clock.advance(timedelta(days=7).total_seconds())
        await upkeep.count_usage(context)  # nothing is written while nothing is used
        other = await platform.submit("wait", resources=("gpu=1", "cpu=1", "memory=1GiB"))
        await platform.until_state(other, WorkloadState.RUNNING)
        clock.advance(10)
        await upkeep.count_usage(context)
        assert await used() == pytest.approx(60 + 10, rel=1e-2)


async def test_progress_comes_from_reports(people: People) -> None:
    context = people.context
    async with platform_of(people, a={"cpu": 4}) as platform:
        job = await platform.submit("wait")
        await platform.until_state(job, WorkloadState.RUNNING)
        (task,) = await platform.tasks(job)
        book = ProgressBook.of(context)
        lines: list[dict[str, Any]] = [
            {"time": 1000.0, "total": 500},
            {"time": 1000.0, "step": 10, "metrics": {"loss": 1.0}},
            {"time": 1020.0, "step": 50},
            {"time": 1021.0, "step": 50, "saved": True},
            {"time": "noon", "step": -1, "total": True},
        ]
        book.note(task, lines)
        await book.write()
        row = await platform.workload(job)
        work = work_of(row.work)
        assert (work.total, work.done) == (500, 50)
        assert work.rate == pytest.approx(40 / 21)
        assert row.saved_at is not None
        assert row.saved_at.timestamp() == 1021.0
        assert with_speed(row.work, 8)["speeds"] == [[8, work.rate]]


def test_whole_devices_are_counted() -> None:
    assert gpus_of([[{"milli": 1000}, {"milli": 1000}], [{"milli": 1000}]]) == 3
    assert gpus_of([[{"milli": 500}]]) == 0
    assert gpus_of([[]]) == 0


def test_percentiles_are_of_the_nearest_rank() -> None:
    assert percentile([], 50) is None
    assert percentile([3.0, 1.0, 2.0], 50) == 2.0
    assert percentile([3.0, 1.0, 2.0], 99) == 3.0


async def test_limits(people: People) -> None:
    context = people.context
    admin, member = await people.principal("admin"), await people.principal("member")
    await limits.set_limit(context, admin, LimitSet("user:member", pending=1))
    await limits.set_limit(context, admin, LimitSet("user:viewer", running=1))
    await limits.set_limit(context, admin, LimitSet("project:*", amounts={"gpu": 2.5}))
    seen = await limits.list_limits(context, member)
    assert [limit.subject for limit in seen] == ["project:*", "user:member"]
    assert seen[0].row.amounts == {"gpu": 2500}
    assert len(await limits.list_limits(context, admin)) == 3
    with pytest.raises(InvalidInput, match="nobody who could be limited"):
        await limits.set_limit(context, admin, LimitSet("group:x"))
    platform = Platform(people, member)
    await platform.submit("true")
    with pytest.raises(Exception, match="at most 1"):
        await platform.submit("true")
    await limits.set_limit(context, admin, LimitSet("user:member"))
    await platform.submit("true")


async def test_a_limit_is_told_by_name(people: People) -> None:
    admin = await people.principal("admin")
    async with platform_of(people, a={"cpu": 8}) as platform:
        await limits.set_limit(people.context, admin, LimitSet("user:member", running=1))
        first = await platform.submit("wait")
        await platform.until_state(first, WorkloadState.RUNNING)
        second = await platform.submit("wait")
        await platform.until(second, lambda row: row.reason is not None)
        async with people.client("member") as member:
            job = (await member.get(f"/api/v1/jobs/{second}")).json()["job"]
            why = (await member.get(f"/api/v1/jobs/{second}/why")).json()
    user_id = people.user_ids["member"]
    assert "user member" in job["reason"]["message"], job
    assert user_id not in str(job["reason"])
    assert any("user member" in line for line in why["lines"])
    assert user_id not in str(why)
