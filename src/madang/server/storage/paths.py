"""Opening a path that a person gave, beneath a folder and nowhere else.

Every access goes through a descriptor of the folder's top: `open_beneath` lets the kernel resolve
the rest (openat2, RESOLVE_BENEATH), so that no `..`, no absolute name and no symbolic link leads
out, not even one that is swapped in while we look. Links that stay inside work. Where the kernel
has no openat2 the same is done by hand, one component at a time, holding each directory open.
"""

from __future__ import annotations

import ctypes
import errno
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager

from madang.core.errors import (
    Conflict,
    Forbidden,
    InvalidInput,
    LimitExceeded,
    NotFound,
    OutOfSpace,
    Unavailable,
)
from madang.schemas.files import to_wire

MAX_NAME_BYTES = 255
MAX_PATH_BYTES = 4095

_SYS_OPENAT2 = 437
_RESOLVE_NO_MAGICLINKS = 0x02
_RESOLVE_BENEATH = 0x08
_MAX_LINKS = 40
_RACE_RETRIES = 32

DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC


class _OpenHow(ctypes.Structure):
    _fields_ = [
        ("flags", ctypes.c_uint64),
        ("mode", ctypes.c_uint64),
        ("resolve", ctypes.c_uint64),
    ]


_libc = ctypes.CDLL(None, use_errno=True)


def check_relative(path: bytes) -> bytes:
    """Return `path` in its plain form (no `.`, no doubled slashes); empty means the top.

    Raises InvalidInput for absolute paths, `..`, NUL bytes and names that are too long: what could
    only be a mistake or an attack is refused before it reaches the file system.
    """
    shown = to_wire(path)
    if path.startswith(b"/"):
        raise InvalidInput(
            f"the path {shown!r} is absolute",
            field="path",
            hint="Write it from the folder's top, without a slash in front.",
        )
    if b"\0" in path:
        raise InvalidInput(f"the path {shown!r} holds a NUL byte", field="path")
    parts = [part for part in path.split(b"/") if part not in (b"", b".")]
    if b".." in parts:
        raise InvalidInput(
            f"the path {shown!r} goes up with '..'",
            field="path",
            hint="Write it from the folder's top.",
        )
    if any(len(part) > MAX_NAME_BYTES for part in parts):
        raise InvalidInput(
            f"the path {shown[:80]!r} has a name of more than {MAX_NAME_BYTES} bytes", field="path"
        )
    plain = b"/".join(parts)
    if len(plain) > MAX_PATH_BYTES:
        raise InvalidInput(f"the path is longer than {MAX_PATH_BYTES} bytes", field="path")
    return plain


def open_beneath(root: int, path: bytes, flags: int, mode: int = 0) -> int:
    """Open `path` below the directory `root` (a descriptor); the caller closes what it gets.

    Raises OSError as `os.open` does, with EXDEV (ELOOP for the last component and O_NOFOLLOW)
    when the path would leave `root`. Use `translated` to turn these into words.
    """
    path = check_relative(path) or b"."
    if not _has_openat2:
        return _walk(root, path, flags | os.O_CLOEXEC, mode)
    for _ in range(_RACE_RETRIES):
        try:
            return _openat2(root, path, flags | os.O_CLOEXEC, mode)
        except BlockingIOError:  # a rename elsewhere made the kernel unsure: it asks to retry
            continue
    return _walk(root, path, flags | os.O_CLOEXEC, mode)


@contextmanager
def opened(root: int, path: bytes, flags: int) -> Iterator[int]:
    """`open_beneath` for the length of a block."""
    descriptor = open_beneath(root, path, flags)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


@contextmanager
def opened_root(path: str | bytes | os.PathLike[str]) -> Iterator[int]:
    """A folder's top, whose path is ours and no person's. Raises Unavailable when it is gone."""
    try:
        descriptor = os.open(path, DIRECTORY)
    except OSError as error:
        raise Unavailable(
            f"the folder's storage can't be reached: {error.strerror}",
            hint="An administrator should look whether its volume is mounted.",
        ) from None
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def open_file(root: int, path: bytes) -> int:
    """Open a regular file for reading. Raises InvalidInput for a directory, pipe or device."""
    # O_NONBLOCK: opening a pipe must not wait for somebody to write into it.
    descriptor = open_beneath(root, path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY)
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise InvalidInput(f"{to_wire(path)!r} is not a file", field="path")
    return descriptor


@contextmanager
def opened_parent(root: int, path: bytes) -> Iterator[tuple[int, bytes]]:
    """The directory that holds `path`, and the last name: for calls that take `dir_fd`.

    Such a call must not follow the last component itself. Raises InvalidInput for the top.
    """
    plain = check_relative(path)
    if not plain:
        raise InvalidInput("the folder itself can't be meant here", field="path")
    parent, _, name = plain.rpartition(b"/")
    with opened(root, parent, DIRECTORY) as descriptor:
        yield descriptor, name


