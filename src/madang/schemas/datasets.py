"""Datasets, their versions and views. Names of classes and files are as on the wire (files.py)."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import Annotated

from annotated_types import Ge, Gt, Le, Len, Lt, MaxLen

from madang.schemas import FORBID_EXTRA
from madang.schemas.files import WirePath


@dataclass(frozen=True, slots=True)
class DatasetClass:
    name: str
    count: int
    num_bytes: int


@dataclass(frozen=True, slots=True)
class SizeSpread:
    """Of single files, in bytes."""

    min: int
    median: int
    max: int


@dataclass(frozen=True, slots=True)
class VersionReport:
    """What a version holds.

    `imbalance` is the largest class divided by the smallest. `formats` counts files by suffix.
    `skipped` counts what was passed over (hidden, symlink, other, unreadable). `stable`: nothing
    changed while the files were listed. `listed_with`: `native`, or `python` where madang-native
    is missing.
    """

    classes: list[DatasetClass]
    unlabelled: int
    imbalance: float | None
    sizes: SizeSpread
    formats: dict[str, int]
    skipped: dict[str, int]
    errors: list[str]
    stable: bool
    listed_with: str


@dataclass(frozen=True, slots=True)
class DatasetVersion:
    """`ref` is what a job asks for. A version never changes; `digest` is of what it lists."""

    id: str
    dataset: str
    number: int
    ref: str
    digest: str
    num_items: int
    total_bytes: int
    created_by: str
    created_at: datetime
    report: VersionReport


@dataclass(frozen=True, slots=True)
class DatasetView:
    """A named part of every version: those whose place in the split (0 to 1) is in the range."""

    id: str
    name: str
    seed: int
    start: float
    end: float
    created_at: datetime


@dataclass(frozen=True, slots=True)
class Dataset:
    """`folder` (PROJECT/NAME) and `path` in it are where its files are; `latest` its newest
    version."""

    id: str
    name: str
    project: str
    folder: str
    path: str
    description: str
    created_by: str
    created_at: datetime
    views: list[DatasetView] = field(default_factory=list)
    latest: DatasetVersion | None = None


@dataclass(frozen=True, slots=True)
class DatasetCreate:
    """`save`: make version 1 at once."""

    __pydantic_config__ = FORBID_EXTRA

    name: str
    folder: str
    path: WirePath = ""
    project: str | None = None
    description: Annotated[str, MaxLen(2000)] = ""
    save: bool = True


@dataclass(frozen=True, slots=True)
class HoldOut:
    """Split a dataset in two views: `name` gets this `fraction` of it, `rest` the others."""

    __pydantic_config__ = FORBID_EXTRA

    name: Annotated[str, Len(1, 63)] = "test"
    fraction: Annotated[float, Gt(0), Lt(1)] = 0.2
    rest: Annotated[str, Len(1, 63)] = "train"
    seed: Annotated[int, Ge(0), Le(2**63 - 1)] = 0


@dataclass(frozen=True, slots=True)
class DatasetItem:
    """One file of a version; `label` is its class."""

    path: str
    size: int
    label: str | None
