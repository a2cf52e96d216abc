from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp
import pytest

from madang.server.cluster.shim import log as shim_log
from madang.server.cluster.shim.log import LogWriter
from madang.testing.agents import task_spec
from tests.server.cluster.conftest import Node


@pytest.fixture
async def session(node: Node) -> AsyncIterator[aiohttp.ClientSession]:
    connector = aiohttp.UnixConnector(str(node.paths.agent_socket))
    async with aiohttp.ClientSession("http://agent", connector=connector) as session:
        yield session


async def read(
    session: aiohttp.ClientSession, task_id: str, **query: str
) -> tuple[bytes, int, bool]:
    async with session.get(f"/v1/tasks/{task_id}/log", params=query) as response:
        assert response.status == 200, await response.text()
        text = await response.read()
        start, following = response.headers["X-Log-Offset"], response.headers["X-Log-Next"]
        assert int(following) - int(start) == len(text)
        return text, int(following), response.headers["X-Log-Ended"] == "1"


async def follow(session: aiohttp.ClientSession, task_id: str) -> bytes:
    text, offset, ended = b"", 0, False
    while not ended:
        chunk, offset, ended = await read(session, task_id, offset=str(offset), wait_s="10")
        text += chunk
    return text


async def test_a_log_is_followed_to_its_end(node: Node, session: aiohttp.ClientSession) -> None:
    script = "for i in 1 2 3; do echo out $i; echo err $i >&2; sleep 0.05; done"
    await node.control.run(task_spec("task-1", "sh", "-c", script))
    await node.control.until_running("task-1")
    text = await follow(session, "task-1")
    assert text == b"out 1\nerr 1\nout 2\nerr 2\nout 3\nerr 3\n"


async def test_the_tail_of_an_ended_log(node: Node, session: aiohttp.ClientSession) -> None:
    await node.run(task_spec("task-1", "printf", "0123456789"))
    assert await read(session, "task-1", offset="6", limit="2") == (b"67", 8, False)
    assert await read(session, "task-1", offset="8") == (b"89", 10, True)
    assert await read(session, "task-1", offset="99") == (b"", 10, True)


async def test_waiting_ends_without_news(node: Node, session: aiohttp.ClientSession) -> None:
    await node.control.run(task_spec("task-1", "sleep", "60"))
    await node.control.until_running("task-1")
    assert await read(session, "task-1", offset="0", wait_s="0.05") == (b"", 0, False)


def test_before_its_task_has_a_folder_a_log_is_empty(tmp_path: Path) -> None:
    assert shim_log.read(str(tmp_path / "task-1"), 0, 100) == (0, b"")
    assert shim_log.bounds(str(tmp_path / "task-1")) == (0, 0)


async def test_unknown_task_and_bad_numbers(node: Node, session: aiohttp.ClientSession) -> None:
    await node.run(task_spec("task-1", "true"))
    async with session.get("/v1/tasks/task-0/log") as response:
        assert response.status == 404
        assert "never been on this node" in (await response.json())["title"]
    for query in ("offset=-1", "offset=x", "wait_s=x"):
        async with session.get(f"/v1/tasks/task-1/log?{query}") as response:
            assert response.status == 422


async def test_a_forgotten_tasks_log_can_be_read_and_removed(
    node: Node, session: aiohttp.ClientSession
) -> None:
    await node.run(task_spec("task-1", "echo", "hello"))
    async with session.delete("/v1/tasks/task-1") as response:
        assert response.status == 204
    assert node.folder("task-1").exists(), "it is still in the orders"
    await node.control.drop("task-1")
    async with asyncio.timeout(5):
        while (node.folder("task-1") / "launched").exists():
            await asyncio.sleep(0.01)
    assert await read(session, "task-1") == (b"hello\n", 6, True)
    await asyncio.sleep(0.05)
    async with session.delete("/v1/tasks/task-1") as response:
        assert response.status == 204
    assert not node.folder("task-1").exists()


async def test_rotation_keeps_offsets_valid(node: Node, session: aiohttp.ClientSession) -> None:
    spec = task_spec("task-1", "seq", "1", "20000", log_bytes=10_000, log_files=3)
    await node.run(spec)
    whole = "".join(f"{number}\n" for number in range(1, 20001)).encode()
    text, following, ended = await read(session, "task-1", offset="0")
    assert (following, ended) == (len(whole), True)
    assert text == whole[-len(text) :]
    assert 20_000 < len(text) <= 30_000
    middle = len(whole) - 15_000
    text, _, _ = await read(session, "task-1", offset=str(middle), limit="10000")
    assert text == whole[middle : middle + 10_000]


def test_a_writer_goes_on_where_another_was_killed(tmp_path: Path) -> None:
    reader, writer = os.pipe()
    os.set_blocking(reader, False)
    expected = b""
    for number in range(40):
        line = f"line {number}\n".encode() * 7
        os.write(writer, line)
        expected += line
        # Never closed, as after kill -9; each time a new one takes over.
        LogWriter(str(tmp_path), reader, segment_bytes=100, keep=1000).drain()
    assert shim_log.read(str(tmp_path), 0, 1 << 20) == (0, expected)
    assert len(shim_log.segments(str(tmp_path))) > 10
    os.close(reader)
    os.close(writer)
