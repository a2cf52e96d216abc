"""The client: one attribute a resource, loaded when it is first used.

A command uses one or two resources; loading all of them would be most of what it takes.
"""

from __future__ import annotations

from functools import cached_property
from types import TracebackType
from typing import TYPE_CHECKING, Self

import httpx

from madang.client._async._base import AsyncTransport
from madang.client.config import ClientConfig, load_config

if TYPE_CHECKING:
    from madang.client._async.auth import AsyncAuth
    from madang.client._async.cluster import AsyncCluster
    from madang.client._async.datasets import AsyncDatasets
    from madang.client._async.endpoints import AsyncEndpoints
    from madang.client._async.environments import AsyncEnvironments
    from madang.client._async.events import AsyncEvents
    from madang.client._async.experiments import AsyncExperiments
    from madang.client._async.files import AsyncFiles
    from madang.client._async.folders import AsyncFolders
    from madang.client._async.jobs import AsyncJobs
    from madang.client._async.limits import AsyncLimits
    from madang.client._async.lineage import AsyncLineage
    from madang.client._async.models import AsyncModels
    from madang.client._async.nodes import AsyncNodes
    from madang.client._async.platform import AsyncPlatform
    from madang.client._async.projects import AsyncProjects
    from madang.client._async.queues import AsyncQueues
    from madang.client._async.reservations import AsyncReservations
    from madang.client._async.runs import AsyncRuns
    from madang.client._async.scheduling import AsyncScheduling
    from madang.client._async.tokens import AsyncTokens
    from madang.client._async.users import AsyncUsers
    from madang.client._async.volumes import AsyncVolumes


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

    @cached_property
    def auth(self) -> AsyncAuth:
        from madang.client._async.auth import AsyncAuth

        return AsyncAuth(self.transport)

    @cached_property
    def cluster(self) -> AsyncCluster:
        from madang.client._async.cluster import AsyncCluster

        return AsyncCluster(self.transport)

    @cached_property
    def datasets(self) -> AsyncDatasets:
        from madang.client._async.datasets import AsyncDatasets

        return AsyncDatasets(self.transport)

    @cached_property
    def endpoints(self) -> AsyncEndpoints:
        from madang.client._async.endpoints import AsyncEndpoints

        return AsyncEndpoints(self.transport)

    @cached_property
    def environments(self) -> AsyncEnvironments:
        from madang.client._async.environments import AsyncEnvironments

        return AsyncEnvironments(self.transport)

    @cached_property
    def events(self) -> AsyncEvents:
        from madang.client._async.events import AsyncEvents

        return AsyncEvents(self.transport)

    @cached_property
    def experiments(self) -> AsyncExperiments:
        from madang.client._async.experiments import AsyncExperiments

        return AsyncExperiments(self.transport)

    @cached_property
    def files(self) -> AsyncFiles:
        from madang.client._async.files import AsyncFiles

        return AsyncFiles(self.transport)

    @cached_property
    def folders(self) -> AsyncFolders:
        from madang.client._async.folders import AsyncFolders

        return AsyncFolders(self.transport)

    @cached_property
    def jobs(self) -> AsyncJobs:
        from madang.client._async.jobs import AsyncJobs

        return AsyncJobs(self.transport)

    @cached_property
    def limits(self) -> AsyncLimits:
        from madang.client._async.limits import AsyncLimits

        return AsyncLimits(self.transport)

    @cached_property
    def lineage(self) -> AsyncLineage:
        from madang.client._async.lineage import AsyncLineage

        return AsyncLineage(self.transport)

    @cached_property
    def models(self) -> AsyncModels:
        from madang.client._async.models import AsyncModels

        return AsyncModels(self.transport)

    @cached_property
    def nodes(self) -> AsyncNodes:
        from madang.client._async.nodes import AsyncNodes

        return AsyncNodes(self.transport)

    @cached_property
    def platform(self) -> AsyncPlatform:
        from madang.client._async.platform import AsyncPlatform

        return AsyncPlatform(self.transport)

    @cached_property
    def projects(self) -> AsyncProjects:
        from madang.client._async.projects import AsyncProjects

        return AsyncProjects(self.transport)

    @cached_property
    def queues(self) -> AsyncQueues:
        from madang.client._async.queues import AsyncQueues

        return AsyncQueues(self.transport)

    @cached_property
    def reservations(self) -> AsyncReservations:
        from madang.client._async.reservations import AsyncReservations

        return AsyncReservations(self.transport)

    @cached_property
    def runs(self) -> AsyncRuns:
        from madang.client._async.runs import AsyncRuns

        return AsyncRuns(self.transport)

    @cached_property
    def scheduling(self) -> AsyncScheduling:
        from madang.client._async.scheduling import AsyncScheduling

        return AsyncScheduling(self.transport)

    @cached_property
    def tokens(self) -> AsyncTokens:
        from madang.client._async.tokens import AsyncTokens

        return AsyncTokens(self.transport)

    @cached_property
    def users(self) -> AsyncUsers:
        from madang.client._async.users import AsyncUsers

        return AsyncUsers(self.transport)

    @cached_property
    def volumes(self) -> AsyncVolumes:
        from madang.client._async.volumes import AsyncVolumes

        return AsyncVolumes(self.transport)

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
