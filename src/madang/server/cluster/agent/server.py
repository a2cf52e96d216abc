"""What the agent serves on its Unix socket: logs, and the building of environments."""

from __future__ import annotations

import asyncio
import dataclasses
from collections.abc import Awaitable, Callable
from typing import TypeVar

from aiohttp import web

from madang.core.errors import InvalidInput, MadangError, NotFound
from madang.core.settings import Settings
from madang.server.cluster.agent.tasks import Tasks
from madang.server.cluster.codec import from_json
from madang.server.cluster.protocol import EnvironmentBuild
from madang.server.paths import StatePaths

N = TypeVar("N", int, float)

_LOOK_AGAIN_S = 0.025
_DEFAULT_LIMIT_BYTES = 1 << 20
_MAX_LIMIT_BYTES = 8 << 20
_MAX_WAIT_S = 60.0


class AgentServer:
    """Routes of one agent; the folder of the socket lets in nobody but the server's user."""

    def __init__(self, settings: Settings, paths: StatePaths, tasks: Tasks) -> None:
        self._settings = settings
        self._paths = paths
        self._tasks = tasks
        self._runner: web.AppRunner | None = None

    async def start(self) -> None:
        app = web.Application(middlewares=[_problems])
        app.router.add_get("/v1/tasks/{task}/log", self._log)
        app.router.add_delete("/v1/tasks/{task}", self._remove)
        app.router.add_post("/v1/environments", self._build)
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.5)
        await self._runner.setup()
        self._paths.agent_socket.unlink(missing_ok=True)
        await web.UnixSite(self._runner, str(self._paths.agent_socket)).start()
        self._paths.agent_socket.chmod(0o600)

    async def close(self) -> None:
        if self._runner is not None:
            await self._runner.cleanup()

    async def _log(self, request: web.Request) -> web.Response:
        """Bytes of a log from `offset` on; waits up to `wait_s` for the first of them."""
        task_id = request.match_info["task"]
        folder = self._tasks.folder_of(task_id)
        if folder is None:
            raise NotFound(f"task {task_id!r} has never been on this node")
        offset = _number(request, "offset", 0)
        limit = min(_number(request, "limit", _DEFAULT_LIMIT_BYTES), _MAX_LIMIT_BYTES)
        deadline_s = asyncio.get_running_loop().time() + min(
            _number(request, "wait_s", 0.0), _MAX_WAIT_S
        )
        while True:
            # Asked before reading: what is written between the two is read with the next call.
            ended = self._tasks.ended(task_id)
            start, text = folder.read_log(offset, limit)
            if text or ended or asyncio.get_running_loop().time() >= deadline_s:
                break
            await asyncio.sleep(_LOOK_AGAIN_S)
        following = start + len(text)
        all_read = ended and following >= folder.log_end()
        return web.Response(
            body=text,
            headers={
                "X-Log-Offset": str(start),
                "X-Log-Next": str(following),
                "X-Log-Ended": "1" if all_read else "0",
            },
        )

    async def _remove(self, request: web.Request) -> web.Response:
        """Delete what is kept of a task that has ended and is no longer in the orders."""
        task_id = request.match_info["task"]
        folder = self._tasks.folder_of(task_id)
        if folder is not None and task_id not in set(self._tasks):
            await asyncio.to_thread(folder.remove)
        return web.Response(status=204)

    async def _build(self, request: web.Request) -> web.Response:
        from madang.server.environments.builder import build

        try:
            order = from_json(EnvironmentBuild, await request.json())
        except (TypeError, ValueError) as error:
            raise InvalidInput(f"this is not an order to build an environment: {error}") from None
        built = await asyncio.to_thread(build, order, self._settings)
        return web.json_response(dataclasses.asdict(built))


def _number(request: web.Request, name: str, default: N) -> N:
    text = request.query.get(name)
    if text is None:
        return default
    try:
        value = type(default)(text)
    except ValueError:
        value = type(default)(-1)
    if value < 0:
        raise InvalidInput(
            f"{name} can't be {text!r}", field=name, hint="Give a number from 0 on."
        )
    return value


@web.middleware
async def _problems(
    request: web.Request, handler: Callable[[web.Request], Awaitable[web.StreamResponse]]
) -> web.StreamResponse:
    try:
        return await handler(request)
    except MadangError as error:
        return web.json_response(
            error.to_problem(), status=error.status, content_type="application/problem+json"
        )
