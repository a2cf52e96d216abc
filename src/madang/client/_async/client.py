"""The client: one attribute a resource."""

from __future__ import annotations

from types import TracebackType
from typing import Self

import httpx

from madang.client._async._base import AsyncTransport
from madang.client._async.projects import AsyncProjects
from madang.client.config import load_config


class AsyncClient:
    """Talk to a platform: `AsyncClient()` finds it as the command line does.

    `url` and `token` say which one and who; `project` is the one that is meant when a call names
    none. Close it, or use it in a `with` block. Safe to share within one thread.
    """

    def __init__(
        self,
        url: str | None = None,
        token: str | None = None,
        *,
        project: str | None = None,
        transport: httpx.AsyncBaseTransport | None = None,
    ) -> None:
        self.transport = AsyncTransport(load_config(url, token, project), transport)
        self.projects = AsyncProjects(self.transport)

    async def aclose(self) -> None:
        """Close the connections."""
        await self.transport.aclose()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.aclose()
