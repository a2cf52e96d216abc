"""Resumable uploads on disk: what has arrived, and moving it into place when it is whole.

    staging/UPLOAD/meta     path, size, who, when: JSON
    staging/UPLOAD/data     the file, as large as it will be, with holes where parts are missing
    staging/UPLOAD/ledger   a line for each part that has arrived and was checked: START END SHA256

A part's line is written after its bytes. A server that is killed at any moment loses the parts
that were on their way and nothing else; bytes that the ledger has are never written again, so two
senders of one upload can't mix.
"""

from __future__ import annotations

import contextlib
import hashlib
import itertools
import json
import os
import re
import shutil
import time
from dataclasses import dataclass
from typing import Any

from madang.core.errors import Conflict, InvalidInput, LimitExceeded, NotFound, OutOfSpace
from madang.core.ids import new_id
from madang.core.resources import format_bytes
from madang.schemas.files import from_wire, to_wire
from madang.server.storage.granted import FolderAccess
from madang.server.storage.paths import DIRECTORY, translated
from madang.server.storage.place import STAGING, Place, open_place, rename_new

META = b"meta"
DATA = b"data"
LEDGER = b"ledger"

MAX_FILE_BYTES = 2**62
_READ_BYTES = 2**22
_LINE = re.compile(rb"([0-9]+) ([0-9]+) ([0-9a-f]{64})")


@dataclass(frozen=True, slots=True)
class Part:
    """Bytes from `start` up to, not including, `end`, and their SHA-256."""

    start: int
    end: int
    sha256: str


@dataclass(frozen=True, slots=True)
class UploadState:
    """An upload under way; `parts` in the order of their places, none overlapping."""

    id: str
    path: bytes
    size: int
    modified_ns: int | None
    parts: tuple[Part, ...]

    @property
    def missing_bytes(self) -> int:
        return self.size - sum(part.end - part.start for part in self.parts)


def begin(place: Place, path: bytes, size: int, key: str, modified_ns: int | None) -> UploadState:
    """Start an upload, or find the one of the same person, path, size and `key` again.

    Raises InvalidInput for a bad path or size, LimitExceeded and OutOfSpace when it can't fit.
    """
    plain = place.check(path)
    if not plain:
        raise InvalidInput("a file needs a name", field="path")
    if not 0 <= size <= MAX_FILE_BYTES:
        raise InvalidInput(f"a file can't have {size} bytes", field="size")
    with place.service(STAGING) as staging:
        wanted = {"path": to_wire(plain), "size": size, "key": key, "user": place.access.user}
        promised = 0
        for name in _uploads(staging):
            with contextlib.suppress(OSError, ValueError, KeyError):
                meta = _read_meta(staging, name)
                state = load(place, name)
                if key and all(meta[field] == value for field, value in wanted.items()):
                    return state
                promised += state.missing_bytes
        check_space(place, size, promised)
        upload_id = new_id("upload")
        os.mkdir(upload_id, 0o700, dir_fd=staging)
        slot = os.open(upload_id, DIRECTORY | os.O_NOFOLLOW, dir_fd=staging)
        try:
            with _created(slot, DATA) as data:
                os.truncate(data, size)
            with _created(slot, LEDGER):
                pass
            meta = {**wanted, "modified_ns": modified_ns, "begun_at": time.time()}
            with _created(slot, META) as file:
                os.write(file, json.dumps(meta).encode())
        finally:
            os.close(slot)
    return UploadState(upload_id, plain, size, modified_ns, ())


def load(place: Place, upload_id: str) -> UploadState:
    """What has arrived. Raises NotFound for an upload that was finished, removed or never was."""
    with _opened(place, upload_id) as slot:
        meta = _read_json(slot)
        parts = _read_ledger(slot, meta["size"])
    return UploadState(
        upload_id, from_wire(meta["path"]), meta["size"], meta["modified_ns"], parts
    )


class PartWriter:
    """Writes one part; belongs to one sender. `finish` records it, `close` always follows."""

    def __init__(self, access: FolderAccess, upload_id: str, start: int) -> None:
        with open_place(access) as place:
            self._slot = _open_slot(place, upload_id)
        try:
            self._data = os.open(DATA, os.O_WRONLY | os.O_NOFOLLOW, dir_fd=self._slot)
        except OSError:
            os.close(self._slot)
            raise NotFound(f"upload {upload_id!r} was finished already") from None
        self.start = start
        self.end = start
        self.sha256 = hashlib.sha256()

    def write(self, chunk: bytes) -> None:
        """Put the next bytes in their place. Raises OutOfSpace."""
        with translated(b"this upload"):
            self.end = _write_at(self._data, chunk, self.end)
        self.sha256.update(chunk)

    def finish(self) -> Part:
        """Record that the part is there."""
        part = Part(self.start, self.end, self.sha256.hexdigest())
        line = f"{part.start} {part.end} {part.sha256}\n".encode()
        ledger = os.open(LEDGER, os.O_WRONLY | os.O_APPEND | os.O_NOFOLLOW, dir_fd=self._slot)
        try:
            with translated(b"this upload"):
                os.write(ledger, line)
        finally:
            os.close(ledger)
        return part

    def close(self) -> None:
        os.close(self._data)
        os.close(self._slot)


