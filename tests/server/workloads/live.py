"""The in-process platform behind real sockets: the API on a port, an agent that has logs."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import uvicorn
from aiohttp import web

from madang.server.api.app import create_app
from madang.server.context import ServerContext


@dataclass
class LogServer:
    """Serves logs as the agent does; `write` makes them longer, `end` closes them."""

    context: ServerContext
    logs: dict[str, bytearray] = field(default_factory=dict)
    ended: set[str] = field(default_factory=set)
    _news: asyncio.Condition = field(default_factory=asyncio.Condition)

    async def write(self, task_id: str, data: bytes) -> None:
        async with self._news:
            self.logs.setdefault(task_id, bytearray()).extend(data)
            self._news.notify_all()

    async def end(self, task_id: str) -> None:
        async with self._news:
            self.logs.setdefault(task_id, bytearray())
            self.ended.add(task_id)
            self._news.notify_all()

    async def _read(self, request: web.Request) -> web.Response:
        task_id = request.match_info["task"]
        if task_id not in self.logs:
            raise web.HTTPNotFound
        log = self.logs[task_id]
        offset = min(int(request.query["offset"]), len(log))
        async with self._news:
            if float(request.query.get("wait_s", 0)):
                await self._news.wait_for(lambda: len(log) > offset or task_id in self.ended)
        data = bytes(log[offset : offset + int(request.query["limit"])])
        following = offset + len(data)
        ended = task_id in self.ended and following == len(log)
        headers = {
            "X-Log-Offset": str(offset),
            "X-Log-Next": str(following),
            "X-Log-Ended": str(int(ended)),
        }
        return web.Response(body=data, headers=headers)

    @asynccontextmanager
    async def serving(self) -> AsyncIterator[None]:
        app = web.Application()
        app.router.add_get("/v1/tasks/{task}/log", self._read)
        runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
        await runner.setup()
        await web.UnixSite(runner, str(self.context.paths.agent_socket)).start()
        try:
            yield
        finally:
            await runner.cleanup()


@asynccontextmanager
async def api_on_a_port(context: ServerContext) -> AsyncIterator[str]:
    """The address of the API."""
    config = uvicorn.Config(
        create_app(context), port=0, log_level="error", timeout_graceful_shutdown=1
    )
    server = uvicorn.Server(config)
    server.capture_signals = _nothing  # type: ignore[method-assign,assignment]
    serving = asyncio.ensure_future(server.serve())
    while not server.started:
        await asyncio.sleep(0.01)
    port = server.servers[0].sockets[0].getsockname()[1]
    try:
        yield f"http://127.0.0.1:{port}"
    finally:
        server.should_exit = True
        await serving


class _nothing:
    """Signals stay pytest's."""

    def __enter__(self) -> None:
        return None

    def __exit__(self, *error: object) -> None:
        return None
