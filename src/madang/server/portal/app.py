"""Hangs the portal below the API's application; loads it after the server is ready.

NiceGUI takes a second to import. So the API answers first, and the portal is loaded in the
background, or by the first request for a page, whichever comes first.
"""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack
from pathlib import Path

from fastapi import FastAPI
from starlette.exceptions import HTTPException
from starlette.staticfiles import StaticFiles
from starlette.types import ASGIApp, Receive, Scope, Send

from madang.server.context import ServerContext

STATIC = Path(__file__).parent / "static"
NOT_PAGES = ("/api/", "/internal/")
"""Unknown paths below these are errors of a program, not pages of a person."""


class Portal:
    """An ASGI application that loads itself at its first request, or by `load`."""

    def __init__(self, context: ServerContext) -> None:
        self._context = context
        self._loading = asyncio.Lock()
        self._app: ASGIApp | None = None
        self._running = AsyncExitStack()

    async def load(self) -> ASGIApp:
        async with self._loading:
            if self._app is None:
                host = await asyncio.to_thread(_create_host, self._context)
                await self._running.enter_async_context(host.router.lifespan_context(host))
                self._app = host
            return self._app

    async def close(self) -> None:
        await self._running.aclose()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["path"].startswith(NOT_PAGES):
            raise HTTPException(404)
        await (await self.load())(scope, receive, send)


def mount(app: FastAPI, context: ServerContext) -> Portal:
    """Put the portal under every path that the API leaves; the caller loads and closes it."""
    portal = Portal(context)
    app.mount("/portal-static", StaticFiles(directory=STATIC))
    app.mount("/", portal)
    return portal


def _create_host(context: ServerContext) -> FastAPI:
    from madang.server.portal import pages

    return pages.create_host(context)
