"""Listing a directory tree: names, kinds, sizes and times of everything below a root."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from enum import IntEnum
from typing import TYPE_CHECKING

from madang.core.errors import InvalidInput
from madang.files.run import native

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Columns = tuple[
        bytes,
        NDArray[np.uint64],
        NDArray[np.uint64],
        NDArray[np.int64],
        NDArray[np.uint8],
        NDArray[np.uint32],
        list[tuple[bytes, int]],
    ]

DEFAULT_THREADS = 16
"""More than a machine's cores: on network storage the threads wait, and waiting is free."""

MAX_THREADS = 256


class Kind(IntEnum):
    """What an entry is (the kernel's `DT_*` numbers)."""

    FIFO = 1
    CHARACTER_DEVICE = 2
    DIRECTORY = 4
    BLOCK_DEVICE = 6
    FILE = 8
    SYMLINK = 10
    SOCKET = 12


@dataclass(frozen=True, slots=True)
class Entry:
    """One thing below the root; `path` is relative to it, as the file system has it.

    `size` is in bytes, `mode` holds the permission bits. A symbolic link is described itself, not
    what it points to.
    """

    path: bytes
    kind: Kind
    size: int
    mtime_ns: int
    mode: int

    @property
    def name(self) -> str:
        """The path as text; bytes that are not UTF-8 become surrogates, as `os.fsdecode` does."""
        return os.fsdecode(self.path)


@dataclass(frozen=True, slots=True)
class ScanError:
    """Something that could not be read: its path (empty: the root itself) and the errno."""

    path: bytes
    errno: int

    def __str__(self) -> str:
        return f"{os.fsdecode(self.path) or '.'}: {os.strerror(self.errno)}"


class Listing:
    """Everything below a root, sorted by path (as bytes). Iterating gives an `Entry` each.

    Entries are made when they are asked for; the columns (`sizes`, `mtimes_ns`, `kinds`, `modes`,
    arrays of numpy) hold millions of files in some ten bytes each beside their paths.
    """

    def __init__(self, columns: Columns) -> None:
        self.paths, self.offsets, self.sizes, self.mtimes_ns, self.kinds, self.modes, failed = (
            columns
        )
        self.errors = tuple(ScanError(path, number) for path, number in failed)
        """What could not be read, sorted by path; the rest of the listing is complete."""

    def __len__(self) -> int:
        return len(self.sizes)

    def __getitem__(self, index: int) -> Entry:
        position = range(len(self))[index]
        return Entry(
            self.path(position),
            Kind(int(self.kinds[position])),
            int(self.sizes[position]),
            int(self.mtimes_ns[position]),
            int(self.modes[position]),
        )

    def __iter__(self) -> Iterator[Entry]:
        start = 0
        columns = (self.offsets[1:], self.kinds, self.sizes, self.mtimes_ns, self.modes)
        for end, kind, size, mtime_ns, mode in zip(*columns, strict=True):
            stop = int(end)
            path = self.paths[start:stop]
            yield Entry(path, Kind(int(kind)), int(size), int(mtime_ns), int(mode))
            start = stop

    def path(self, index: int) -> bytes:
        """The path of entry `index`, counted from 0."""
        return self.paths[int(self.offsets[index]) : int(self.offsets[index + 1])]

    @property
    def num_files(self) -> int:
        """How many of the entries are regular files."""
        return int((self.kinds == Kind.FILE).sum())

    @property
    def total_bytes(self) -> int:
        """The sizes of all regular files together; one with two names counts twice."""
        return int(self.sizes[self.kinds == Kind.FILE].sum())


def scan(root: str | bytes | os.PathLike[str] | int, threads: int | None = None) -> Listing:
    """List everything below `root`, a directory's path or an open directory's descriptor.

    Symbolic links are listed and never followed (only `root` itself may be one). Files that come
    and go during the scan may be in it or not; what can't be read is in `Listing.errors`. Other
    Python threads go on meanwhile, and Ctrl-C ends it.

        listing = scan("/data/digits")
        print(listing.num_files, listing.total_bytes)
        labels = {entry.path.split(b"/")[0] for entry in listing}

    Raises OSError when `root` can't be opened, InvalidInput for a count of threads outside 1 to
    256, Unsupported when `madang-native` is not installed.
    """
    num_threads = DEFAULT_THREADS if threads is None else threads
    if not 1 <= num_threads <= MAX_THREADS:
        raise InvalidInput(
            f"threads={num_threads} is not a number of threads",
            field="threads",
            hint=f"Choose 1 to {MAX_THREADS}.",
        )
    native_scan = native("listing files").scan
    if isinstance(root, int):
        return Listing(native_scan(root, num_threads))
    descriptor = os.open(root, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        return Listing(native_scan(descriptor, num_threads))
    finally:
        os.close(descriptor)
