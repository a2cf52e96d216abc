"""The near end of uploads and downloads: local files, archives in memory, what is done so far."""

from __future__ import annotations

import hashlib
import io
import os
import posixpath
import stat
import tarfile
import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from madang.core.errors import Conflict, InvalidInput, NotFound

SMALL_BYTES = 2**20
"""Smaller files travel many at once, in archives."""

BATCH_BYTES = 16 * 2**20
BATCH_FILES = 500
PART_BYTES = 8 * 2**20
MAX_PARTS = 5000


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a transfer is; totals are 0 while they are not known."""

    done_bytes: int
    total_bytes: int
    done_files: int
    total_files: int


OnProgress = Callable[[Progress], None]


@dataclass(frozen=True, slots=True)
class Transferred:
    """What a transfer did. `skipped` were there already, the same; `left_out` are neither files
    nor directories, or links that lead elsewhere."""

    files: int
    num_bytes: int
    skipped: int = 0
    left_out: int = 0


@dataclass(slots=True)
class Tally:
    """Adds up what several workers do and tells it to whoever watches."""

    on_progress: OnProgress | None
    total_bytes: int = 0
    total_files: int = 0
    done_bytes: int = 0
    done_files: int = 0
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def add(self, num_bytes: int, num_files: int = 0) -> None:
        with self._lock:
            self.done_bytes += num_bytes
            self.done_files += num_files
            if self.on_progress:
                self.on_progress(
                    Progress(self.done_bytes, self.total_bytes, self.done_files, self.total_files)
                )


@dataclass(frozen=True, slots=True)
class LocalFile:
    """A file as it was when it was found; `remote` is its path in the folder, as bytes."""

    path: str
    remote: bytes
    size: int
    modified_ns: int

    def read(self, start: int, length: int) -> bytes:
        """A part of it. Raises Conflict when it has changed since."""
        try:
            with open(self.path, "rb") as file:
                status = os.fstat(file.fileno())
                content = os.pread(file.fileno(), length, start)
        except FileNotFoundError:
            raise NotFound(f"{self.path!r} went away while it was uploaded") from None
        if len(content) != length or (status.st_size, status.st_mtime_ns) != (
            self.size,
            self.modified_ns,
        ):
            raise Conflict(f"{self.path!r} changed while it was uploaded", hint="Upload it again.")
        return content

    def parts(self) -> Iterator[tuple[int, int]]:
        """`(start, end)` of the parts that it is sent in."""
        length = max(PART_BYTES, -(-self.size // MAX_PARTS))
        for start in range(0, self.size, length):
            yield start, min(start + length, self.size)

    def has(self, start: int, end: int, sha256: str) -> bool:
        """Whether these bytes of it have this checksum."""
        hashed = hashlib.sha256()
        for position in range(start, end, PART_BYTES):
            hashed.update(self.read(position, min(PART_BYTES, end - position)))
        return hashed.hexdigest() == sha256


@dataclass(slots=True)
class LocalTree:
    """What is below a local path: files and empty directories to send, links, and the rest."""

    files: list[LocalFile] = field(default_factory=list)
    links: list[tuple[bytes, str]] = field(default_factory=list)
    empty_directories: list[bytes] = field(default_factory=list)
    directories: set[bytes] = field(default_factory=set)
    left_out: int = 0

    @property
    def total_bytes(self) -> int:
        return sum(file.size for file in self.files)


def look_at(local: str | os.PathLike[str], remote: bytes) -> LocalTree:
    """What an upload of `local` to `remote` will send; nothing is followed out of a directory.

    Raises NotFound, InvalidInput when it is neither a file nor a directory.
    """
    path = os.fspath(local)
    try:
        status = os.stat(path)
    except (FileNotFoundError, NotADirectoryError):
        raise NotFound(f"there is no local file or directory {path!r}") from None
    tree = LocalTree()
    if stat.S_ISREG(status.st_mode):
        tree.files.append(LocalFile(path, remote, status.st_size, status.st_mtime_ns))
    elif stat.S_ISDIR(status.st_mode):
        _walk(path, remote, tree)
    else:
        raise InvalidInput(f"{path!r} is neither a file nor a directory")
    return tree


def _walk(directory: str, remote: bytes, tree: LocalTree) -> None:
    tree.directories.add(remote)
    with os.scandir(directory) as found:
        entries = sorted(found, key=lambda entry: os.fsencode(entry.name))
    if not entries and remote:
        tree.empty_directories.append(remote)
    for entry in entries:
        name = os.fsencode(entry.name)
        path = remote + b"/" + name if remote else name
        if entry.is_symlink():
            tree.links.append((path, os.readlink(entry.path)))
        elif entry.is_dir(follow_symlinks=False):
            _walk(entry.path, path, tree)
        elif entry.is_file(follow_symlinks=False):
            status = entry.stat(follow_symlinks=False)
            tree.files.append(LocalFile(entry.path, path, status.st_size, status.st_mtime_ns))
        else:
            tree.left_out += 1


def batches(files: list[LocalFile]) -> Iterator[list[LocalFile]]:
    """The files in groups that make archives of a good size."""
    batch: list[LocalFile] = []
    size = 0
    for file in files:
        if batch and (len(batch) >= BATCH_FILES or size + file.size > BATCH_BYTES):
            yield batch
            batch, size = [], 0
        batch.append(file)
        size += file.size
    if batch:
        yield batch


def pack(
    files: list[LocalFile],
    links: Sequence[tuple[bytes, str]] = (),
    directories: Sequence[bytes] = (),
) -> bytes:
    """A tar of files, links and directories, with exact times."""
    sink = io.BytesIO()
    with tarfile.open(
        fileobj=sink, mode="w", format=tarfile.PAX_FORMAT, errors="surrogateescape"
    ) as archive:
        for file in files:
            entry = tarfile.TarInfo(os.fsdecode(file.remote))
            entry.size = file.size
            seconds, fraction = divmod(file.modified_ns, 10**9)
            entry.pax_headers = {"mtime": f"{seconds}.{fraction:09d}"}
            if os.access(file.path, os.X_OK):
                entry.mode |= stat.S_IXUSR
            archive.addfile(entry, io.BytesIO(file.read(0, file.size)))
        for path, target in links:
            entry = tarfile.TarInfo(os.fsdecode(path))
            entry.type, entry.linkname = tarfile.SYMTYPE, target
            archive.addfile(entry)
        for path in directories:
            entry = tarfile.TarInfo(os.fsdecode(path))
            entry.type = tarfile.DIRTYPE
            archive.addfile(entry)
    return sink.getvalue()


def unpack(archive: Path, target: Path) -> Transferred:
    """Unpack a downloaded tar below `target`; what would lead out of it is left out."""
    files = num_bytes = left_out = 0
    with tarfile.open(archive, errors="surrogateescape") as found:
        for entry in found:
            try:
                found.extract(entry, target, filter="data", set_attrs=not entry.issym())
            except tarfile.FilterError:
                left_out += 1
                continue
            files += entry.isreg()
            num_bytes += entry.size
            if entry.isreg() and "mtime" in entry.pax_headers:
                times = exact_mtime_ns(entry.pax_headers["mtime"])
                os.utime(target / entry.name, ns=(times, times))
    return Transferred(files, num_bytes, left_out=left_out)


def exact_mtime_ns(text: str) -> int:
    """`12.5` seconds as nanoseconds, without the rounding of a float."""
    seconds, _, fraction = text.partition(".")
    return int(seconds) * 10**9 + int((fraction + "0" * 9)[:9])


def links_inside(links: list[tuple[bytes, str]]) -> tuple[list[tuple[bytes, str]], int]:
    """The links that stay in the folder, and how many do not."""
    kept = []
    for path, target in links:
        reached = posixpath.normpath(posixpath.join(posixpath.dirname(path), os.fsencode(target)))
        if not target.startswith("/") and reached != b".." and not reached.startswith(b"../"):
            kept.append((path, target))
    return kept, len(links) - len(kept)


def remote_path(remote: str, local: str | os.PathLike[str], is_file: bool) -> bytes:
    """Where a local thing goes: `remote` itself; a file keeps its name below `remote/`."""
    name = os.path.basename(os.fspath(local).rstrip("/"))
    if is_file and (not remote or remote.endswith("/")):
        remote = remote + name
    return os.fsencode(remote.strip("/"))
