"""A task's log: segments named by the offset they begin at.

`log.0000000000000000` is the first, `log.0000000004194304` begins 4 MiB later. Rotation makes the
next segment and drops the oldest; no file is ever renamed, so an offset stays valid and no moment
exists in which a kill could lose or double bytes.
"""

from __future__ import annotations

import errno
import os

_PREFIX = "log."
_SPLICE_BYTES = 1 << 20


class DiskFull(Exception):
    """There is no room for what the task has to say."""


def segments(folder: str) -> list[int]:
    """Where each kept segment begins, oldest first; none before the task has a folder."""
    try:
        names = [name for name in os.listdir(folder) if name.startswith(_PREFIX)]
    except FileNotFoundError:
        return []
    return sorted(int(name[len(_PREFIX) :]) for name in names)


def segment_path(folder: str, start: int) -> str:
    return os.path.join(folder, f"{_PREFIX}{start:016d}")


def bounds(folder: str) -> tuple[int, int]:
    """The earliest offset that is kept, and the end."""
    starts = segments(folder)
    if not starts:
        return 0, 0
    return starts[0], starts[-1] + os.stat(segment_path(folder, starts[-1])).st_size


def read(folder: str, offset: int, limit: int) -> tuple[int, bytes]:
    """Up to `limit` bytes from `offset` on, and the offset they really begin at: the earliest
    that is kept when `offset` was rotated away, the end when it lies beyond."""
    first, end = bounds(folder)
    offset = min(max(offset, first), end)
    chunks: list[bytes] = []
    position = offset
    starts = segments(folder)
    for start, following in zip(starts, [*starts[1:], end], strict=False):
        if position >= following or limit <= 0:
            continue
        with open(segment_path(folder, start), "rb") as file:
            file.seek(position - start)
            chunk = file.read(min(limit, following - position))
        chunks.append(chunk)
        position += len(chunk)
        limit -= len(chunk)
    return offset, b"".join(chunks)


def tail(folder: str, limit: int) -> str:
    """The last lines, for a sentence that says what went wrong."""
    _, end = bounds(folder)
    return read(folder, end - limit, limit)[1].decode("utf-8", "replace").strip()


class LogWriter:
    """Moves what comes out of the task's pipe into its log.

    `splice` moves it inside the kernel: a byte is in the pipe or in the file, never in the memory
    of a process that may be killed.
    """

    def __init__(self, folder: str, pipe: int, segment_bytes: int, keep: int) -> None:
        self._folder = folder
        self.pipe = pipe
        self._segment_bytes = max(segment_bytes, 1)
        self._keep = max(keep, 1)
        starts = segments(folder)
        self._start = starts[-1] if starts else 0
        self._file = self._open()
        self._size = os.fstat(self._file).st_size

    def close(self) -> None:
        os.close(self._file)

    def drain(self, at_most: int = 8 * _SPLICE_BYTES) -> None:
        """Move what is in the pipe now. Raises DiskFull; what found no room stays in the pipe."""
        moved = 0
        while moved < at_most:
            room = self._segment_bytes - self._size
            if room <= 0:
                self._rotate()
                continue
            try:
                count = os.splice(self.pipe, self._file, min(room, _SPLICE_BYTES))
            except BlockingIOError:
                return
            except OSError as error:
                raise _as_disk_full(error) from error
            if count == 0:
                return
            self._size += count
            moved += count

    def note(self, text: str) -> None:
        """Add a line of our own."""
        try:
            self._size += os.write(self._file, f"[madang] {text}\n".encode())
        except OSError as error:
            raise _as_disk_full(error) from error

    def _open(self) -> int:
        # Not O_APPEND, which splice refuses.
        path = segment_path(self._folder, self._start)
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT, 0o600)
        os.lseek(descriptor, 0, os.SEEK_END)
        return descriptor

    def _rotate(self) -> None:
        previous = self._file
        start, self._start = self._start, self._start + self._size
        try:
            self._file = self._open()
        except OSError as error:
            self._start = start
            raise _as_disk_full(error) from error
        self._size = 0
        os.close(previous)
        for old in segments(self._folder)[: -self._keep]:
            os.unlink(segment_path(self._folder, old))


def _as_disk_full(error: OSError) -> Exception:
    return DiskFull() if error.errno in (errno.ENOSPC, errno.EDQUOT) else error
