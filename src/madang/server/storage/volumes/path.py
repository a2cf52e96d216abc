"""Any directory: local disk, or a NAS that is mounted on all nodes."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path

from madang.server.paths import make_folder
from madang.server.storage.removing import remove_tree
from madang.server.storage.volumes.base import FOLDER_MODE, Owner, Volume


class PathVolume(Volume):
    """Plain directories. Quotas are measured by the platform, not enforced."""

    kind = "path"

    def create_folder(self, path: str, owner: Owner) -> None:
        container = self.container(path)
        make_folder(container.parent, 0o711)
        self._make_container(container)
        data = self.root / path
        data.mkdir(mode=0o700, exist_ok=True)
        descriptor = os.open(data, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
        try:
            owner.give(descriptor, FOLDER_MODE)
        finally:
            os.close(descriptor)

    def remove_folder(self, path: str) -> None:
        container = self.container(path)
        gone = container.with_name(f"{container.name}.purged")
        # Renamed first: a purge that is cut short is finished by the next one, and what is left
        # of the folder can't be taken for the folder.
        with contextlib.suppress(FileNotFoundError):
            container.rename(gone)
        if gone.exists():
            self._remove_container(gone)

    def _make_container(self, container: Path) -> None:
        container.mkdir(mode=0o700, exist_ok=True)

    def _remove_container(self, container: Path) -> None:
        remove_tree(container)
