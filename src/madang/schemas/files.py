"""Files in folders, and how their names travel.

A name on a file system is bytes; JSON holds text. On the wire a name that is UTF-8 is written as
it is (normal forms are kept, never changed), with two exceptions: a byte that is not part of valid
UTF-8 is written `%XX`, and the percent sign itself `%25`. `to_wire` and `from_wire` are the two
directions; in the path of a URL the ordinary percent-encoding of the bytes is used instead.
"""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Annotated

from annotated_types import MaxLen, MinLen

from madang.core.errors import InvalidInput
from madang.schemas import FORBID_EXTRA

_SURROGATE = re.compile(r"[\udc80-\udcff]")
_ESCAPE = re.compile(rb"%(.{0,2})", re.DOTALL)
_HEX = re.compile(rb"[0-9A-Fa-f]{2}")

MAX_PATH_CHARACTERS = 16_384

WirePath = Annotated[str, MaxLen(MAX_PATH_CHARACTERS)]


def to_wire(path: str | bytes | os.PathLike[str]) -> str:
    """A path as it travels: `to_wire("50%/\\udcff.png")` is `50%25/%FF.png`."""
    text = os.fsdecode(path).replace("%", "%25")
    return _SURROGATE.sub(lambda found: f"%{ord(found[0]) - 0xDC00:02X}", text)


def from_wire(path: str) -> bytes:
    """The bytes of a path that `to_wire` wrote. Raises InvalidInput for what it can't have."""
    try:
        encoded = path.encode()
    except UnicodeEncodeError:
        raise InvalidInput(f"the path {path!r} is not valid text", field="path") from None

    def decode(found: re.Match[bytes]) -> bytes:
        if not _HEX.fullmatch(found[1]):
            raise InvalidInput(
                f"the path {path!r} has a '%' that is not followed by two hexadecimal digits",
                field="path",
                hint="Write a percent sign as %25.",
            )
        return bytes([int(found[1], 16)])

    return _ESCAPE.sub(decode, encoded)


class EntryKind(StrEnum):
    DIRECTORY = "directory"
    FILE = "file"
    SYMLINK = "symlink"
    OTHER = "other"
    """A pipe, socket or device: shown, never opened."""


class EntrySort(StrEnum):
    NAME = "name"
    SIZE = "size"
    MODIFIED = "modified"


@dataclass(frozen=True, slots=True)
class Entry:
    """One thing in a directory; `name` and `path` (from the folder's top) are as on the wire.

    A symbolic link is described itself; `link_target` is what it says.
    """

    name: str
    path: str
    kind: EntryKind
    size: int
    modified_at: datetime
    modified_ns: int
    link_target: str | None = None


@dataclass(frozen=True, slots=True)
class DirectoryCreate:
    __pydantic_config__ = FORBID_EXTRA

    path: Annotated[WirePath, MinLen(1)]


@dataclass(frozen=True, slots=True)
class Move:
    """`target` is the new path itself, not a directory to move into."""

    __pydantic_config__ = FORBID_EXTRA

    source: Annotated[WirePath, MinLen(1)]
    target: Annotated[WirePath, MinLen(1)]
    overwrite: bool = False


@dataclass(frozen=True, slots=True)
class TrashedEntry:
    """Something removed inside a folder, which can still be put back."""

    id: str
    path: str
    kind: EntryKind
    size: int
    removed_at: datetime
    removed_by: str


@dataclass(frozen=True, slots=True)
class UploadPart:
    """Bytes from `start` up to, not including, `end`, with the SHA-256 of what arrived."""

    start: int
    end: int
    sha256: str


@dataclass(frozen=True, slots=True)
class Upload:
    """A resumable upload; `received` are its parts in the order of their places."""

    id: str
    path: str
    size: int
    received: list[UploadPart]


@dataclass(frozen=True, slots=True)
class Stored:
    """What an upload put in place."""

    path: str
    size: int
    files: int = 1
