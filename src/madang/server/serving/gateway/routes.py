"""Where things are: the routing table, and its signed copy on disk.

Control makes the table; the gateway asks for it by long poll and keeps the last one in a file, so
that it can route after its own restart while control is away. The file is signed with the secret
that the two share: a file that somebody else wrote is not believed.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import os
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any


@dataclass(frozen=True, slots=True)
class Replica:
    """A ready process: its task and the Unix socket that reaches its app."""

    task_id: str
    socket: str


@dataclass(frozen=True, slots=True)
class EndpointRoute:
    """An endpoint. `message` says why, when no replica is ready."""

    id: str
    name: str
    project_id: str
    project: str
    replicas: tuple[Replica, ...] = ()
    message: str = ""


@dataclass(frozen=True, slots=True)
class AppRoute:
    """The app of a task, by the task's id."""

    task_id: str
    project_id: str
    socket: str


@dataclass(frozen=True, slots=True)
class RouteTable:
    """All of it. `revision` is a digest of the rest: equal tables have equal revisions."""

    endpoints: tuple[EndpointRoute, ...] = ()
    apps: tuple[AppRoute, ...] = ()
    revision: str = field(init=False, default="")
    _endpoints: dict[str, EndpointRoute] = field(init=False, repr=False, compare=False)
    _apps: dict[str, AppRoute] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        content = json.dumps(self._content(), sort_keys=True).encode()
        object.__setattr__(self, "revision", hashlib.sha256(content).hexdigest()[:16])
        object.__setattr__(self, "_endpoints", {route.id: route for route in self.endpoints})
        object.__setattr__(self, "_apps", {route.task_id: route for route in self.apps})

    def endpoint(self, endpoint_id: str) -> EndpointRoute | None:
        return self._endpoints.get(endpoint_id)

    def app(self, task_id: str) -> AppRoute | None:
        return self._apps.get(task_id)

    def sockets(self) -> set[str]:
        """Every socket that may be connected to."""
        replicas = (replica.socket for route in self.endpoints for replica in route.replicas)
        return {*replicas, *(app.socket for app in self.apps)}

    def to_json(self) -> dict[str, Any]:
        return {"revision": self.revision, **self._content()}

    @classmethod
    def from_json(cls, value: dict[str, Any]) -> RouteTable:
        return cls(
            endpoints=tuple(_endpoint(item) for item in value["endpoints"]),
            apps=tuple(AppRoute(**item) for item in value["apps"]),
        )

    def _content(self) -> dict[str, Any]:
        return {
            "endpoints": [asdict(route) for route in self.endpoints],
            "apps": [asdict(route) for route in self.apps],
        }


def _endpoint(value: dict[str, Any]) -> EndpointRoute:
    replicas = tuple(Replica(**replica) for replica in value["replicas"])
    return EndpointRoute(**{**value, "replicas": replicas})


def save_routes(path: Path, table: RouteTable, key: bytes) -> None:
    """Write the table with its signature, whole or not at all."""
    content = json.dumps(table.to_json())
    temporary = path.with_suffix(".new")
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w") as file:
        json.dump({"signature": _signature(content, key), "routes": content}, file)
    temporary.replace(path)


def load_routes(path: Path, key: bytes) -> RouteTable | None:
    """The table kept in `path`; None when there is none or it was not signed with `key`."""
    try:
        stored = json.loads(path.read_bytes())
        content, signature = stored["routes"], stored["signature"]
        if not hmac.compare_digest(signature.encode(), _signature(content, key).encode()):
            return None
        return RouteTable.from_json(json.loads(content))
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None


def _signature(content: str, key: bytes) -> str:
    return hmac.new(key, content.encode(), hashlib.sha256).hexdigest()
