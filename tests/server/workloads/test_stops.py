"""What runs is stopped for others, resized, moved: nothing is lost, nothing counts as a retry."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from madang.core.reasons import ReasonCode
from madang.core.states import TaskState, WorkloadKind, WorkloadState
from madang.scheduling import Migrate, Placement, Preempt, Resize, Start
from madang.server.workloads import controller, service
from madang.server.workloads.requests import job_request
from madang.server.workloads.spec import WorkloadSpec
from madang.server.workloads.starts import carry_out
from madang.server.workloads.stops import carry_out_stops
from madang.server.workloads.tables import TaskRow, WorkloadRow
from madang.server.workloads.view import ClusterView
from tests.conftest import People
from tests.server.workloads.platform import Platform, platform_of, running


def in_attempt(
    number: int, state: WorkloadState = WorkloadState.RUNNING
) -> Callable[[WorkloadRow], bool]:
    return lambda row: (row.attempt, row.state) == (number, state)


async def tasks_of(platform: Platform, job: str, attempt: int) -> list[TaskRow]:
    return [task for task in await platform.tasks(job) if task.attempt == attempt]


async def node_id(platform: Platform, job: str) -> str:
    return (await platform.tasks(job))[0].node_id


async def test_a_preempted_job_begins_again_and_keeps_its_retries(people: People) -> None:
    async with platform_of(people, a={"cpu": 4}) as platform:
        job = await platform.submit("wait", replicas=2)
        await platform.until_state(job, WorkloadState.RUNNING)
        await carry_out_stops(platform.context, [Preempt(job, job, "job-winner", "gpu", 0.0)])
        row = await platform.until(job, in_attempt(2))
        assert row.retries == 0
        asked = job_request(row, WorkloadSpec.from_json(row.spec))
        assert asked.ran_s == row.work["ran_s"] >= 0.0
        assert asked.work is None  # it has reported nothing
        first = await tasks_of(platform, job, 1)
        assert [task.state for task in first] == [TaskState.CANCELLED] * 2
        assert first[0].reason is not None
        assert first[0].reason["code"] == ReasonCode.PREEMPTED
        # Who may not see the winner learns that there was one, not which.
        async with people.client("member") as member:
            detail = (await member.get(f"/api/v1/jobs/{job}")).json()
        old = [task for task in detail["tasks"] if task["attempt"] == 1]
        assert {task["reason"]["message"] for task in old} == {"made room for another job"}
        assert "job-winner" not in str(detail)


async def test_a_job_grows_and_shrinks(people: People) -> None:
    async with platform_of(people, a={"cpu": 4}) as platform:
        job = await platform.submit("wait", replicas=(2, 4), resources=("cpu=1", "memory=1GiB"))
        row = await platform.until_state(job, WorkloadState.RUNNING)
        size = len(await tasks_of(platform, job, 1))
        keys = [f"{job}/worker/{number}" for number in range(size)]
        await carry_out_stops(platform.context, [Resize(job, job, removed=tuple(keys[2:]))])
        row = await platform.until(job, in_attempt(2))
        second = await tasks_of(platform, job, 2)
        assert (len(second), row.retries, row.resize) == (2, 0, None)
        node = await node_id(platform, job)
        added = (Placement("worker", 2, node),)
        await carry_out_stops(platform.context, [Resize(job, job, added=added)])
        await platform.until(job, in_attempt(3))
        third = await tasks_of(platform, job, 3)
        assert [(task.replica, task.rank) for task in reversed(third)] == [(2, 2), (1, 1), (0, 0)]
        second = await tasks_of(platform, job, 2)
        assert {task.reason["code"] for task in second if task.reason} == {ReasonCode.RESIZED}
        assert await platform.live_allocations() == 3


async def test_a_resize_to_a_node_that_is_lost_waits_in_line(people: People) -> None:
    async with platform_of(people, a={"cpu": 2}) as platform:
        job = await platform.submit("wait", replicas=(1, 3))
        await platform.until_state(job, WorkloadState.RUNNING)
        size = len(await tasks_of(platform, job, 1))
        gone = (Placement("worker", size, "node-gone"),)
        await carry_out_stops(platform.context, [Resize(job, job, added=gone)])
        row: WorkloadRow = await platform.until(job, in_attempt(2))
        assert (row.resize, row.retries) == (None, 0)
        assert {task.node_id for task in await tasks_of(platform, job, 2)} != {"node-gone"}


async def resizing(people: People) -> tuple[Platform, str, str]:
    """One process that is being stopped to go on with three; by hand, without the loop."""
    platform = Platform(people, await people.principal("member"))
    people.context.settings = replace(people.context.settings, sandbox="none")
    agent = platform.agent("a", cpu=4)
    await agent.step()
    job = await platform.submit("wait", replicas=(1, 3), resources=("cpu=1", "memory=1GiB"))
    view = ClusterView(people.context)
    await view.load()
    [start] = [action for action in await view.plan() if isinstance(action, Start)]
    start = replace(start, placements=start.placements[:1])
    await carry_out(people.context, [start])
    for _ in range(2):
        await agent.step()
    node = await node_id(platform, job)
    added = tuple(Placement("worker", number, node) for number in (1, 2))
    await carry_out_stops(people.context, [Resize(job, job, added=added)])
    return platform, job, node


async def places_kept(platform: Platform, job: str) -> list[int] | None:
    resize = (await platform.workload(job)).resize
    return None if resize is None else [place["replica"] for place in resize["placements"]]


async def test_a_second_resize_counts_from_the_first(people: People) -> None:
    platform, job, _ = await resizing(people)
    assert await places_kept(platform, job) == [0, 1, 2]
    fewer = Resize(job, job, removed=(f"{job}/worker/2",))
    await carry_out_stops(platform.context, [fewer])
    assert await places_kept(platform, job) == [0, 1]
    for _ in range(2):  # stopped, and to go on; nothing of it lives
        await platform.agents["a"].step()
    fewer = Resize(job, job, removed=(f"{job}/worker/1",))
    await carry_out_stops(platform.context, [fewer])
    assert await places_kept(platform, job) == [0]


async def test_what_could_not_run_so_waits_in_line(people: People) -> None:
    platform, job, _ = await resizing(people)
    keys = tuple(f"{job}/worker/{number}" for number in range(3))
    await carry_out_stops(platform.context, [Resize(job, job, removed=keys)])
    assert await places_kept(platform, job) is None


async def test_what_is_stopped_between_two_attempts_loses_its_places(people: People) -> None:
    platform, job, _ = await resizing(people)
    for _ in range(2):
        await platform.agents["a"].step()
    assert (await platform.workload(job)).state == WorkloadState.PENDING
    await carry_out_stops(platform.context, [Preempt(job, job, "job-winner", "gpu", 0.0)])
    assert await places_kept(platform, job) is None


async def test_no_places_at_all_do_not_stop_the_scheduler(people: People) -> None:
    platform, job, _ = await resizing(people)
    for _ in range(2):
        await platform.agents["a"].step()
    async with platform.context.db.transaction() as session:
        row = await session.get_one(WorkloadRow, job)
        row.resize = {"placements": []}
    async with running(controller.run(platform.context), platform.agents["a"].run()):
        await platform.until(job, in_attempt(2))


async def test_a_moved_job_begins_again(people: People) -> None:
    async with platform_of(people, a={"cpu": 4}) as platform:
        job = await platform.submit("wait")
        await platform.until_state(job, WorkloadState.RUNNING)
        await carry_out_stops(platform.context, [Migrate(job, job, (), "room for job-x")])
        row = await platform.until(job, in_attempt(2))
        assert row.retries == 0


async def test_one_replica_of_a_service_makes_room(people: People) -> None:
    async with platform_of(people, a={"cpu": 4}) as platform:
        service_id = await platform.submit("wait", kind=WorkloadKind.SERVICE, replicas=2)
        await platform.until_state(service_id, WorkloadState.RUNNING)
        request = f"{service_id}:worker:1"
        await carry_out_stops(
            platform.context, [Preempt(request, service_id, "job-winner", "gpu", 0.0)]
        )

        async def again() -> list[TaskRow]:
            return [task for task in await platform.tasks(service_id) if task.attempt == 2]

        await platform.until(service_id, lambda row: row.state == WorkloadState.RUNNING)
        for _ in range(200):
            if tasks := await again():
                break
            await platform.agents["a"].step()
        assert [task.replica for task in tasks] == [1]


async def test_a_stale_stop_changes_nothing(people: People) -> None:
    async with platform_of(people, a={"cpu": 4}) as platform:
        job = await platform.submit("true")
        await platform.until_ended(job)
        await carry_out_stops(platform.context, [Preempt(job, job, "job-winner", "gpu", 0.0)])
        cancelled = await platform.submit("wait")
        await platform.until_state(cancelled, WorkloadState.RUNNING)
        await service.cancel(platform.context, "member", cancelled)
        await carry_out_stops(platform.context, [Resize(cancelled, cancelled, removed=("x",))])
        row = await platform.until_ended(cancelled)
        assert row.state == WorkloadState.CANCELLED
        assert (await platform.workload(job)).state == WorkloadState.SUCCEEDED
