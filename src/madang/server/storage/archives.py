"""Directories as tar streams: out of a folder, and into one."""

from __future__ import annotations

import contextlib
import io
import os
import posixpath
import shutil
import stat
import tarfile
from collections.abc import Iterator
from dataclasses import dataclass
from typing import IO, Any, cast

from madang.core.errors import Conflict, InvalidInput, LimitExceeded
from madang.core.ids import new_id
from madang.core.resources import format_bytes
from madang.schemas.files import Stored, to_wire
from madang.server.storage.granted import SERVICE_NAME
from madang.server.storage.paths import DIRECTORY, translated
from madang.server.storage.place import STAGING, Place
from madang.server.storage.sync import sync_file_system
from madang.server.tars import SafeTarInfo

MAX_MEMBERS = 1_000_000
MAX_NAMES_BYTES = 2**28
"""Of one archive: what is unpacked is remembered until all of it is there."""

_COPY_BYTES = 2**18


def write_tar(place: Place, path: bytes, sink: IO[bytes]) -> None:
    """Write everything below a directory as a PAX tar; names start from that directory.

    Links are written as links and not followed; pipes, sockets and devices are left out, as is
    what vanishes meanwhile. Raises OSError when a file shrinks while it is read: the stream can't
    go on then, and its reader sees that it has no end.
    """
    hidden = SERVICE_NAME if place.access.in_place and not place.check(path) else None
    with (
        place.opened(path) as top,
        tarfile.open(
            fileobj=sink,
            mode="w|",
            format=tarfile.PAX_FORMAT,
            encoding="utf-8",
            errors="surrogateescape",
            bufsize=_COPY_BYTES,
        ) as archive,
    ):
        for name, directory, is_directory in _walk(top, hidden):
            with contextlib.suppress(FileNotFoundError):
                _add(archive, name, directory, is_directory)


def extract_tar(place: Place, path: bytes, source: IO[bytes]) -> Stored:
    """Unpack a tar below a directory of the folder, replacing files of the same name.

    All of it is unpacked out of sight first and moved into place only when the whole stream is
    there and good: an error or a cut connection leaves nothing behind. Then each file appears
    whole, one after the other. Raises InvalidInput for a stream that is no tar and for entries
    that are neither files, directories nor links inside, LimitExceeded, OutOfSpace, Conflict.
    """
    target = place.check(path)
    left = place.access.quota_left_bytes
    slot_name = new_id("tar")
    with place.service(STAGING) as staging:
        os.mkdir(slot_name, 0o700, dir_fd=staging)
        slot = os.open(slot_name, DIRECTORY | os.O_NOFOLLOW, dir_fd=staging)
        try:
            with translated(b"this archive"):
                members = _unpack(source, slot, target, left)
                sync_file_system(slot)
            _place_all(place, slot, members)
        finally:
            os.close(slot)
            shutil.rmtree(slot_name, dir_fd=staging, ignore_errors=True)
    files = [member for member in members if member.kind == tarfile.REGTYPE]
    return Stored(to_wire(target), sum(member.size for member in files), len(files))


@dataclass(frozen=True, slots=True)
class _Member:
    """Something unpacked: `path` is below the folder's top, `link` what a link says."""

    kind: bytes
    path: bytes
    size: int
    executable: bool
    mtime_ns: int
    link: bytes = b""


