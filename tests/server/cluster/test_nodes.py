"""Nodes seen from control: reports, leases, loss and return, who may close them."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import Any

import pytest
from sqlalchemy import select, update

from madang.core.errors import Forbidden, InvalidInput, NotFound
from madang.core.states import TaskState, WorkloadState
from madang.server.cluster import controller as leases
from madang.server.cluster import nodes, service
from madang.server.cluster.codec import to_json
from madang.server.cluster.protocol import NodeReport
from madang.server.cluster.tables import NodeRow
from madang.server.workloads import service as workloads
from madang.server.workloads.spec import RetryPolicy
from tests.conftest import People
from tests.server.workloads.platform import Platform, inventory, platform_of

NO_GRACE = {"grace_s": 0.0}


def report(**changes: object) -> NodeReport:
    return replace(NodeReport(1, "boot-1", "agent-1", inventory(), (), 0), **changes)  # type: ignore[arg-type]


async def expire(platform: Platform, seconds_ago: float = 1.0) -> None:
    """Let every lease have run out, and look."""
    from madang.server.cluster.lease_time import from_now

    async with platform.context.db.transaction() as session:
        await session.execute(update(NodeRow).values(lease_expires_at=from_now(-seconds_ago)))
    await leases.check_leases(platform.context)


async def node(platform: Platform, name: str = "a") -> NodeRow:
    async with platform.context.db.read() as session:
        row = await session.scalar(select(NodeRow).where(NodeRow.name == name))
    assert row is not None
    return row


async def test_a_node_joins_with_its_devices(people: People) -> None:
    context = people.context
    await service.sync(context, "a", report(inventory=inventory(cpu=4, gpus=2)))
    viewer = await people.principal("viewer")
    use, tasks = await nodes.get_node(context, viewer, "a")
    assert (use.node.cpu_milli, len(use.devices), tasks) == (4000, 2, [])
    await service.sync(context, "a", report(inventory=inventory(cpu=4, gpus=1)))
    use, _ = await nodes.get_node(context, viewer, "a")
    assert [device.index for device in use.devices] == [0]


async def test_another_version_of_the_protocol_is_refused(sqlite_people: People) -> None:
    with pytest.raises(InvalidInput, match="speaks version 99"):
        await service.sync(sqlite_people.context, "a", report(protocol=99))


async def test_orders_wait_for_news_and_leave_at_once(sqlite_people: People) -> None:
    async with platform_of(sqlite_people, a={}) as platform:
        await platform.until_ended(await platform.submit("true"))
    context = sqlite_people.context
    first = await service.sync(context, "a", report())
    waiting = asyncio.ensure_future(
        service.sync(context, "a", report(orders_revision=first.revision, wait_s=30))
    )
    await asyncio.sleep(0.05)
    assert not waiting.done()
    # A node that calls again has given the earlier call up.
    again = await service.sync(context, "a", report(orders_revision=first.revision))
    assert (await asyncio.wait_for(waiting, 1)).revision == again.revision == first.revision


async def test_the_token_of_a_task_is_in_its_orders_and_nowhere_else(people: People) -> None:
    async with platform_of(people) as platform:
        agent = platform.agent("a")
        await agent.step()
        job = await platform.submit("sleep")
        await platform.until_state(job, WorkloadState.STARTING)
        orders = await agent.step()
        [order] = orders.orders
        assert order.spec.api_token.startswith("mdk_")
        async with people.client(None) as client:
            client.headers["Authorization"] = f"Bearer {order.spec.api_token}"
            seen = await client.get(f"/api/v1/jobs/{job}")
        assert seen.status_code == 200
        assert order.spec.api_token not in seen.text


async def test_a_kept_task_survives_the_loss_of_its_node(people: People) -> None:
    async with platform_of(people) as platform:
        agent = platform.agent("a")
        await agent.step()
        job = await platform.submit("sleep", **NO_GRACE)
        await platform.until_state(job, WorkloadState.STARTING)
        await agent.step()
        await agent.step()
        await expire(platform, 1000)
        assert (await node(platform)).lost_at is not None
        assert (await platform.workload(job)).state == WorkloadState.RUNNING
        await agent.step()
        assert (await node(platform)).lost_at is None
        assert agent.tasks[(await platform.tasks(job))[0].id].exit is None


async def test_a_task_to_restart_is_given_up_after_lease_and_grace(people: People) -> None:
    async with platform_of(people) as platform:
        agent = platform.agent("a")
        await agent.step()
        job = await platform.submit(
            "sleep", on_node_lost="restart", retry=RetryPolicy(count=1, backoff_s=0), **NO_GRACE
        )
        await platform.until_state(job, WorkloadState.STARTING)
        await agent.step()
        await agent.step()
        [task] = await platform.tasks(job)
        await expire(platform, 1.0)
        assert (await platform.workload(job)).attempt == 1, "its shim may still be killing it"
        await expire(platform, 1000)
        row = await platform.workload(job)
        assert (row.attempt, row.state) == (2, WorkloadState.PENDING)
        assert (await platform.tasks(job))[0].state == TaskState.LOST
        # The node comes back and says that the task still runs: it is told to stop it, and what
        # it says changes nothing.
        orders = await agent.step()
        assert task.id not in [order.spec.task_id for order in orders.orders]
        assert (await platform.tasks(job))[-1].state == TaskState.LOST
        assert agent.tasks[task.id].exit is not None


async def test_cancelling_does_not_wait_for_a_lost_node(people: People) -> None:
    async with platform_of(people) as platform:
        agent = platform.agent("a")
        await agent.step()
        job = await platform.submit("sleep", **NO_GRACE)
        await platform.until_state(job, WorkloadState.STARTING)
        await agent.step()
        await agent.step()
        await expire(platform)
        row = await workloads.cancel(platform.context, "member", job)
        assert row.state == WorkloadState.CANCELLED
        assert await platform.live_allocations() == 0


async def test_a_node_that_forgot_a_running_task_has_lost_it(people: People) -> None:
    async with platform_of(people) as platform:
        agent = platform.agent("a")
        await agent.step()
        job = await platform.submit("sleep")
        await platform.until_state(job, WorkloadState.STARTING)
        await agent.step()
        await agent.step()
        agent.tasks.clear()
        await agent.step()
        row = await platform.until_ended(job)
        assert row.reason is not None
        assert (row.state, row.reason["code"]) == (WorkloadState.FAILED, "supervisor_lost")


async def test_after_a_restart_of_control_nodes_get_a_full_lease(people: People) -> None:
    context = people.context
    await service.sync(context, "a", report())
    async with context.db.transaction() as session:
        await session.execute(update(NodeRow).values(lease_expires_at=1))
    await leases.grant_full_leases(context)
    await leases.check_leases(context)
    async with context.db.read() as session:
        assert await session.scalar(select(NodeRow.lost_at)) is None


async def test_only_administrators_close_nodes(people: People) -> None:
    await service.sync(people.context, "a", report())
    for name in ("member", "maintainer"):
        with pytest.raises(Forbidden):
            await nodes.cordon_node(people.context, await people.principal(name), "a", closed=True)
    admin = await people.principal("admin")
    use = await nodes.cordon_node(people.context, admin, "a", closed=True)
    assert use.node.cordoned_at is not None
    with pytest.raises(NotFound):
        await nodes.drain_node(people.context, admin, "b")


async def test_use_is_the_sum_of_what_lives_and_names_are_for_members(people: People) -> None:
    async with platform_of(people, a={"gpus": 2}) as platform:
        job = await platform.submit("sleep", resources=["cpu=2", "memory=3GiB", "gpu=0.5"])
        await platform.until_state(job, WorkloadState.RUNNING)
    async with people.client("member") as member:
        detail = (await member.get("/api/v1/nodes/a")).json()
    shown = detail["node"]
    assert (shown["cpu_used"], shown["memory_used_bytes"], shown["tasks"]) == (2, 3 * 2**30, 1)
    assert [device["used"] for device in shown["devices"]] == [0.5, 0]
    assert shown["devices"][0]["simulated"]
    assert detail["tasks"][0]["workload_id"] == job
    async with people.client("outsider") as outsider:
        detail = (await outsider.get("/api/v1/nodes/a")).json()
    assert (detail["tasks"][0]["name"], detail["tasks"][0]["workload_id"]) == ("", "")


async def test_nodes_talk_with_the_secret_of_nodes_only(sqlite_people: People) -> None:
    path = "/internal/v1/nodes/a/sync"
    secret = sqlite_people.context.paths.secret("node").hex()
    async with sqlite_people.client("admin") as client:
        assert (await client.post(path, json=to_json(report()))).status_code == 401
        client.headers["Authorization"] = f"Bearer {secret}"
        answer = await client.post(path, json=to_json(report()))
        assert answer.status_code == 200
        assert answer.json()["orders"] == []
        wrong: list[Any] = [{}, [], {"protocol": 1}, {**to_json(report()), "wait_s": 1e9}]
        for bad in wrong:
            assert (await client.post(path, json=bad)).status_code == 422
