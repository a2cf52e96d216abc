"""Endpoints: models that answer requests, and the tickets that let a browser use them."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Annotated, Any

from annotated_types import Ge, Le, MaxLen

from madang.schemas import FORBID_EXTRA

MAX_REPLICAS = 100


class EndpointState(StrEnum):
    """How an endpoint is. `degraded`: it answers, with fewer replicas than wanted or an older
    revision than wanted; `updating`: it answers while a new revision is brought up."""

    STARTING = "starting"
    READY = "ready"
    UPDATING = "updating"
    DEGRADED = "degraded"
    FAILED = "failed"
    STOPPED = "stopped"
    DELETING = "deleting"


@dataclass(frozen=True, slots=True)
class EndpointRevision:
    """What was deployed at one time: a model version in an environment. `model` is its
    reference, e.g. digits/3; `workload_id` the service that runs it."""

    number: int
    model: str
    model_name: str
    model_version: int
    environment: str
    resources: dict[str, Any]
    replicas: int
    replicas_ready: int
    workload_id: str
    user: str
    created_at: datetime


@dataclass(frozen=True, slots=True)
class Endpoint:
    """A model that answers requests at `url`. `message` says how it is, in words; `revision` is
    the one that is wanted, `serving_revision` the number of the one that answers, None while
    none does."""

    id: str
    name: str
    project: str
    state: EndpointState
    message: str
    url: str
    revision: EndpointRevision
    serving_revision: int | None
    created_at: datetime


@dataclass(frozen=True, slots=True)
class EndpointDeploy:
    """Deploy a model version. `environment` empty takes that of the job that trained it."""

    __pydantic_config__ = FORBID_EXTRA

    name: str
    model: Annotated[str, MaxLen(400)]
    environment: Annotated[str, MaxLen(200)] = ""
    resources: dict[str, str | int | float] = field(default_factory=dict)
    replicas: Annotated[int, Ge(1), Le(MAX_REPLICAS)] = 1
    project: str | None = None


@dataclass(frozen=True, slots=True)
class TicketCreate:
    """Ask for a ticket. `resource` is endpoint, folder or app; `name` its name or id (of an app:
    the task's id). `permission` empty takes the usual one."""

    __pydantic_config__ = FORBID_EXTRA

    resource: Annotated[str, MaxLen(20)]
    name: Annotated[str, MaxLen(400)]
    project: str | None = None
    permission: Annotated[str, MaxLen(50)] = ""
    ttl_s: Annotated[float, Ge(1), Le(300)] = 60.0


@dataclass(frozen=True, slots=True)
class Ticket:
    """Put it on an address of the gateway as `?ticket=`, before `expires_at`."""

    ticket: str
    expires_at: datetime
