"""Directories and what is in them: one page at a time, also of a hundred thousand entries."""

from __future__ import annotations

import base64
import binascii
import contextlib
import json
import os
import stat
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from madang.core.errors import InvalidInput
from madang.schemas.files import Entry, EntryKind, EntrySort, from_wire, to_wire
from madang.server.storage.granted import SERVICE_NAME
from madang.server.storage.place import Place

_Key = tuple[bool, int, bytes]
"""Directories (False) first, then what it is sorted by, then the name."""


@dataclass(frozen=True, slots=True)
class Listed:
    entries: list[Entry]
    next_cursor: str | None


def list_directory(
    place: Place,
    path: bytes,
    *,
    sort: EntrySort,
    descending: bool,
    limit: int,
    cursor: str | None,
) -> Listed:
    """The page after `cursor`. Only what is shown is looked at closer when sorted by name."""
    plain = place.check(path)
    with place.opened(path) as directory:
        found = _names(place, plain, directory)
        if sort is EntrySort.NAME:
            keyed = [(not is_directory, 0, name) for name, is_directory in found]
        else:
            keyed = _keyed_by_status(directory, found, sort)
        keyed.sort(key=lambda key: key[1:], reverse=descending)
        keyed.sort(key=lambda key: key[0])
        if cursor is not None:
            keyed = _after(keyed, _read_cursor(cursor), descending)
        entries = []
        for _, _, name in keyed[:limit]:
            with contextlib.suppress(FileNotFoundError):
                entries.append(describe_in(directory, plain, name))
    more = len(keyed) > limit
    return Listed(entries, _write_cursor(keyed[limit - 1]) if more else None)


def describe(place: Place, path: bytes) -> Entry:
    """One thing below the top."""
    plain = place.check(path)
    with place.opened_parent(plain) as (parent, name):
        return describe_in(parent, plain.rpartition(b"/")[0], name)


def _names(place: Place, plain: bytes, directory: int) -> list[tuple[bytes, bool]]:
    hidden = SERVICE_NAME if place.access.in_place and not plain else None
    with os.scandir(directory) as entries:
        return [
            (os.fsencode(entry.name), entry.is_dir(follow_symlinks=False))
            for entry in entries
            if entry.name != hidden
        ]


def _keyed_by_status(
    directory: int, found: list[tuple[bytes, bool]], sort: EntrySort
) -> list[_Key]:
    keyed = []
    for name, is_directory in found:
        with contextlib.suppress(FileNotFoundError):
            status = os.stat(name, dir_fd=directory, follow_symlinks=False)
            size = 0 if is_directory else status.st_size
            key = size if sort is EntrySort.SIZE else status.st_mtime_ns
            keyed.append((not is_directory, key, name))
    return keyed


def _after(keyed: list[_Key], last: _Key, descending: bool) -> list[_Key]:
    def is_later(key: _Key) -> bool:
        if key[0] != last[0]:
            return key[0] > last[0]
        return key[1:] < last[1:] if descending else key[1:] > last[1:]

    return [key for key in keyed if is_later(key)]


def _write_cursor(key: _Key) -> str:
    text = json.dumps([key[0], key[1], to_wire(key[2])])
    return base64.urlsafe_b64encode(text.encode()).decode()


def _read_cursor(cursor: str) -> _Key:
    try:
        value: Any = json.loads(base64.urlsafe_b64decode(cursor.encode()))
        is_file, key, name = value
        return bool(is_file), int(key), from_wire(str(name))
    except (binascii.Error, UnicodeError, ValueError, TypeError):
        raise InvalidInput("the cursor is not one that a listing gave", field="cursor") from None


def describe_in(directory: int, parent: bytes, name: bytes) -> Entry:
    """One thing in an open directory whose path is `parent`; a link itself, not its target."""
    status = os.stat(name, dir_fd=directory, follow_symlinks=False)
    kind = _kind(status.st_mode)
    target = None
    if kind is EntryKind.SYMLINK:
        target = to_wire(os.readlink(name, dir_fd=directory))
    return Entry(
        name=to_wire(name),
        path=to_wire(parent + b"/" + name if parent else name),
        kind=kind,
        size=0 if kind is EntryKind.DIRECTORY else status.st_size,
        modified_at=datetime.fromtimestamp(_plausible(status.st_mtime), UTC),
        modified_ns=status.st_mtime_ns,
        link_target=target,
    )


def _plausible(seconds: float) -> float:
    """Files can claim years that a date can't have."""
    return min(max(seconds, 0.0), 253_402_300_799.0)


def _kind(mode: int) -> EntryKind:
    if stat.S_ISDIR(mode):
        return EntryKind.DIRECTORY
    if stat.S_ISREG(mode):
        return EntryKind.FILE
    return EntryKind.SYMLINK if stat.S_ISLNK(mode) else EntryKind.OTHER
