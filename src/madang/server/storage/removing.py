"""Removing trees of the platform's own volumes for good."""

from __future__ import annotations

import os
import shutil

from madang.core.errors import Unsupported
from madang.files import Run, remove

POLITE = Run(jobs=4, max_ops=4000)
"""In the background nobody waits: other people's requests to the same storage go first."""


def remove_tree(path: str | os.PathLike[str], *, dir_fd: int | None = None) -> None:
    """Remove a directory with all that is in it, politely; links in it are removed, never
    followed. One that is gone is fine. Safe to repeat after it was cut short.

    Raises OSError for the first thing that can't be removed; the others are gone.
    """
    try:
        done = remove(path, recursive=True, missing_ok=True, dir_fd=dir_fd, run=POLITE)
    except Unsupported:
        shutil.rmtree(path, dir_fd=dir_fd)  # without the native library: one after the other
        return
    for failure in done.failures:
        raise OSError(failure.errno, os.strerror(failure.errno), os.fsdecode(failure.path))
