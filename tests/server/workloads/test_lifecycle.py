"""From submission to the end, through the real controllers, on both databases."""

from __future__ import annotations

import asyncio
import time

import pytest

from madang.core.errors import Forbidden, InvalidInput, NotFound
from madang.core.reasons import Reason, ReasonCode
from madang.core.states import TaskState, WorkloadKind, WorkloadState
from madang.server.cluster import nodes
from madang.server.workloads import service
from madang.server.workloads.spec import RetryPolicy
from tests.conftest import People
from tests.server.workloads.platform import Platform, platform_of

SIGKILLED = ("signal", 137, {"signal": "SIGKILL"})


async def test_a_job_runs_to_its_end(people: People) -> None:
    async with platform_of(people, a={}) as platform:
        job = await platform.until_ended(await platform.submit("true"))
        assert (job.state, job.exit_code) == (WorkloadState.SUCCEEDED, 0)
        [task] = await platform.tasks(job.id)
        assert (task.state, task.attempt) == (TaskState.SUCCEEDED, 1)
        assert await platform.live_allocations() == 0
        failed = await platform.until_ended(await platform.submit("false"))
        assert (failed.state, failed.exit_code) == (WorkloadState.FAILED, 1)
        assert failed.reason is not None
        assert failed.reason["message"] == "failed with exit code 1; its log says why"


async def test_the_order_leaves_within_20_ms(sqlite_people: People) -> None:
    async with platform_of(sqlite_people, a={}) as platform:
        agent = platform.agents["a"]
        delays = []
        for number in range(10):
            began = time.perf_counter()
            await platform.submit("sleep", resources=("cpu=0.1", "memory=1MiB"))
            while len(agent.started) == number:
                await asyncio.sleep(0.001)
            delays.append(time.perf_counter() - began)
        assert sorted(delays)[5] < 0.25  # 20 ms alone; this only catches a missed wake-up


async def test_cancelling_what_runs_stops_it(people: People) -> None:
    async with platform_of(people, a={}) as platform:
        job = await platform.submit("sleep")
        await platform.until_state(job, WorkloadState.RUNNING)
        await service.cancel(platform.context, "member", job)
        await service.cancel(platform.context, "member", job)
        ended = await platform.until_ended(job)
        assert ended.state == WorkloadState.CANCELLED
        assert ended.reason is not None
        assert ended.reason["message"] == "was cancelled by member"
        [task] = await platform.tasks(job)
        assert task.state == TaskState.CANCELLED
        assert await platform.live_allocations() == 0


async def test_cancelling_what_waits_ends_it_at_once(people: People) -> None:
    async with platform_of(people) as platform:
        job = await platform.submit("true")
        row = await service.cancel(platform.context, "member", job)
        assert row.state == WorkloadState.CANCELLED


async def test_a_reason_is_written_for_what_waits(people: People) -> None:
    async with platform_of(people, a={"cpu": 2}) as platform:
        await platform.until_state(
            await platform.submit("sleep", resources=["cpu=2"]), WorkloadState.RUNNING
        )
        waiting = await platform.submit("true", resources=["cpu=1"])
        row = await platform.until(waiting, lambda row: row.reason is not None)
        assert row.reason is not None
        assert row.reason["code"] == ReasonCode.RESOURCES
        large = await platform.submit("true", resources=["cpu=99"], wait_for_nodes=True)
        row = await platform.until(large, lambda row: row.reason is not None)
        assert row.reason is not None
        assert row.reason["code"] == ReasonCode.TOO_LARGE


async def test_a_gang_fails_and_is_retried_as_a_whole(people: People) -> None:
    async with platform_of(people, a={}, b={}) as platform:
        agent = platform.agents["a"]
        job = await platform.submit("wait", replicas=3, retry=RetryPolicy(count=1, backoff_s=0.0))
        await platform.until_state(job, WorkloadState.RUNNING)
        first = [task for task in await platform.tasks(job) if task.id in agent.tasks]
        code, exit_code, facts = SIGKILLED
        agent.end(first[0].id, code, exit_code, facts)
        row = await platform.until(job, lambda row: row.attempt == 2)
        await platform.until_state(job, WorkloadState.RUNNING)
        tasks = await platform.tasks(job)
        assert len(tasks) == 6
        peers = [task for task in tasks if task.attempt == 1 and task.id != first[0].id]
        assert {task.reason["code"] for task in peers if task.reason} == {"peer_ended"}
        second = [task for task in tasks if task.attempt == 2]
        agent.end(second[0].id, code, exit_code, facts)
        row = await platform.until_ended(job)
        assert (row.state, row.exit_code) == (WorkloadState.FAILED, 137)
        assert row.reason is not None
        culprit = f"worker {second[0].rank} was ended by signal"
        assert row.reason["message"].startswith(culprit), row.reason
        assert await platform.live_allocations() == 0


