"""Jobs of several roles: all of them start at once, or none."""

from __future__ import annotations

import pytest

from madang.core.errors import InvalidInput
from madang.core.states import TaskState, WorkloadState
from madang.schemas.jobs import JobCreate, JobRole
from madang.server.workloads import jobs
from tests.conftest import People
from tests.server.workloads.platform import Platform, platform_of


def asked(*, workers: int, servers: int) -> JobCreate:
    return JobCreate(
        ["wait"],
        project="vision",
        replicas=workers,
        resources={"cpu": 1, "memory": "1GiB"},
        roles=[JobRole("server", ["wait"], {"cpu": 2, "memory": "1GiB"}, replicas=servers)],
    )


async def submit(platform: Platform, request: JobCreate) -> str:
    row = await jobs.create_job(platform.context, platform.principal, request)
    return row.id


async def test_all_roles_start_at_once_with_ranks_of_their_own(people: People) -> None:
    async with platform_of(people, a={"cpu": 4}) as platform:
        first = await submit(platform, asked(workers=1, servers=1))
        await platform.until_state(first, WorkloadState.RUNNING)
        # One CPU is left: room for its worker, not for its server.
        second = await submit(platform, asked(workers=1, servers=1))
        waiting = await platform.until(second, lambda row: row.reason is not None)
        assert (waiting.state, await platform.tasks(second)) == (WorkloadState.PENDING, [])
        found = sorted((task.rank, task.role) for task in await platform.tasks(first))
        assert found == [(0, "worker"), (1, "server")]
        await jobs.cancel_job(platform.context, platform.principal, first)
        await platform.until_ended(first)
        await platform.until_state(second, WorkloadState.RUNNING)
        live = {task.state for task in await platform.tasks(second)}
        assert live <= {TaskState.ASSIGNED, TaskState.STARTING, TaskState.RUNNING}


async def test_roles_that_never_fit_together_are_refused(sqlite_people: People) -> None:
    async with platform_of(sqlite_people, a={"cpu": 4}) as platform:
        await platform.until_ended(await platform.submit("true"))
        with pytest.raises(InvalidInput) as error:
            await submit(platform, asked(workers=3, servers=1))
        assert error.value.field == "roles"
        assert error.value.details["possible"] == {"worker": 2}
        with pytest.raises(InvalidInput, match="server: 3 tasks of cpu=2"):
            await submit(platform, asked(workers=1, servers=3))
