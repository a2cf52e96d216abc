"""Folders, who may use them, and the volumes they live on."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Annotated, Literal

from annotated_types import Ge, Le, MaxLen, MinLen

from madang.schemas import FORBID_EXTRA


class FolderAccessLevel(StrEnum):
    """What somebody may do in a folder; each includes the ones before it."""

    NONE = "none"
    READ_ONLY = "read-only"
    READ_WRITE = "read-write"
    MANAGE = "manage"
    """Rename, share and trash it: its owner and the project's maintainers."""

    @property
    def rank(self) -> int:
        return list(FolderAccessLevel).index(self)

    def includes(self, other: FolderAccessLevel) -> bool:
        return self.rank >= other.rank


GrantLevel = Literal["read-only", "read-write"]


@dataclass(frozen=True, slots=True)
class Quota:
    """`enforced`: the file system refuses what goes over. `measured`: uploads are checked, tasks
    can go over until the next measurement."""

    limit_bytes: int
    mode: Literal["enforced", "measured"]


@dataclass(frozen=True, slots=True)
class Usage:
    """As of `measured_at`."""

    num_bytes: int
    num_files: int
    measured_at: datetime


@dataclass(frozen=True, slots=True)
class Folder:
    """`access` is the asking person's; `files_url` is where its files are reached (uploads,
    downloads). `in_place`: a directory that was there before, registered by an administrator."""

    id: str
    name: str
    project: str
    owner: str
    volume: str
    description: str
    access: FolderAccessLevel
    read_only: bool
    in_place: bool
    files_url: str
    created_at: datetime
    quota: Quota | None = None
    usage: Usage | None = None
    trashed_at: datetime | None = None
    location: str | None = None
    """Its path on the nodes; shown to administrators."""


@dataclass(frozen=True, slots=True)
class FolderCreate:
    """`share` is what the project's members may do in it."""

    __pydantic_config__ = FORBID_EXTRA

    name: str
    project: str | None = None
    description: Annotated[str, MaxLen(2000)] = ""
    share: Literal["none", "read-only", "read-write"] = "read-write"


@dataclass(frozen=True, slots=True)
class FolderRegister:
    """Use a directory that exists, where it is.

    `identity`: `mapped` when its file system takes this platform's user ids, `single` when all on
    it belongs to one (a NAS that squashes them).
    """

    __pydantic_config__ = FORBID_EXTRA

    path: Annotated[str, MinLen(1), MaxLen(4096)]
    name: str | None = None
    project: str | None = None
    description: Annotated[str, MaxLen(2000)] = ""
    read_only: bool = True
    identity: Literal["mapped", "single"] = "mapped"
    share: Literal["none", "read-only", "read-write"] = "read-only"


@dataclass(frozen=True, slots=True)
class FolderChange:
    __pydantic_config__ = FORBID_EXTRA

    name: str | None = None
    description: Annotated[str, MaxLen(2000)] | None = None


@dataclass(frozen=True, slots=True)
class FolderRestore:
    __pydantic_config__ = FORBID_EXTRA

    name: str | None = None


@dataclass(frozen=True, slots=True)
class QuotaSet:
    """`limit_bytes` None lifts the quota."""

    __pydantic_config__ = FORBID_EXTRA

    limit_bytes: Annotated[int, Ge(1), Le(2**62)] | None


@dataclass(frozen=True, slots=True)
class Grant:
    """Who (a person or all members of a project) may do what."""

    kind: Literal["user", "project"]
    name: str
    access: GrantLevel
    created_at: datetime


@dataclass(frozen=True, slots=True)
class GrantSet:
    """`access` None takes the grant away."""

    __pydantic_config__ = FORBID_EXTRA

    kind: Literal["user", "project"]
    name: str
    access: GrantLevel | None


@dataclass(frozen=True, slots=True)
class Volume:
    """`kind` is how it is used (path, btrfs, xfs, ext4), `abilities` what it can do; sizes are of
    the whole file system and missing when it does not answer."""

    id: str
    name: str
    kind: str
    abilities: list[str]
    identity: Literal["mapped", "single"]
    in_place: bool
    created_at: datetime
    total_bytes: int | None = None
    free_bytes: int | None = None
    location: str | None = None
