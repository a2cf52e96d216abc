# Generated from ../_async by scripts/generate_sync_client: change it there.
"""The client: one attribute a resource."""

from __future__ import annotations

from types import TracebackType
from typing import Self

import httpx

from madang.client._sync._base import Transport
from madang.client._sync.projects import Projects
from madang.client.config import load_config


class Client:
    """Talk to a platform: `Client()` finds it as the command line does.

    `url` and `token` say which one and who; `project` is the one that is meant when a call names
    none. Close it, or use it in a `with` block. Safe to share within one thread.
    """

    def __init__(
        self,
        url: str | None = None,
        token: str | None = None,
        *,
        project: str | None = None,
        transport: httpx.BaseTransport | None = None,
    ) -> None:
        self.transport = Transport(load_config(url, token, project), transport)
        self.projects = Projects(self.transport)

    def close(self) -> None:
        """Close the connections."""
        self.transport.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()
