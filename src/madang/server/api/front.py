"""The front door of control: one address for the API and the portal."""

from __future__ import annotations

import asyncio
import importlib.util
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from importlib import import_module
from typing import Any

import structlog
from fastapi import FastAPI
from starlette.types import ASGIApp, Receive, Scope, Send

from madang.server.api.app import api_roots
from madang.server.api.body_limit import BodyLimit
from madang.server.api.protection import Protection
from madang.server.context import ServerContext

log = structlog.get_logger()

PORTAL_MODULE = "madang.server.portal.app"

_LOAD_AFTER_S = 0.5
"""Who waits for the API to be there comes first."""


class Front:
    """Sends a request to the API when its path begins like one of the API's, else to the portal.

    The portal takes a second to import and loads itself at the first request for a page, or in
    the background while `portal` runs, so that the API answers at once.
    """

    def __init__(self, api: FastAPI, context: ServerContext) -> None:
        self._api: ASGIApp = api
        self._api_roots = api_roots()
        self._pages: ASGIApp = api
        self._portal: Any = None
        if importlib.util.find_spec(PORTAL_MODULE) is not None:
            pages = FastAPI(docs_url=None, redoc_url=None, openapi_url=None)
            pages.state.context = context
            self._portal = import_module(PORTAL_MODULE).mount(pages, context)
            self._pages = Protection(BodyLimit(pages), context.settings)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        wanted = scope["type"] == "lifespan" or first_segment(scope["path"]) in self._api_roots
        await (self._api if wanted else self._pages)(scope, receive, send)

    @asynccontextmanager
    async def portal(self) -> AsyncIterator[None]:
        """Load the portal in the background; close it at the end of the block."""
        if self._portal is None:
            yield
            return
        loading = asyncio.create_task(self._load())
        try:
            yield
        finally:
            loading.cancel()
            with suppress(asyncio.CancelledError):
                await loading
            await self._portal.close()

    async def _load(self) -> None:
        await asyncio.sleep(_LOAD_AFTER_S)
        try:
            await self._portal.load()
        except Exception as error:
            log.error("the portal could not be loaded; the API works", exc_info=error)


def first_segment(path: str) -> str:
    return path.split("/", 2)[1] if "/" in path else ""
