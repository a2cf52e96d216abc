"""A folder's directories as open descriptors, and putting new things into them.

Files are made in the *staging* directory, which is the server's alone, given to their owner while
nobody else can reach them, and then renamed into place: people see whole files only.
"""

from __future__ import annotations

import contextlib
import ctypes
import errno
import os
import stat
from collections.abc import Iterator
from pathlib import Path

from madang.core.errors import InvalidInput, NotFound, Unavailable
from madang.schemas.files import to_wire
from madang.server.storage.granted import SERVICE_NAME, FolderAccess
from madang.server.storage.paths import (
    DIRECTORY,
    check_relative,
    open_beneath,
    opened_root,
)
from madang.server.storage.volumes.base import FILE_MODE, FOLDER_MODE, Owner

STAGING = b"staging"
TRASH = b"trash"

_RENAME_NOREPLACE = 1
_libc = ctypes.CDLL(None, use_errno=True)


class Place:
    """An open folder. Made by `open_place`; its methods block and raise OSError."""

    def __init__(self, access: FolderAccess, root: int) -> None:
        self.access = access
        self.root = root

    def check(self, path: bytes) -> bytes:
        """The plain form of a person's path. Raises InvalidInput, NotFound."""
        plain = check_relative(path)
        if self.access.in_place and plain.split(b"/")[0] == os.fsencode(SERVICE_NAME):
            raise NotFound(f"there is no {to_wire(path)!r} in this folder", field="path")
        return plain

    @contextlib.contextmanager
    def opened(self, path: bytes, flags: int = DIRECTORY) -> Iterator[int]:
        """Open something below the top, for the length of the block."""
        descriptor = open_beneath(self.root, self.check(path), flags)
        try:
            yield descriptor
        finally:
            os.close(descriptor)

    @contextlib.contextmanager
    def opened_parent(self, path: bytes, *, make: bool = False) -> Iterator[tuple[int, bytes]]:
        """The directory that holds `path`, and the last name; missing ones are made with `make`.

        Raises InvalidInput for the top itself.
        """
        plain = self.check(path)
        if not plain:
            raise InvalidInput("the folder itself can't be meant here", field="path")
        parent, _, name = plain.rpartition(b"/")
        if make and parent:
            self.make_directories(parent)
        with self.opened(parent) as descriptor:
            yield descriptor, name

    def make_directories(self, path: bytes) -> bool:
        """Make a directory and those above it; whether it was made now."""
        plain = self.check(path)
        if not plain:
            return False
        try:
            os.close(open_beneath(self.root, plain, DIRECTORY))
            return False
        except FileNotFoundError:
            pass
        parent, _, name = plain.rpartition(b"/")
        self.make_directories(parent)
        with self.opened(parent) as above:
            try:
                os.mkdir(name, 0o700, dir_fd=above)
            except FileExistsError:
                return False
            made = os.open(name, DIRECTORY | os.O_NOFOLLOW, dir_fd=above)
            try:
                # Somebody may have put a directory of hers in its place: it stays hers.
                if os.fstat(made).st_uid == os.geteuid():
                    self.owner(above).give(made, self.modes(above)[0])
            finally:
                os.close(made)
        return True

    def owner(self, parent: int) -> Owner:
        """Whom something new in this directory belongs to."""
        gid = self.access.gid
        if self.access.in_place and self.access.uid is not None and gid is None:
            gid = os.fstat(parent).st_gid
        return Owner(self.access.uid, gid)

    def modes(self, parent: int) -> tuple[int, int]:
        """Modes of a new directory and a new file in this directory. In a registered directory
        they follow those around them, elsewhere the platform's rule (2770, 660)."""
        if not self.access.in_place:
            return FOLDER_MODE, FILE_MODE
        mode = stat.S_IMODE(os.fstat(parent).st_mode)
        return mode, mode & 0o666

    @contextlib.contextmanager
    def service(self, name: bytes, *, make: bool = True) -> Iterator[int]:
        """The server's own directory `name` of this folder, made when missing and `make`."""
        with self._service_top(make) as top:
            if make:
                with contextlib.suppress(FileExistsError):
                    os.mkdir(name, 0o700, dir_fd=top)
            descriptor = self._open_own(name, top)
            try:
                yield descriptor
            finally:
                os.close(descriptor)

    @contextlib.contextmanager
    def _service_top(self, make: bool) -> Iterator[int]:
        if not self.access.in_place:
            with opened_root(self.access.service) as top:
                yield top
            return
        name = os.fsencode(SERVICE_NAME)
        if make:
            with contextlib.suppress(FileExistsError):
                os.mkdir(name, 0o700, dir_fd=self.root)
        descriptor = self._open_own(name, self.root)
        try:
            yield descriptor
        finally:
            os.close(descriptor)

    def _open_own(self, name: bytes, parent: int) -> int:
        """Open a directory that must be the server's: tasks can write around it in place."""
        descriptor = os.open(name, DIRECTORY | os.O_NOFOLLOW, dir_fd=parent)
        status = os.fstat(descriptor)
        if status.st_uid != os.geteuid() or status.st_mode & 0o022:
            os.close(descriptor)
            raise Unavailable(
                f"{SERVICE_NAME!r} in this folder is not the platform's own",
                hint="An administrator should remove it.",
            )
        return descriptor


@contextlib.contextmanager
def open_place(access: FolderAccess) -> Iterator[Place]:
    """Open the folder for the length of the block. Raises Unavailable when it is gone."""
    with opened_root(Path(access.root)) as root:
        yield Place(access, root)


def rename_new(source: bytes, source_dir: int, target: bytes, target_dir: int) -> None:
    """Rename without replacing anything. Raises FileExistsError and what renaming raises."""
    failed = _libc.renameat2(
        ctypes.c_int(source_dir),
        ctypes.c_char_p(source),
        ctypes.c_int(target_dir),
        ctypes.c_char_p(target),
        ctypes.c_uint(_RENAME_NOREPLACE),
    )
    if not failed:
        return
    number = ctypes.get_errno()
    if number != errno.EINVAL:
        raise OSError(number, os.strerror(number), os.fsdecode(target))
    # The file system can't do it in one step (NFS), or a directory would go into itself.
    try:
        os.stat(target, dir_fd=target_dir, follow_symlinks=False)
    except FileNotFoundError:
        os.rename(source, target, src_dir_fd=source_dir, dst_dir_fd=target_dir)
        return
    raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), os.fsdecode(target))
