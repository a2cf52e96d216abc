"""What a volume must do, and what it may."""

from __future__ import annotations

import os
from abc import ABC, abstractmethod
from dataclasses import dataclass
from pathlib import Path

FOLDER_MODE = 0o2770
FILE_MODE = 0o660


@dataclass(frozen=True, slots=True)
class Owner:
    """Whom new files belong to; None leaves the server's own id, as in personal mode."""

    uid: int | None = None
    gid: int | None = None

    def give(self, descriptor: int, mode: int) -> None:
        """Make an open file or directory the owner's. Raises OSError."""
        if self.uid is not None or self.gid is not None:
            os.fchown(
                descriptor,
                -1 if self.uid is None else self.uid,
                -1 if self.gid is None else self.gid,
            )
        os.fchmod(descriptor, mode)  # after the chown, which clears the setgid bit


@dataclass(frozen=True, slots=True)
class Space:
    """Of the whole file system."""

    total_bytes: int
    free_bytes: int


class Volume(ABC):
    """Makes and removes folders below `root`.

    A folder has a *container* (the server's alone, with what people don't see: uploads under way,
    what they removed) and inside it `data`, which tasks mount. Both are on one file system, so
    that a finished upload is moved into place in one step. Methods block: call them from threads.
    They are safe to repeat, and to call for different folders at once.
    """

    kind: str

    def __init__(self, root: Path) -> None:
        self.root = root

    def folder_path(self, folder_id: str) -> str:
        """Where a new folder's data goes, relative to the root."""
        return f"folders/{folder_id}/data"

    def container(self, path: str) -> Path:
        """The container of the folder whose data is at `path`."""
        return (self.root / path).parent

    @abstractmethod
    def create_folder(self, path: str, owner: Owner) -> None:
        """Make the container and the data directory, setgid and closed to others."""

    @abstractmethod
    def remove_folder(self, path: str) -> None:
        """Remove the container with everything in it; does nothing when it is gone."""

    def space(self) -> Space:
        """How much fits. Raises OSError when the volume is not there."""
        found = os.statvfs(self.root)
        return Space(found.f_blocks * found.f_frsize, found.f_bavail * found.f_frsize)


class SupportsQuota(ABC):
    """The file system itself refuses to let a folder grow over its limit."""

    @abstractmethod
    def set_quota(self, path: str, quota_id: int, limit_bytes: int | None) -> None:
        """Limit the folder at `path`, container included; None lifts it.

        `quota_id` is a number that no other folder of the installation has. Raises Unsupported
        when the file system can't after all; then nothing has changed.
        """

    @abstractmethod
    def quota_usage(self, path: str, quota_id: int) -> int:
        """Bytes that count against the limit now."""
