"""Logs: parts, characters that come in halves, following over attempts and processes."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from madang.core.states import WorkloadState
from madang.server.workloads import logs
from madang.server.workloads.logs import LogText, StateChange, _whole_characters
from madang.server.workloads.spec import RetryPolicy
from tests.conftest import People
from tests.server.workloads.live import LogServer
from tests.server.workloads.platform import Platform, platform_of


@asynccontextmanager
async def with_logs(people: People) -> AsyncIterator[tuple[Platform, LogServer]]:
    server = LogServer(people.context)
    async with server.serving(), platform_of(people, a={}) as platform:
        yield platform, server


async def end(platform: Platform, server: LogServer, task: str, exit_code: int) -> None:
    await server.end(task)
    reason = ("completed", 0, {}) if exit_code == 0 else ("signal", 137, {"signal": "SIGKILL"})
    platform.agents["a"].end(task, *reason)


async def collect(platform: Platform, job: str, **options: object) -> list[object]:
    stream = logs.follow(platform.context, job, **options)  # type: ignore[arg-type]
    return [item async for item in stream]


async def test_following_tells_text_and_states_to_the_end(sqlite_people: People) -> None:
    async with with_logs(sqlite_people) as (platform, server):
        job = await platform.submit("wait", retry=RetryPolicy(count=1, backoff_s=0.0))
        following = asyncio.ensure_future(collect(platform, job))
        await platform.until_state(job, WorkloadState.RUNNING)
        [first] = await platform.tasks(job)
        await server.write(first.id, "half a 글".encode()[:-1])
        await asyncio.sleep(0.05)
        await server.write(first.id, "글\n".encode()[2:])
        await end(platform, server, first.id, 137)
        await platform.until(job, lambda row: row.attempt == 2)
        await platform.until_state(job, WorkloadState.RUNNING)
        second = (await platform.tasks(job))[0]
        await server.write(second.id, b"again\n")
        await end(platform, server, second.id, 0)
        items = await asyncio.wait_for(following, 10)
        text = "".join(item.text for item in items if isinstance(item, LogText))
        assert text == "half a 글\nagain\n"
        changes = [item for item in items if isinstance(item, StateChange)]
        assert (changes[-1].state, changes[-1].exit_code) == (WorkloadState.SUCCEEDED, 0)
        assert items[-1] is changes[-1]
        offsets = [item.next_offset for item in items if isinstance(item, LogText)]
        assert offsets[0] == len(b"half a "), "a later call must not begin within a character"


async def test_going_on_where_it_stopped(sqlite_people: People) -> None:
    async with with_logs(sqlite_people) as (platform, server):
        job = await platform.submit("wait", replicas=2)
        await platform.until_state(job, WorkloadState.RUNNING)
        tasks = await platform.tasks(job)
        for task in tasks:
            await server.write(task.id, b"0123456789")
            await end(platform, server, task.id, 0)
        await platform.until_ended(job)
        offsets = {tasks[0].id: 4, tasks[1].id: 10}
        items = await collect(platform, job, offsets=offsets)
        assert [item.text for item in items if isinstance(item, LogText)] == ["456789"]
        items = await collect(platform, job, tail_bytes=3, rank=1)
        assert [item.text for item in items if isinstance(item, LogText)] == ["789"]


async def test_leaving_a_stream_leaves_nothing_behind(sqlite_people: People) -> None:
    def followers() -> list[asyncio.Task[object]]:
        return [task for task in asyncio.all_tasks() if "_Follower" in str(task.get_coro())]

    async with with_logs(sqlite_people) as (platform, _):
        job = await platform.submit("wait")
        await platform.until_state(job, WorkloadState.RUNNING)
        stream = logs.follow(platform.context, job)
        await anext(stream)
        assert followers()
        await stream.aclose()  # type: ignore[attr-defined]
        assert not followers()


async def test_parts_through_the_api(sqlite_people: People) -> None:
    async with with_logs(sqlite_people) as (platform, server):
        waiting = await platform.submit("wait", resources=["cpu=99"], wait_for_nodes=True)
        job = await platform.submit("wait")
        await platform.until_state(job, WorkloadState.RUNNING)
        [task] = await platform.tasks(job)
        await server.write(task.id, b"one\ntwo\n")
        async with sqlite_people.client("viewer") as viewer:

            async def part(name: str, **params: Any) -> dict[str, Any]:
                answer = await viewer.get(f"/api/v1/jobs/{name}/logs", params=params)
                assert answer.status_code == 200, answer.text
                return answer.json()

            assert (await part(waiting))["text"] == ""
            whole = await part(job)
            assert (whole["text"], whole["next_offset"]) == ("one\ntwo\n", 8)
            assert not whole["ended"]
            assert (await part(job, offset=4))["text"] == "two\n"
            assert (await part(job, tail_bytes=4))["text"] == "two\n"
            bad = await viewer.get(
                f"/api/v1/jobs/{job}/logs", params={"follow": True, "offsets": "x"}
            )
            assert bad.status_code == 422
        async with sqlite_people.client("outsider") as outsider:
            assert (await outsider.get(f"/api/v1/jobs/{job}/logs")).status_code == 404


@pytest.mark.parametrize("text", ["", "a", "é", "글", "🚀", "a글🚀"])
def test_a_character_is_never_cut(text: str) -> None:
    data = text.encode()
    for end_at in range(len(data) + 1):
        whole = _whole_characters(data[:end_at])
        assert text.startswith(whole.decode())
        assert len(data[:end_at]) - len(whole) < 4
    assert _whole_characters(data) == data
    assert _whole_characters(b"\xff\xfe") in (b"\xff\xfe", b"\xff", b"")
