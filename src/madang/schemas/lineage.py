"""Lineage: what was made from what."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum


class LineageKind(StrEnum):
    """The links of the chain, in its order."""

    DATASET_VERSION = "dataset_version"
    JOB = "job"
    RUN = "run"
    MODEL_VERSION = "model_version"
    ENDPOINT = "endpoint"


@dataclass(frozen=True, slots=True)
class LineageNode:
    """A link of the chain. `name` is how people and commands call it (digits@1, digits/3);
    `environment` is a job's, e.g. vision@2; `state` a job's, run's or endpoint's."""

    kind: LineageKind
    id: str
    name: str
    project: str
    user: str
    at: datetime
    state: str = ""
    environment: str = ""


@dataclass(frozen=True, slots=True)
class LineageEdge:
    """`target` was made from `source`; both are ids of nodes. `ref` is how it was asked for."""

    source: str
    target: str
    ref: str = ""


@dataclass(frozen=True, slots=True)
class LineageChain:
    """All that `subject` (an id) was made from, and all that was made from it.

    `nodes` are in the order of the chain, oldest first. `truncated`: there is more than shown.
    """

    subject: str
    nodes: list[LineageNode] = field(default_factory=list)
    edges: list[LineageEdge] = field(default_factory=list)
    truncated: bool = False