@pytest.mark.parametrize(
    ("reason", "exit_code", "facts", "again"),
    [
        ("exit_code", 1, {"exit_code": 1}, False),
        ("exit_code", 200, {"exit_code": 200}, True),
        ("signal", 137, {"signal": "SIGKILL"}, True),
        ("supervisor_lost", None, {"node": "a"}, True),
        ("out_of_memory", 137, {"limit": "1GiB"}, False),
        ("time_limit", 143, {"limit": "1 s"}, False),
        ("command_not_found", 127, {"command": "x", "place": "the PATH"}, False),
        ("a code of the future", 1, {}, False),
    ],
)
async def test_which_ends_are_worth_a_retry(
    sqlite_people: People,
    reason: str,
    exit_code: int | None,
    facts: dict[str, object],
    again: bool,
) -> None:
    async with platform_of(sqlite_people, a={}) as platform:
        job = await platform.submit("wait", retry=RetryPolicy(count=1, backoff_s=60.0))
        await platform.until_state(job, WorkloadState.RUNNING)
        [task] = await platform.tasks(job)
        platform.agents["a"].end(task.id, reason, exit_code, facts)
        row = await platform.until(job, lambda row: row.state != WorkloadState.RUNNING)
        assert row.state == (WorkloadState.PENDING if again else WorkloadState.FAILED)
        if again:
            assert row.reason is not None
            assert row.reason["code"] == ReasonCode.BACKOFF
            assert "tries again in 60" in row.reason["message"]


async def test_a_service_keeps_each_replica_up_by_itself(people: People) -> None:
    async with platform_of(people, a={}) as platform:
        agent = platform.agents["a"]
        service_id = await platform.submit(
            "serve",
            kind=WorkloadKind.SERVICE,
            replicas=(2, 4),
            app_port=8000,
            retry=RetryPolicy(count=5, backoff_s=0.0),
        )
        await platform.until(service_id, lambda row: row.state == WorkloadState.RUNNING)
        await _until_apps(platform, service_id, 2)
        first, second = sorted(await platform.tasks(service_id), key=lambda task: task.replica)
        agent.end(first.id, "exit_code", 1, {"exit_code": 1})
        await _until_replaced(platform, service_id, first.id)
        assert second.id in agent.tasks
        tasks = await platform.tasks(service_id)
        assert [task.attempt for task in tasks if task.replica == 0] == [2, 1]

        await service.scale(platform.context, service_id, "worker", 4)
        await _until_apps(platform, service_id, 4)
        await service.scale(platform.context, service_id, "worker", 1)
        await _until_apps(platform, service_id, 1)
        with pytest.raises(InvalidInput):
            await service.scale(platform.context, service_id, "worker", 5)
        await service.cancel(platform.context, "member", service_id)
        await platform.until_ended(service_id)
        assert await platform.live_allocations() == 0


async def test_a_service_that_never_comes_up_fails_at_last(people: People) -> None:
    async with platform_of(people, a={}) as platform:
        service_id = await platform.submit(
            "false", kind=WorkloadKind.SERVICE, retry=RetryPolicy(count=2, backoff_s=0.0)
        )
        row = await platform.until_ended(service_id)
        assert row.state == WorkloadState.FAILED
        assert len(await platform.tasks(service_id)) == 3


async def test_draining_moves_a_job_without_using_up_a_retry(people: People) -> None:
    async with platform_of(people, a={}) as platform:
        job = await platform.submit("sleep")
        await platform.until_state(job, WorkloadState.RUNNING)
        admin = await people.principal("admin")
        await nodes.drain_node(platform.context, admin, "a")
        row = await platform.until(job, lambda row: row.attempt == 2)
        assert (row.state, row.retries) == (WorkloadState.PENDING, 0)
        row = await platform.until(
            job, lambda row: (row.reason or {}).get("code") == "nodes_closed"
        )
        await nodes.cordon_node(platform.context, admin, "a", closed=False)
        await platform.until_state(job, WorkloadState.RUNNING)


async def test_who_may_not_submit_is_refused(sqlite_people: People) -> None:
    async with platform_of(sqlite_people) as platform:
        for name, error in (("viewer", Forbidden), ("outsider", NotFound)):
            principal = await sqlite_people.principal(name)
            with pytest.raises(error):
                await service.submit(platform.context, principal, platform.spec("true"))


async def test_a_wish_with_another_reason_is_kept(sqlite_people: People) -> None:
    async with platform_of(sqlite_people) as platform:
        job = await platform.submit("true")
        reason = Reason(ReasonCode.TIME_LIMIT, {"limit": "1 h"})
        row = await service.cancel(platform.context, "supervisor", job, reason)
        assert (row.state, row.reason) == (WorkloadState.FAILED, reason.to_json())


async def _until_apps(platform: Platform, workload_id: str, count: int) -> None:
    for _ in range(500):
        async with platform.context.db.read() as session:
            apps = await service.live_apps(session, workload_id)
        if len(apps) == count:
            return
        await asyncio.sleep(0.01)
    raise AssertionError(f"{len(apps)} apps, not {count}")


async def _until_replaced(platform: Platform, workload_id: str, task_id: str) -> None:
    for _ in range(500):
        tasks = await platform.tasks(workload_id)
        live = [task for task in tasks if task.state == TaskState.RUNNING]
        if len(live) == 2 and all(task.id != task_id for task in live):
            return
        await asyncio.sleep(0.01)
    raise AssertionError("it was not replaced")
