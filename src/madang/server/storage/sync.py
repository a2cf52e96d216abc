"""Making sure that written files are on the disk."""

from __future__ import annotations

import ctypes
import os

_libc = ctypes.CDLL(None, use_errno=True)


def sync_file_system(descriptor: int) -> None:
    """Write out everything on the file system that `descriptor` is on: one call for many files.

    Raises OSError, also when writing out failed since the last call.
    """
    if _libc.syncfs(ctypes.c_int(descriptor)) != 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
