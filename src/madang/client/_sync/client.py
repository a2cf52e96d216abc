# Generated from ../_async by scripts/generate_sync_client: change it there.
"""The client: one attribute a resource, loaded when it is first used.

A command uses one or two resources; loading all of them would be most of what it takes.
"""

from __future__ import annotations

from functools import cached_property
from types import TracebackType
from typing import TYPE_CHECKING, Self

import httpx

from madang.client._sync._base import Transport
from madang.client.config import ClientConfig, load_config

if TYPE_CHECKING:
    from madang.client._sync.auth import Auth
    from madang.client._sync.cluster import Cluster
    from madang.client._sync.datasets import Datasets
    from madang.client._sync.endpoints import Endpoints
    from madang.client._sync.environments import Environments
    from madang.client._sync.events import Events
    from madang.client._sync.experiments import Experiments
    from madang.client._sync.files import Files
    from madang.client._sync.folders import Folders
    from madang.client._sync.jobs import Jobs
    from madang.client._sync.limits import Limits
    from madang.client._sync.lineage import Lineage
    from madang.client._sync.models import Models
    from madang.client._sync.nodes import Nodes
    from madang.client._sync.platform import Platform
    from madang.client._sync.projects import Projects
    from madang.client._sync.queues import Queues
    from madang.client._sync.reservations import Reservations
    from madang.client._sync.runs import Runs
    from madang.client._sync.scheduling import Scheduling
    from madang.client._sync.tokens import Tokens
    from madang.client._sync.users import Users
    from madang.client._sync.volumes import Volumes


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
        self._set_up(load_config(url, token, project), transport)

    @classmethod
    def from_config(
        cls, config: ClientConfig, transport: httpx.BaseTransport | None = None
    ) -> Self:
        """A client for exactly this configuration, wherever it comes from."""
        client = cls.__new__(cls)
        client._set_up(config, transport)
        return client

    def _set_up(self, config: ClientConfig, transport: httpx.BaseTransport | None) -> None:
        self.transport = Transport(config, transport)

    @cached_property
    def auth(self) -> Auth:
        from madang.client._sync.auth import Auth

        return Auth(self.transport)

    @cached_property
    def cluster(self) -> Cluster:
        from madang.client._sync.cluster import Cluster

        return Cluster(self.transport)

    @cached_property
    def datasets(self) -> Datasets:
        from madang.client._sync.datasets import Datasets

        return Datasets(self.transport)

    @cached_property
    def endpoints(self) -> Endpoints:
        from madang.client._sync.endpoints import Endpoints

        return Endpoints(self.transport)

    @cached_property
    def environments(self) -> Environments:
        from madang.client._sync.environments import Environments

        return Environments(self.transport)

    @cached_property
    def events(self) -> Events:
        from madang.client._sync.events import Events

        return Events(self.transport)

    @cached_property
    def experiments(self) -> Experiments:
        from madang.client._sync.experiments import Experiments

        return Experiments(self.transport)

    @cached_property
    def files(self) -> Files:
        from madang.client._sync.files import Files

        return Files(self.transport)

    @cached_property
    def folders(self) -> Folders:
        from madang.client._sync.folders import Folders

        return Folders(self.transport)

    @cached_property
    def jobs(self) -> Jobs:
        from madang.client._sync.jobs import Jobs

        return Jobs(self.transport)

    @cached_property
    def limits(self) -> Limits:
        from madang.client._sync.limits import Limits

        return Limits(self.transport)

    @cached_property
    def lineage(self) -> Lineage:
        from madang.client._sync.lineage import Lineage

        return Lineage(self.transport)

    @cached_property
    def models(self) -> Models:
        from madang.client._sync.models import Models

        return Models(self.transport)

    @cached_property
    def nodes(self) -> Nodes:
        from madang.client._sync.nodes import Nodes

        return Nodes(self.transport)

    @cached_property
    def platform(self) -> Platform:
        from madang.client._sync.platform import Platform

        return Platform(self.transport)

    @cached_property
    def projects(self) -> Projects:
        from madang.client._sync.projects import Projects

        return Projects(self.transport)

    @cached_property
    def queues(self) -> Queues:
        from madang.client._sync.queues import Queues

        return Queues(self.transport)

    @cached_property
    def reservations(self) -> Reservations:
        from madang.client._sync.reservations import Reservations

        return Reservations(self.transport)

    @cached_property
    def runs(self) -> Runs:
        from madang.client._sync.runs import Runs

        return Runs(self.transport)

    @cached_property
    def scheduling(self) -> Scheduling:
        from madang.client._sync.scheduling import Scheduling

        return Scheduling(self.transport)

    @cached_property
    def tokens(self) -> Tokens:
        from madang.client._sync.tokens import Tokens

        return Tokens(self.transport)

    @cached_property
    def users(self) -> Users:
        from madang.client._sync.users import Users

        return Users(self.transport)

    @cached_property
    def volumes(self) -> Volumes:
        from madang.client._sync.volumes import Volumes

        return Volumes(self.transport)

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
