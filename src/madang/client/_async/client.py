"""The client: one attribute a resource."""

from __future__ import annotations

from types import TracebackType
from typing import Self

import httpx

from madang.client._async._base import AsyncTransport
from madang.client._async.auth import AsyncAuth
from madang.client._async.datasets import AsyncDatasets
from madang.client._async.endpoints import AsyncEndpoints
from madang.client._async.environments import AsyncEnvironments
from madang.client._async.events import AsyncEvents
from madang.client._async.experiments import AsyncExperiments
from madang.client._async.folders import AsyncFolders
from madang.client._async.jobs import AsyncJobs
from madang.client._async.lineage import AsyncLineage
from madang.client._async.models import AsyncModels
from madang.client._async.nodes import AsyncNodes
from madang.client._async.platform import AsyncPlatform
from madang.client._async.projects import AsyncProjects
from madang.client._async.queues import AsyncQueues
from madang.client._async.runs import AsyncRuns
from madang.client._async.tokens import AsyncTokens
from madang.client._async.users import AsyncUsers
from madang.client._async.volumes import AsyncVolumes
from madang.client.config import ClientConfig, load_config


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
        self._set_up(load_config(url, token, project), transport)

    @classmethod
    def from_config(
        cls, config: ClientConfig, transport: httpx.AsyncBaseTransport | None = None
    ) -> Self:
        """A client for exactly this configuration, wherever it comes from."""
        client = cls.__new__(cls)
        client._set_up(config, transport)
        return client

    def _set_up(self, config: ClientConfig, transport: httpx.AsyncBaseTransport | None) -> None:
        self.transport = AsyncTransport(config, transport)
        self.auth = AsyncAuth(self.transport)
        self.queues = AsyncQueues(self.transport)
        self.nodes = AsyncNodes(self.transport)
        self.jobs = AsyncJobs(self.transport)
        self.events = AsyncEvents(self.transport)
        self.datasets = AsyncDatasets(self.transport)
        self.endpoints = AsyncEndpoints(self.transport)
        self.environments = AsyncEnvironments(self.transport)
        self.experiments = AsyncExperiments(self.transport)
        self.folders = AsyncFolders(self.transport)
        self.lineage = AsyncLineage(self.transport)
        self.models = AsyncModels(self.transport)
        self.platform = AsyncPlatform(self.transport)
        self.projects = AsyncProjects(self.transport)
        self.runs = AsyncRuns(self.transport)
        self.tokens = AsyncTokens(self.transport)
        self.users = AsyncUsers(self.transport)
        self.volumes = AsyncVolumes(self.transport)

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