def _unpack(source: IO[bytes], slot: int, target: bytes, quota_left: int | None) -> list[_Member]:
    members: list[_Member] = []
    total = names = 0
    tail = _Tail(source)
    try:
        with tarfile.open(
            fileobj=cast(IO[bytes], tail),  # it has the one method that is used
            mode="r|",
            tarinfo=SafeTarInfo,
            encoding="utf-8",
            errors="surrogateescape",
        ) as archive:
            for entry in archive:
                member = _member(entry, target)
                if member is None:
                    continue
                total += member.size
                names += len(member.path) + len(member.link)
                if len(members) >= MAX_MEMBERS or names > MAX_NAMES_BYTES:
                    raise LimitExceeded(
                        f"the archive holds more than {MAX_MEMBERS} files, folders and links, or "
                        f"names of more than {format_bytes(MAX_NAMES_BYTES)}",
                        hint="Send it as several archives.",
                    )
                if quota_left is not None and total > quota_left:
                    raise LimitExceeded(
                        f"the folder's quota leaves room for {format_bytes(quota_left)}, "
                        "this archive holds more",
                        hint="Remove files, or ask an administrator for a larger quota.",
                    )
                if member.kind == tarfile.REGTYPE:
                    content = archive.extractfile(entry)
                    assert content is not None
                    _write(slot, len(members), content, member)
                members.append(member)
                # The stream is read once: keeping its entries would only cost memory.
                cast(Any, archive).members = []
    except tarfile.TarError as error:
        raise InvalidInput(f"the archive can't be read: {error}", field="body") from None
    tail.require_end()
    return members


class _Tail:
    """Remembers the last block: tarfile takes a stream that is cut between entries for whole."""

    def __init__(self, source: IO[bytes]) -> None:
        self._source = source
        self._last = b""

    def read(self, size: int) -> bytes:
        found = self._source.read(size)
        self._last = (self._last + found)[-tarfile.BLOCKSIZE :]
        return found

    def require_end(self) -> None:
        """Read what is left. Raises InvalidInput unless the archive has its end mark."""
        while self.read(_COPY_BYTES):
            pass
        if self._last != bytes(tarfile.BLOCKSIZE):
            raise InvalidInput("the archive ends too early", field="body")


def _member(entry: tarfile.TarInfo, target: bytes) -> _Member | None:
    """The entry as it will be placed; None for the top itself."""
    shown = to_wire(entry.name)
    name = os.fsencode(entry.name)
    parts = [part for part in name.split(b"/") if part not in (b"", b".")]
    if name.startswith(b"/") or b".." in parts or any(len(part) > 255 for part in parts):
        raise InvalidInput(
            f"the archive holds {shown[:200]!r}, which would leave the folder or is too long",
            field="body",
        )
    if not parts:
        return None
    path = b"/".join([*([target] if target else []), *parts])
    mtime_ns = _mtime_ns(entry)
    if entry.isdir():
        return _Member(tarfile.DIRTYPE, path, 0, False, mtime_ns)
    if entry.isreg():
        return _Member(
            tarfile.REGTYPE, path, entry.size, bool(entry.mode & stat.S_IXUSR), mtime_ns
        )
    if entry.issym() and _stays_inside(path, os.fsencode(entry.linkname)):
        return _Member(tarfile.SYMTYPE, path, 0, False, mtime_ns, os.fsencode(entry.linkname))
    raise InvalidInput(
        f"the archive holds {shown!r}, which is neither a file, a directory nor a link inside",
        field="body",
        hint="Pack without devices, hard links and links that lead elsewhere.",
    )


def _mtime_ns(entry: tarfile.TarInfo) -> int:
    """The exact time where the archive has it; tarfile itself rounds to a float."""
    seconds, _, fraction = entry.pax_headers.get("mtime", "").partition(".")
    if seconds.isdigit() and len(seconds) < 11 and (fraction.isdigit() or not fraction):
        return int(seconds) * 10**9 + int((fraction + "0" * 9)[:9])
    return int(min(max(entry.mtime, 0), 2**33)) * 10**9


def _stays_inside(path: bytes, link: bytes) -> bool:
    if not link or link.startswith(b"/") or b"\0" in link:
        return False
    reached = posixpath.normpath(posixpath.join(posixpath.dirname(path), link))
    return reached != b".." and not reached.startswith(b"../")


def _write(slot: int, number: int, content: IO[bytes], member: _Member) -> None:
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
    descriptor = os.open(str(number), flags, 0o600, dir_fd=slot)
    try:
        while chunk := content.read(_COPY_BYTES):
            view = memoryview(chunk)
            while view:
                view = view[os.write(descriptor, view) :]
        os.utime(descriptor, ns=(member.mtime_ns, member.mtime_ns))
    finally:
        os.close(descriptor)