class NewFile:
    """A file that arrives in one go; belongs to one sender. `close` always follows, and leaves
    no trace of what was not published."""

    def __init__(self, access: FolderAccess, path: bytes, expected_bytes: int) -> None:
        self._path = path
        self._name = os.fsencode(new_id("put"))
        self._size = 0
        with contextlib.ExitStack() as stack:
            self._place = stack.enter_context(open_place(access))
            if not self._place.check(path):
                raise InvalidInput("a file needs a name", field="path")
            check_space(self._place, expected_bytes)
            self._staging = stack.enter_context(self._place.service(STAGING))
            self._data = stack.enter_context(_created(self._staging, self._name))
            self._opened = stack.pop_all()

    def write(self, chunk: bytes) -> None:
        """Add to its end. Raises OutOfSpace."""
        with translated(self._path):
            self._size = _write_at(self._data, chunk, self._size)

    def publish(self, modified_ns: int | None, replace: bool) -> None:
        """Put it in its place. Raises Conflict."""
        publish(
            self._place,
            self._data,
            self._name,
            self._staging,
            self._path,
            modified_ns,
            replace=replace,
        )

    def close(self) -> None:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(self._name, dir_fd=self._staging)
        self._opened.close()


def complete(
    place: Place, upload_id: str, *, sha256: str | None, parts_sha256: str | None
) -> UploadState:
    """Check that everything is there and as it should be, then move it into place at once.

    `sha256` is of the whole file, which is read again for it; `parts_sha256` is of the parts'
    digests one after the other, which costs nothing. Raises Conflict when parts are missing,
    InvalidInput when a checksum differs (the upload then stays, for a look, until it is removed).
    """
    state = load(place, upload_id)
    if state.missing_bytes:
        raise Conflict(
            f"{state.missing_bytes} of {state.size} bytes have not arrived yet",
            hint="Send the missing parts, then complete it again.",
        )
    digests = b"".join(bytes.fromhex(part.sha256) for part in state.parts)
    if parts_sha256 and hashlib.sha256(digests).hexdigest() != parts_sha256.lower():
        raise _differs("the parts' checksum")
    with place.service(STAGING) as staging, _opened(place, upload_id) as slot:
        # Without data it is in its place already: the answer was lost, or this cleaning up.
        with contextlib.suppress(FileNotFoundError):
            data = os.open(DATA, os.O_RDONLY | os.O_NOFOLLOW, dir_fd=slot)
            try:
                if sha256 and _sha256_of(data) != sha256.lower():
                    raise _differs("the checksum")
                publish(place, data, DATA, slot, state.path, state.modified_ns)
            finally:
                os.close(data)
        shutil.rmtree(upload_id, dir_fd=staging, ignore_errors=True)
    return state


def publish(
    place: Place,
    data: int,
    name: bytes,
    directory: int,
    path: bytes,
    modified_ns: int | None,
    *,
    replace: bool = True,
) -> None:
    """Give a whole, open file to its owner, put it on the disk and then into its place.

    Raises Conflict when there is a directory of this name, or anything without `replace`.
    """
    with translated(path), place.opened_parent(path, make=True) as (parent, last):
        place.owner(parent).give(data, place.modes(parent)[1])
        if modified_ns is not None:
            os.utime(data, ns=(modified_ns, modified_ns))
        os.fsync(data)
        try:
            if replace:
                os.rename(name, last, src_dir_fd=directory, dst_dir_fd=parent)
            else:
                rename_new(name, directory, last, parent)
        except IsADirectoryError:
            raise Conflict(f"{to_wire(path)!r} is a directory", field="path") from None
        os.fsync(parent)


def abort(place: Place, upload_id: str) -> None:
    """Forget an upload and what has arrived of it."""
    with place.service(STAGING) as staging:
        os.close(_open_slot(place, upload_id))
        shutil.rmtree(upload_id, dir_fd=staging, ignore_errors=True)


