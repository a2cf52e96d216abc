"""The trash inside a folder: what people removed, until it is put back or purged."""

from __future__ import annotations

import contextlib
import json
import os
from datetime import UTC, datetime

from madang.core.errors import Conflict, NotFound
from madang.core.ids import new_id
from madang.schemas.files import Entry, EntryKind, TrashedEntry, from_wire, to_wire
from madang.server.storage.entries import describe, describe_in
from madang.server.storage.paths import DIRECTORY, translated
from madang.server.storage.place import TRASH, Place, rename_new
from madang.server.storage.removing import remove_tree

_META = b"entry.json"
_ITEM = b"item"


def move_to_trash(place: Place, path: bytes, removed_at: datetime) -> str:
    """Take something out of sight; its id in the trash."""
    entry_id = new_id("trash")
    plain = place.check(path)
    with place.opened_parent(plain) as (parent, name), place.service(TRASH) as trash:
        entry = describe_in(parent, b"", name)
        os.mkdir(entry_id, 0o700, dir_fd=trash)
        slot = os.open(entry_id, DIRECTORY | os.O_NOFOLLOW, dir_fd=trash)
        try:
            meta = {
                "path": to_wire(plain),
                "kind": entry.kind.value,
                "size": entry.size,
                "removed_at": removed_at.timestamp(),
                "removed_by": place.access.user,
            }
            _write_small(slot, _META, json.dumps(meta).encode())
            try:
                os.rename(name, _ITEM, src_dir_fd=parent, dst_dir_fd=slot)
            except OSError:
                os.unlink(_META, dir_fd=slot)
                os.rmdir(entry_id, dir_fd=trash)
                raise
        finally:
            os.close(slot)
    return entry_id


def trashed_entries(place: Place) -> list[TrashedEntry]:
    """What is in the folder's trash, newest first; what a crash left half is passed over."""
    found = []
    with contextlib.suppress(FileNotFoundError), place.service(TRASH, make=False) as trash:
        for entry_id in os.listdir(trash):
            with contextlib.suppress(OSError, ValueError, KeyError, NotFound):
                found.append(_trashed(trash, entry_id))
    return sorted(found, key=lambda entry: entry.removed_at, reverse=True)


def restore_from_trash(place: Place, entry_id: str) -> Entry:
    with place.service(TRASH) as trash:
        slot = _open_slot(trash, entry_id)
        try:
            path = from_wire(_trashed(trash, entry_id).path)
            with (
                translated(path),
                place.opened_parent(path, make=True) as (parent, name),
            ):
                try:
                    rename_new(_ITEM, slot, name, parent)
                except FileExistsError:
                    raise Conflict(
                        f"there is another {to_wire(path)!r} by now",
                        field="path",
                        hint="Move or remove it first.",
                    ) from None
            os.unlink(_META, dir_fd=slot)
        finally:
            os.close(slot)
        os.rmdir(entry_id, dir_fd=trash)
    return describe(place, path)


def purge_entry(place: Place, entry_id: str) -> None:
    """Remove a thing in the trash for good; links in it are removed, never followed."""
    with place.service(TRASH) as trash:
        os.close(_open_slot(trash, entry_id))
        remove_tree(entry_id, dir_fd=trash)


def _write_small(directory: int, name: bytes, content: bytes) -> None:
    descriptor = os.open(name, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600, dir_fd=directory)
    with os.fdopen(descriptor, "wb") as file:
        file.write(content)


def _trashed(trash: int, entry_id: str) -> TrashedEntry:
    slot = _open_slot(trash, entry_id)
    try:
        with os.fdopen(os.open(_META, os.O_RDONLY | os.O_NOFOLLOW, dir_fd=slot), "rb") as file:
            meta = json.load(file)
    finally:
        os.close(slot)
    return TrashedEntry(
        entry_id,
        meta["path"],
        EntryKind(meta["kind"]),
        meta["size"],
        datetime.fromtimestamp(meta["removed_at"], UTC),
        meta["removed_by"],
    )


def _open_slot(trash: int, entry_id: str) -> int:
    if "/" not in entry_id and entry_id.startswith("trash-"):
        with contextlib.suppress(OSError, ValueError):
            return os.open(entry_id, DIRECTORY | os.O_NOFOLLOW, dir_fd=trash)
    raise NotFound(f"there is no {entry_id!r} in this folder's trash", field="entry")
