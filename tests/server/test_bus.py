"""Telling who watches what changed."""

from __future__ import annotations

import asyncio

from madang.server.bus import Bus
from madang.server.context import ServerContext
from madang.server.db.engine import announce


async def test_only_watched_topics_each_once() -> None:
    bus = Bus()
    with bus.subscribe("task:", "workload:job-1") as subscription:
        bus.publish(["task:a", "workload:job-2", "task:a", "workload:job-1"])
        assert await subscription.wait() == ["task:a", "workload:job-1"]
        assert await subscription.wait(timeout_s=0) == []
    bus.publish(["task:b"])
    assert await subscription.wait(timeout_s=0) == []


async def test_wakes_who_waits() -> None:
    bus = Bus()
    with bus.subscribe("task:") as subscription:
        waiting = asyncio.create_task(subscription.wait())
        await asyncio.sleep(0)
        bus.publish(["task:a"])
        assert await waiting == ["task:a"]


async def test_announced_after_commit_alone(sqlite_context: ServerContext) -> None:
    context = sqlite_context
    with context.bus.subscribe("x:") as subscription:
        try:
            async with context.db.transaction() as session:
                announce(session, "x:rolled-back")
                raise KeyError
        except KeyError:
            pass
        async with context.db.transaction() as session:
            announce(session, "x:committed")
            assert await subscription.wait(timeout_s=0) == []
        assert await subscription.wait(timeout_s=0) == ["x:committed"]
