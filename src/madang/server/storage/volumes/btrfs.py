"""Btrfs: a folder is a subvolume, its quota a qgroup limit."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

from madang.core.errors import Unsupported
from madang.server.storage.volumes.base import SupportsQuota
from madang.server.storage.volumes.path import PathVolume

_SUBVOLUME_INODE = 256


class BtrfsVolume(PathVolume, SupportsQuota):
    """Enforced quotas; needs root and the `btrfs` command (Debian: btrfs-progs)."""

    kind = "btrfs"

    def set_quota(self, path: str, quota_id: int, limit_bytes: int | None) -> None:
        container = self.container(path)
        if not _is_subvolume(container):
            raise Unsupported(
                "this folder was made before its volume could enforce quotas",
                hint="Copy it to a new folder to have its quota enforced.",
            )
        _btrfs("quota", "enable", str(self.root))
        _btrfs("quota", "rescan", "-w", str(self.root), may_fail=True)
        _btrfs("qgroup", "limit", str(limit_bytes or "none"), str(container))

    def quota_usage(self, path: str, quota_id: int) -> int:
        shown = _btrfs("qgroup", "show", "--raw", "-f", str(self.container(path)))
        for line in shown.splitlines():
            columns = line.split()
            if columns and columns[0].startswith("0/"):
                return int(columns[1])
        raise Unsupported(f"no quota group of {path} was found")

    def _make_container(self, container: Path) -> None:
        if not container.exists():
            _btrfs("subvolume", "create", str(container))
        container.chmod(0o700)

    def _remove_container(self, container: Path) -> None:
        if not _is_subvolume(container):
            super()._remove_container(container)
            return
        try:
            _btrfs("subvolume", "delete", str(container))
        except Unsupported:  # it holds other subvolumes: anyone may make them in her directories
            super()._remove_container(container)


def _is_subvolume(path: Path) -> bool:
    return os.stat(path).st_ino == _SUBVOLUME_INODE


def _btrfs(*arguments: str, may_fail: bool = False) -> str:
    try:
        done = subprocess.run(["btrfs", *arguments], capture_output=True, text=True, check=False)
    except FileNotFoundError:
        raise Unsupported(
            "Btrfs is managed with the command `btrfs`, which is not installed",
            hint="On Debian: apt-get install btrfs-progs.",
        ) from None
    if done.returncode and not may_fail:
        raise Unsupported(f"btrfs {' '.join(arguments[:2])} failed: {done.stderr.strip()}")
    return done.stdout