def remove_stale(place: Place, older_than: float) -> int:
    """Remove uploads that nobody touched since `older_than` (seconds since 1970); how many."""
    removed = 0
    with contextlib.suppress(FileNotFoundError), place.service(STAGING, make=False) as staging:
        for name in os.listdir(staging):
            with contextlib.suppress(OSError):
                if _last_touched(staging, name) >= older_than:
                    continue
                if os.stat(name, dir_fd=staging, follow_symlinks=False).st_mode & 0o040000:
                    shutil.rmtree(name, dir_fd=staging)
                else:
                    os.unlink(name, dir_fd=staging)
                removed += 1
    return removed


def check_space(place: Place, size: int, promised: int = 0) -> None:
    """Raises LimitExceeded or OutOfSpace when `size` more bytes can't fit beside those that other
    uploads were `promised`."""
    left = place.access.quota_left_bytes
    if left is not None and size > left - promised:
        raise LimitExceeded(
            f"the folder's quota leaves room for {format_bytes(max(0, left - promised))}, "
            f"this is {format_bytes(size)}",
            hint="Remove files, or ask an administrator for a larger quota.",
        )
    free = os.fstatvfs(place.root)
    if size > free.f_bavail * free.f_frsize:
        raise OutOfSpace(
            f"the disk has {format_bytes(free.f_bavail * free.f_frsize)} left, "
            f"this is {format_bytes(size)}",
            hint="Remove files, empty the trash, or ask for space.",
        )


def _write_at(descriptor: int, chunk: bytes, position: int) -> int:
    """Write all of `chunk`; the position after it."""
    view = memoryview(chunk)
    while view:
        written = os.pwrite(descriptor, view, position)
        position += written
        view = view[written:]
    return position


@contextlib.contextmanager
def _opened(place: Place, upload_id: str) -> Any:
    slot = _open_slot(place, upload_id)
    try:
        yield slot
    finally:
        os.close(slot)


def _open_slot(place: Place, upload_id: str) -> int:
    if upload_id.startswith("upload-") and "/" not in upload_id:
        with (
            contextlib.suppress(OSError, ValueError),
            place.service(STAGING) as staging,
        ):
            return os.open(upload_id, DIRECTORY | os.O_NOFOLLOW, dir_fd=staging)
    raise NotFound(
        f"there is no upload {upload_id!r} in this folder",
        field="upload",
        hint="It was finished, removed, or too old. Start it again.",
    )


def _uploads(staging: int) -> list[str]:
    return [name for name in os.listdir(staging) if name.startswith("upload-")]


def _read_meta(staging: int, name: str) -> dict[str, Any]:
    slot = os.open(name, DIRECTORY | os.O_NOFOLLOW, dir_fd=staging)
    try:
        return _read_json(slot)
    finally:
        os.close(slot)


def _read_json(slot: int) -> dict[str, Any]:
    descriptor = os.open(META, os.O_RDONLY | os.O_NOFOLLOW, dir_fd=slot)
    with os.fdopen(descriptor, "rb") as file:
        meta: dict[str, Any] = json.load(file)
    return meta


def _read_ledger(slot: int, size: int) -> tuple[Part, ...]:
    descriptor = os.open(LEDGER, os.O_RDONLY | os.O_NOFOLLOW, dir_fd=slot)
    with os.fdopen(descriptor, "rb") as file:
        lines = file.read().split(b"\n")[:-1]  # a line that was cut short is none
    # A full disk can cut a line in the middle of the ledger too; the part is then sent again.
    matches = [match for line in lines if (match := _LINE.fullmatch(line))]
    parts = [Part(int(match[1]), int(match[2]), match[3].decode()) for match in matches]
    parts.sort(key=lambda part: part.start)
    for before, after in itertools.pairwise(parts):
        assert before.end <= after.start, "parts of an upload overlap"
    assert not parts or parts[-1].end <= size
    return tuple(parts)


@contextlib.contextmanager
def _created(slot: int, name: bytes) -> Any:
    descriptor = os.open(name, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600, dir_fd=slot)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def _sha256_of(descriptor: int) -> str:
    hashed = hashlib.sha256()
    os.lseek(descriptor, 0, os.SEEK_SET)
    while chunk := os.read(descriptor, _READ_BYTES):
        hashed.update(chunk)
    return hashed.hexdigest()


def _last_touched(staging: int, name: str) -> float:
    times = [os.stat(name, dir_fd=staging, follow_symlinks=False).st_mtime]
    for inner in (META, LEDGER, DATA):
        with contextlib.suppress(OSError):
            path = os.fsencode(name) + b"/" + inner
            times.append(os.stat(path, dir_fd=staging, follow_symlinks=False).st_mtime)
    return max(times)


def _differs(what: str) -> InvalidInput:
    return InvalidInput(
        f"{what} differs: what arrived is not what was sent",
        field="checksum",
        hint="Remove this upload and send the file again.",
    )
