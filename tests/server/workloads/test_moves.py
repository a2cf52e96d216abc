"""What runs is moved so that what fits nowhere fits: places are kept, and all are told why."""

from __future__ import annotations

from datetime import timedelta

from madang.core.clock import ManualClock
from madang.core.reasons import ReasonCode
from madang.core.states import WorkloadState
from madang.scheduling import DeviceHold, Migrate, Placement
from madang.schemas.scheduling import PolicySet
from madang.server.workloads import policy, service
from madang.server.workloads.cluster_settings import read_moves
from madang.server.workloads.stops import carry_out_stops
from tests.conftest import People
from tests.server.workloads.platform import Platform, platform_of

ONE = ("cpu=1", "memory=1GiB", "gpu=1")
TWO = ("cpu=1", "memory=1GiB", "gpu=2")


async def allow(platform: Platform, budget: float) -> None:
    admin = await platform.people.principal("admin")
    await policy.set_policy(platform.context, admin, PolicySet(migration_budget=budget))


async def test_a_job_moves_so_that_a_larger_one_starts(people: People) -> None:
    async with platform_of(people, a={"gpus": 2}, b={"gpus": 2}) as platform:
        await allow(platform, 1.0)
        jobs = [await platform.submit("wait", resources=ONE, name=f"small-{i}") for i in range(3)]
        for job in jobs:
            await platform.until_state(job, WorkloadState.RUNNING)
        where = {job: (await platform.tasks(job))[0].node_id for job in jobs}
        paired = next(job for job in jobs if list(where.values()).count(where[job]) == 2)
        assert isinstance(platform.context.clock, ManualClock)
        platform.context.clock.advance(10)
        await service.cancel(platform.context, "member", paired)
        wide = await platform.submit("wait", resources=TWO, name="wide")
        await platform.until_state(wide, WorkloadState.RUNNING)
        left = [job for job in jobs if job != paired]
        for job in left:
            await platform.until_state(job, WorkloadState.RUNNING)
        rows = {job: await platform.workload(job) for job in left}
        (moved,) = [job for job in left if rows[job].attempt == 2]
        assert rows[moved].retries == 0
        before = next(task for task in await platform.tasks(moved) if task.attempt == 1)
        now = next(task for task in await platform.tasks(moved) if task.attempt == 2)
        (other,) = set(left) - {moved}
        assert now.node_id == where[other] != before.node_id
        assert before.reason is not None
        assert before.reason["code"] == ReasonCode.MADE_WAY
        async with people.client("member") as member:
            detail = (await member.get(f"/api/v1/jobs/{moved}")).json()
        said = [task["reason"]["message"] for task in detail["tasks"] if task["attempt"] == 1]
        names = {"a", "b"}
        assert any(
            said == [f"moved from {source} to {target} to make room for wide"]
            for source in names
            for target in names - {source}
        )
        assert await platform.live_allocations() == 3
        since = platform.context.clock.now() - timedelta(hours=1)
        async with platform.context.db.read() as session:
            assert [name for name, _ in await read_moves(session, since)] == [moved]


async def test_nothing_moves_without_a_budget(people: People) -> None:
    async with platform_of(people, a={"gpus": 2}, b={"gpus": 2}) as platform:
        jobs = [await platform.submit("wait", resources=ONE) for _ in range(3)]
        for job in jobs:
            await platform.until_state(job, WorkloadState.RUNNING)
        where = {job: (await platform.tasks(job))[0].node_id for job in jobs}
        paired = next(job for job in jobs if list(where.values()).count(where[job]) == 2)
        assert isinstance(platform.context.clock, ManualClock)
        platform.context.clock.advance(10)
        await service.cancel(platform.context, "member", paired)
        await platform.until_ended(paired)
        wide = await platform.submit("wait", resources=TWO)
        row = await platform.until(wide, lambda row: row.reason is not None)
        assert row.state == WorkloadState.PENDING
        for job in set(jobs) - {paired}:
            assert (await platform.workload(job)).attempt == 1


async def test_a_move_within_a_node_names_devices(people: People) -> None:
    async with platform_of(people, a={"gpus": 2}) as platform:
        job = await platform.submit("wait", resources=("cpu=1", "memory=1GiB", "gpu=0.4"))
        await platform.until_state(job, WorkloadState.RUNNING)
        (task,) = await platform.tasks(job)
        place = Placement("worker", 0, task.node_id, (DeviceHold("gpu", 1, 400, 0),))
        move = Migrate(job, job, (place,), "gpu=1", winner="job-x")
        await carry_out_stops(platform.context, [move])
        await platform.until(job, lambda row: row.attempt == 2)
        (first,) = [task for task in await platform.tasks(job) if task.attempt == 1]
        assert first.reason is not None
        assert first.reason["message"] == (
            "moved from a (gpu 0) to a (gpu 1) to make room for job-x"
        )