def _place_all(place: Place, slot: int, members: list[_Member]) -> None:
    """Move what was unpacked into the folder; directories are opened once for all in them."""
    open_parents: dict[bytes, int] = {}
    try:
        for number, member in enumerate(members):
            with translated(member.path):
                if member.kind == tarfile.DIRTYPE:
                    place.make_directories(member.path)
                    continue
                parent, _, name = member.path.rpartition(b"/")
                if parent not in open_parents:
                    if len(open_parents) >= 128:
                        os.close(open_parents.pop(next(iter(open_parents))))
                    place.make_directories(parent)
                    with place.opened(parent) as opened:
                        open_parents[parent] = os.dup(opened)
                _place(place, slot, number, member, open_parents[parent], name)
        for descriptor in open_parents.values():
            os.fsync(descriptor)
    finally:
        for descriptor in open_parents.values():
            os.close(descriptor)


def _place(
    place: Place, slot: int, number: int, member: _Member, parent: int, name: bytes
) -> None:
    owner, file_mode = place.owner(parent), place.modes(parent)[1]
    temporary = str(number)
    if member.kind == tarfile.SYMTYPE:
        os.symlink(member.link, temporary, dir_fd=slot)
        if owner.uid is not None or owner.gid is not None:
            uid = -1 if owner.uid is None else owner.uid
            gid = -1 if owner.gid is None else owner.gid
            os.chown(temporary, uid, gid, dir_fd=slot, follow_symlinks=False)
    else:
        descriptor = os.open(temporary, os.O_RDONLY | os.O_NOFOLLOW, dir_fd=slot)
        try:
            # Who may read may execute, when the archive says that it can be executed.
            executable = (file_mode & 0o444) >> 2 if member.executable else 0
            owner.give(descriptor, file_mode | executable)
        finally:
            os.close(descriptor)
    try:
        os.rename(temporary, name, src_dir_fd=slot, dst_dir_fd=parent)
    except IsADirectoryError:
        raise Conflict(f"{to_wire(member.path)!r} is a directory", field="path") from None


def _walk(top: int, hidden: str | None, prefix: str = "") -> Iterator[tuple[str, int, bool]]:
    """`(name, open directory, is a directory)` of everything below, in the order of names."""
    with os.scandir(top) as entries:
        found = sorted((entry.name, entry.is_dir(follow_symlinks=False)) for entry in entries)
    for name, is_directory in found:
        if name == hidden:
            continue
        yield prefix + name, top, is_directory
        if is_directory:
            try:
                below = os.open(name, DIRECTORY | os.O_NOFOLLOW, dir_fd=top)
            except OSError:
                continue  # it went away, or is no directory any more
            try:
                yield from _walk(below, None, f"{prefix}{name}/")
            finally:
                os.close(below)


def _add(archive: tarfile.TarFile, path: str, directory: int, is_directory: bool) -> None:
    name = path.rpartition("/")[2]
    status = os.stat(name, dir_fd=directory, follow_symlinks=False)
    entry = tarfile.TarInfo(path)
    seconds, fraction = divmod(max(status.st_mtime_ns, 0), 10**9)
    entry.pax_headers = {"mtime": f"{seconds}.{fraction:09d}"}
    entry.mode = stat.S_IMODE(status.st_mode) & 0o777
    if is_directory:
        entry.type = tarfile.DIRTYPE
        archive.addfile(entry)
    elif stat.S_ISLNK(status.st_mode):
        entry.type = tarfile.SYMTYPE
        entry.linkname = os.readlink(name, dir_fd=directory)
        archive.addfile(entry)
    elif stat.S_ISREG(status.st_mode):
        flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
        with io.FileIO(os.open(name, flags, dir_fd=directory)) as content:
            opened = os.fstat(content.fileno())
            if stat.S_ISREG(opened.st_mode):
                entry.size = opened.st_size
                archive.addfile(entry, content)