@contextmanager
def translated(path: bytes) -> Iterator[None]:
    """Turn what the system says about a person's path into an error for her."""
    shown = to_wire(path)
    try:
        yield
    except OSError as error:
        if error.errno == errno.ENOENT:
            raise NotFound(f"there is no {shown!r} in this folder", field="path") from None
        if error.errno == errno.EXDEV:
            raise Forbidden(
                f"{shown!r} leads out of the folder",
                field="path",
                hint="A symbolic link on the way points elsewhere; it is not followed.",
            ) from None
        if error.errno == errno.ELOOP:
            raise InvalidInput(
                f"{shown!r} is a symbolic link that leads nowhere", field="path"
            ) from None
        if error.errno == errno.ENOTDIR:
            raise InvalidInput(f"{shown!r} is not a directory", field="path") from None
        if error.errno == errno.EISDIR:
            raise InvalidInput(f"{shown!r} is a directory", field="path") from None
        if error.errno == errno.ENAMETOOLONG:
            raise InvalidInput(f"{shown[:80]!r} is too long a path", field="path") from None
        if error.errno == errno.ENXIO:
            raise InvalidInput(f"{shown!r} is not a file", field="path") from None
        if error.errno in (errno.EEXIST, errno.ENOTEMPTY):
            raise Conflict(f"{shown!r} exists already", field="path") from None
        if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
            raise Forbidden(f"{shown!r}: {error.strerror}", field="path") from None
        if error.errno == errno.ENOSPC:
            raise OutOfSpace(
                f"the disk is full: {shown!r} could not be written",
                hint="Nothing of it is kept. Remove files, empty the trash, or ask for space.",
            ) from None
        if error.errno == errno.EDQUOT:
            raise LimitExceeded(
                f"the folder's quota is used up: {shown!r} could not be written",
                hint="Remove files, or ask an administrator for a larger quota.",
            ) from None
        raise


def _openat2(root: int, path: bytes, flags: int, mode: int) -> int:
    how = _OpenHow(flags, mode, _RESOLVE_BENEATH | _RESOLVE_NO_MAGICLINKS)
    descriptor: int = _libc.syscall(
        ctypes.c_long(_SYS_OPENAT2),
        ctypes.c_int(root),
        ctypes.c_char_p(path),
        ctypes.byref(how),
        ctypes.c_size_t(ctypes.sizeof(how)),
    )
    if descriptor < 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number), os.fsdecode(path))
    return descriptor


def _walk(root: int, path: bytes, flags: int, mode: int) -> int:
    """openat2 by hand: directories are held open, so `..` in a link is the one we came from."""
    held = [os.dup(root)]
    todo = path.split(b"/")[::-1]
    links = 0
    try:
        while True:
            name = todo.pop()
            last = not todo
            if name in (b"", b".") and not last:
                continue
            if name == b"..":
                if len(held) == 1:
                    raise OSError(errno.EXDEV, os.strerror(errno.EXDEV), os.fsdecode(path))
                os.close(held.pop())
                if not last:
                    continue
                name = b"."
            target = _link_target(held[-1], name)
            if target is not None and not (last and flags & os.O_NOFOLLOW):
                links += 1
                if links > _MAX_LINKS:
                    raise OSError(errno.ELOOP, os.strerror(errno.ELOOP), os.fsdecode(path))
                if target.startswith(b"/"):
                    raise OSError(errno.EXDEV, os.strerror(errno.EXDEV), os.fsdecode(path))
                todo.extend(target.split(b"/")[::-1])
                continue
            try:
                if last:
                    return os.open(name or b".", flags | os.O_NOFOLLOW, mode, dir_fd=held[-1])
                step = os.O_PATH | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
                held.append(os.open(name, step, dir_fd=held[-1]))
            except OSError as error:
                changed = error.errno in (errno.ELOOP, errno.ENOTDIR)
                if not changed or links > _MAX_LINKS or not _may_lead_on(held[-1], name):
                    raise
                links += 1
                todo.append(name)  # it was swapped for a link since we looked: look again
    finally:
        for descriptor in held:
            os.close(descriptor)


def _may_lead_on(directory: int, name: bytes) -> bool:
    """Whether it is a link or directory now, if it was neither a moment ago."""
    mode = os.stat(name, dir_fd=directory, follow_symlinks=False).st_mode
    return stat.S_ISLNK(mode) or stat.S_ISDIR(mode)


def _link_target(directory: int, name: bytes) -> bytes | None:
    if name in (b"", b"."):
        return None
    try:
        return os.readlink(name, dir_fd=directory)
    except OSError as error:
        if error.errno in (errno.EINVAL, errno.ENOENT):
            return None
        raise


def _kernel_has_openat2() -> bool:
    root = os.open("/", DIRECTORY)
    try:
        os.close(_openat2(root, b".", DIRECTORY, 0))
    except OSError as error:
        # EPERM is what an old container runtime's system call filter answers.
        return error.errno not in (errno.ENOSYS, errno.EPERM)
    finally:
        os.close(root)
    return True


_has_openat2 = _kernel_has_openat2()
