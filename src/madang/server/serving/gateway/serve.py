"""Running the gateway: made of its parts, listening, until it is told to stop."""

from __future__ import annotations

import asyncio
import gc
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

from aiohttp import web

from madang.core.settings import Settings
from madang.server.paths import StatePaths
from madang.server.serving.gateway.app import Gateway
from madang.server.serving.gateway.auth import Authorizer
from madang.server.serving.gateway.control import ControlClient, Router
from madang.server.serving.gateway.doorkeeper import Doorkeeper
from madang.server.serving.gateway.relay import Upstreams
from madang.server.storage import file_handlers

DRAIN_S = 10.0
"""How long answers that are under way may take when the gateway is told to stop."""

PRUNE_S = 30.0


@asynccontextmanager
async def running_gateway(settings: Settings) -> AsyncIterator[int]:
    """A gateway that listens within the block; the value is its port."""
    paths = StatePaths(settings.state_dir)
    control = ControlClient(paths)
    router = Router(control, paths)
    upstreams = Upstreams()
    authorize = Authorizer(control)
    gateway = Gateway(settings, router, authorize, upstreams)
    app = gateway.application()
    app.router.add_routes(file_handlers.routes(authorize))
    doorkeeper = Doorkeeper()
    app.middlewares.insert(0, doorkeeper.let_in)
    runner = web.AppRunner(
        app,
        access_log=None,
        auto_decompress=False,
        handler_cancellation=True,
        handle_signals=False,
        shutdown_timeout=DRAIN_S,
        keepalive_timeout=75.0,
    )
    await runner.setup()
    site = web.TCPSite(
        runner, settings.host, settings.gateway_port, ssl_context=_tls(settings), backlog=1024
    )
    await site.start()
    assert runner.server is not None
    loops = [
        asyncio.create_task(doorkeeper.run(runner.server)),
        asyncio.create_task(router.run()),
        asyncio.create_task(_prune(router, upstreams)),
    ]
    # What is alive now stays alive: the collector need not look at it again.
    gc.collect()
    gc.freeze()
    try:
        yield _port(runner)
    finally:
        for loop in loops:
            loop.cancel()
        for loop in loops:
            with suppress(asyncio.CancelledError):
                await loop
        await site.stop()
        gateway.websockets.close()
        await runner.cleanup()
        await upstreams.close()
        await control.close()


async def _prune(router: Router, upstreams: Upstreams) -> None:
    while True:
        await router.wait_for_change(PRUNE_S)
        await upstreams.keep_only(router.table)


def _tls(settings: Settings) -> ssl.SSLContext | None:
    if not settings.tls_cert:
        return None
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(settings.tls_cert, settings.tls_key or None)
    return context


def _port(runner: web.AppRunner) -> int:
    port: int = runner.addresses[0][1]
    return port
