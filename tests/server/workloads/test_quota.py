"""What limits and queues would never allow is refused when it is submitted."""

from __future__ import annotations

from typing import Any

import pytest

from madang.core.errors import InvalidInput, LimitExceeded
from madang.core.states import WorkloadState
from madang.server.workloads.queues import resolve_queue
from madang.server.workloads.tables import LimitRow, QueueRow, WorkloadRow
from tests.conftest import People
from tests.server.workloads.platform import Platform


async def platform_without_loop(people: People) -> Platform:
    """What is submitted waits."""
    return Platform(people, await people.principal("member"))


async def limit(platform: Platform, subject: str, **bounds: Any) -> None:
    async with platform.context.db.transaction() as session:
        await session.merge(LimitRow(subject=subject, **bounds))


async def change_queue(platform: Platform, **changes: Any) -> QueueRow:
    async with platform.context.db.transaction() as session:
        project = platform.people.project_id
        queue = await resolve_queue(session, platform.context, project, "")
        for name, value in changes.items():
            setattr(queue, name, value)
        return queue


async def test_so_many_may_wait_and_no_more(people: People) -> None:
    platform = await platform_without_loop(people)
    await limit(platform, f"user:{platform.principal.user_id}", pending=2)
    first = await platform.submit("true")
    await platform.submit("true")
    with pytest.raises(LimitExceeded, match=r"user member has 2 waiting, of at most 2") as error:
        await platform.submit("true")
    assert error.value.details == {"value": 2, "possible": 2}
    async with platform.context.db.transaction() as session:
        (await session.get_one(WorkloadRow, first)).state = WorkloadState.RUNNING
    await platform.submit("true")


async def test_a_limit_of_her_own_goes_before_everybodys(sqlite_people: People) -> None:
    platform = await platform_without_loop(sqlite_people)
    await limit(platform, "user:*", pending=0)
    await limit(platform, f"project:{platform.people.project_id}", pending=1)
    with pytest.raises(LimitExceeded, match="user member"):
        await platform.submit("true")
    await limit(platform, f"user:{platform.principal.user_id}", running=9)
    await platform.submit("true")
    with pytest.raises(LimitExceeded, match="project vision has 1 waiting"):
        await platform.submit("true")


async def test_more_than_anybody_here_may_have_is_refused(sqlite_people: People) -> None:
    platform = await platform_without_loop(sqlite_people)
    await limit(platform, "user:*", amounts={"gpu": 2000, "gpu/H100": 1000, "matlab": 1})
    await platform.submit("true", replicas=(2, 8), resources=["gpu=1"])
    for asked, message in (
        ({"gpu": 3}, r"gpu=3 at once is more than user member may ever have\. At most gpu=2"),
        ({"gpu": 2, "gpu_model": "H100"}, "gpu/H100=2 .* At most gpu/H100=1"),
        ({"counted": {"matlab": 2}}, "matlab=2 .* At most matlab=1"),
    ):
        with pytest.raises(InvalidInput, match=message):
            await platform.submit("true", resources=asked)


async def test_more_than_a_queue_above_may_have_is_refused(sqlite_people: People) -> None:
    platform = await platform_without_loop(sqlite_people)
    async with platform.context.db.transaction() as session:
        root = QueueRow(
            id="queue-root",
            project_id=None,
            name="lab",
            created_at=platform.context.clock.now(),
            limit={"gpu": 8000},
        )
        session.add(root)
    await change_queue(
        platform, parent_id="queue-root", guarantee={"gpu": 1000}, borrowing_limit={"gpu": 2000}
    )
    with pytest.raises(
        InvalidInput, match=r"gpu=4 .* queue default may ever have\. At most gpu=3"
    ):
        await platform.submit("true", resources=["gpu=4"])
    await platform.submit("true", resources=["gpu=3"])
    await change_queue(platform, borrowing_limit={})
    with pytest.raises(InvalidInput, match=r"gpu=9 .* queue lab"):
        await platform.submit("true", resources=["gpu=9"])
    await platform.submit("true", resources=["gpu=8"])
