"""Who opens a connection has to say what for."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

from aiohttp import web

from madang.server.serving.gateway.doorkeeper import Doorkeeper


@asynccontextmanager
async def served(doorkeeper: Doorkeeper) -> AsyncIterator[tuple[web.AppRunner, int]]:
    async def hello(request: web.Request) -> web.Response:
        return web.Response(text="hello")

    app = web.Application(middlewares=[doorkeeper.let_in])
    app.router.add_get("/", hello)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    try:
        yield runner, runner.addresses[0][1]
    finally:
        await runner.cleanup()


async def close(writer: asyncio.StreamWriter) -> None:
    writer.close()
    with suppress(ConnectionError):
        await writer.wait_closed()


async def is_closed(reader: asyncio.StreamReader) -> bool:
    """Waits for the other side's end, said politely or not."""
    try:
        return await reader.read() == b""
    except ConnectionResetError:
        return True


async def test_half_a_head_is_waited_for_only_so_long() -> None:
    doorkeeper = Doorkeeper(head_within_s=20.0)
    async with served(doorkeeper) as (runner, port), asyncio.timeout(10):
        assert runner.server is not None
        slow, slow_writer = await asyncio.open_connection("127.0.0.1", port)
        slow_writer.write(b"GET / HTTP/1.1\r\nHost: x\r\nX-")
        good, good_writer = await asyncio.open_connection("127.0.0.1", port)
        good_writer.write(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        assert await good.readuntil(b"hello")
        now_s = time.monotonic()
        doorkeeper.look(runner.server, now_s)
        slow_writer.write(b"A")  # a byte now and then changes nothing
        doorkeeper.look(runner.server, now_s + 19)
        assert len(runner.server.connections) == 2
        doorkeeper.look(runner.server, now_s + 20)
        assert await is_closed(slow)
        good_writer.write(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        assert await good.readuntil(b"hello")
        for writer in (slow_writer, good_writer):
            await close(writer)


async def test_it_looks_by_itself() -> None:
    doorkeeper = Doorkeeper(head_within_s=0.05)
    async with served(doorkeeper) as (runner, port), asyncio.timeout(10):
        assert runner.server is not None
        looking = asyncio.create_task(doorkeeper.run(runner.server))
        slow, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(b"GET / HT")
        assert await is_closed(slow)
        await close(writer)
        looking.cancel()
