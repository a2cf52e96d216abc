"""What no node could ever hold is refused when it is submitted."""

from __future__ import annotations

import pytest

from madang.core.errors import InvalidInput
from madang.core.states import WorkloadKind, WorkloadState
from tests.conftest import People
from tests.server.workloads.platform import platform_of


async def test_before_the_first_node_everything_may_wait(sqlite_people: People) -> None:
    async with platform_of(sqlite_people) as platform:
        job = await platform.submit("true", resources=["gpu=64"])
        assert (await platform.workload(job)).state == WorkloadState.PENDING


async def test_the_nearest_is_said_and_can_be_had(people: People) -> None:
    async with platform_of(people, a={"cpu": 4, "gpus": 2}, b={"cpu": 4}) as platform:
        first = await platform.submit("true")
        await platform.until_ended(first)
        with pytest.raises(InvalidInput) as error:
            await platform.submit("true", replicas=3, resources=["cpu=1", "gpu=1"])
        assert error.value.field == "replicas"
        assert error.value.details == {"value": 3, "possible": 2}
        gang = await platform.submit("true", replicas=2, resources=["cpu=1", "gpu=1"])
        await platform.until_ended(gang)


async def test_nodes_that_came_or_grew_are_counted_at_once(people: People) -> None:
    async with platform_of(people, a={"cpu": 4}) as platform:
        await platform.until_ended(await platform.submit("true"))
        with pytest.raises(InvalidInput, match="no node has a GPU"):
            await platform.submit("true", resources=["gpu=1"])
        b = platform.agent("b", gpus=1)
        await b.step()
        await platform.submit("true", resources=["gpu=1"])


async def test_who_waits_for_nodes_is_not_refused(sqlite_people: People) -> None:
    async with platform_of(sqlite_people, a={"cpu": 4}) as platform:
        await platform.until_ended(await platform.submit("true"))
        job = await platform.submit("true", resources=["gpu=1"], wait_for_nodes=True)
        await platform.until(job, lambda row: row.reason is not None)


async def test_replicas_of_a_service_come_one_by_one(sqlite_people: People) -> None:
    async with platform_of(sqlite_people, a={"cpu": 4, "gpus": 1}) as platform:
        await platform.until_ended(await platform.submit("true"))
        await platform.submit(
            "serve", kind=WorkloadKind.SERVICE, replicas=2, resources=["cpu=1", "gpu=1"]
        )
        with pytest.raises(InvalidInput, match="no node has 2 GPUs that would do") as error:
            await platform.submit("serve", kind=WorkloadKind.SERVICE, resources=["gpu=2"])
        assert "--wait-for-nodes" not in str(error.value)
