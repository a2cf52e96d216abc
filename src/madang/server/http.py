"""Serving HTTP: uvicorn around the application, and loops beside it."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager, nullcontext, suppress
from typing import Any

import structlog
import uvicorn

from madang.core.settings import Settings
from madang.server.context import ServerContext

log = structlog.get_logger()

_GRACE_S = 2
_LONGEST_PAUSE_S = 30.0


class _Server(uvicorn.Server):
    """uvicorn without its signal handlers: whoever runs it decides when it ends."""

    def capture_signals(self) -> Any:
        return nullcontext()


@asynccontextmanager
async def serve(
    app: Any, listeners: Sequence[socket.socket], settings: Settings
) -> AsyncIterator[None]:
    """Answer requests for the length of the block; at its end requests in progress have 2 s.

    TLS, when there is a certificate, is for TCP alone: the Unix socket is private already.
    """
    servers = [_Server(_config(app, listener, settings)) for listener in listeners]
    async with asyncio.TaskGroup() as group:
        for server, listener in zip(servers, listeners, strict=True):
            group.create_task(server.serve(sockets=[listener]))
        while not all(server.started for server in servers):
            await asyncio.sleep(0.01)
        try:
            yield
        finally:
            for server in servers:
                server.should_exit = True


def _config(app: Any, listener: socket.socket, settings: Settings) -> uvicorn.Config:
    tls = settings.tls_cert and listener.family != socket.AF_UNIX
    return uvicorn.Config(
        app,
        lifespan="off",
        log_level="warning",
        access_log=False,
        server_header=False,
        proxy_headers=settings.behind_proxy,
        forwarded_allow_ips="*",
        timeout_graceful_shutdown=_GRACE_S,
        ssl_certfile=settings.tls_cert if tls else None,
        ssl_keyfile=settings.tls_key if tls else None,
    )


@asynccontextmanager
async def running_tasks(
    context: ServerContext, loops: Sequence[Callable[[ServerContext], Awaitable[None]]]
) -> AsyncIterator[None]:
    """Run `loops` for the length of the block; one that fails is logged and started again."""
    tasks = [asyncio.create_task(_keep_running(loop, context)) for loop in loops]
    try:
        yield
    finally:
        for task in tasks:
            task.cancel()
        for task in tasks:
            with suppress(asyncio.CancelledError):
                await task


async def _keep_running(
    loop: Callable[[ServerContext], Awaitable[None]], context: ServerContext
) -> None:
    pause_s = 1.0
    while True:
        started = context.clock.monotonic()
        try:
            await loop(context)
            return
        except Exception as error:
            log.error("a loop failed and is started again", loop=loop.__module__, exc_info=error)
        if context.clock.monotonic() - started > _LONGEST_PAUSE_S:
            pause_s = 1.0
        await asyncio.sleep(pause_s)
        pause_s = min(pause_s * 2, _LONGEST_PAUSE_S)
