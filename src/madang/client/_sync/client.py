# Generated from ../_async by scripts/generate_sync_client: change it there.
"""The client: one attribute a resource."""

from __future__ import annotations

from types import TracebackType
from typing import Self

import httpx

from madang.client._sync._base import Transport
from madang.client._sync.auth import Auth
from madang.client._sync.datasets import Datasets
from madang.client._sync.endpoints import Endpoints
from madang.client._sync.environments import Environments
from madang.client._sync.events import Events
from madang.client._sync.experiments import Experiments
from madang.client._sync.folders import Folders
from madang.client._sync.jobs import Jobs
from madang.client._sync.lineage import Lineage
from madang.client._sync.models import Models
from madang.client._sync.nodes import Nodes
from madang.client._sync.platform import Platform
from madang.client._sync.projects import Projects
from madang.client._sync.queues import Queues
from madang.client._sync.runs import Runs
from madang.client._sync.tokens import Tokens
from madang.client._sync.users import Users
from madang.client._sync.volumes import Volumes
from madang.client.config import ClientConfig, load_config


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
        self.auth = Auth(self.transport)
        self.queues = Queues(self.transport)
        self.nodes = Nodes(self.transport)
        self.jobs = Jobs(self.transport)
        self.events = Events(self.transport)
        self.datasets = Datasets(self.transport)
        self.endpoints = Endpoints(self.transport)
        self.environments = Environments(self.transport)
        self.experiments = Experiments(self.transport)
        self.folders = Folders(self.transport)
        self.lineage = Lineage(self.transport)
        self.models = Models(self.transport)
        self.platform = Platform(self.transport)
        self.projects = Projects(self.transport)
        self.runs = Runs(self.transport)
        self.tokens = Tokens(self.transport)
        self.users = Users(self.transport)
        self.volumes = Volumes(self.transport)

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
