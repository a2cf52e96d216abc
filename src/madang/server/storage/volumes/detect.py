"""Which kind of volume a directory is, by the file system below it."""

from __future__ import annotations

import os
import re
import shutil
from dataclasses import dataclass
from pathlib import Path

from madang.server.storage.volumes.base import Volume
from madang.server.storage.volumes.btrfs import BtrfsVolume
from madang.server.storage.volumes.path import PathVolume
from madang.server.storage.volumes.project_quota import Ext4Volume, XfsVolume

MOUNTS = Path("/proc/self/mounts")


@dataclass(frozen=True, slots=True)
class MountPoint:
    path: Path
    kind: str
    options: frozenset[str]


def open_volume(root: Path) -> Volume:
    """The volume at `root`, with the abilities that its file system has for this process."""
    if os.geteuid() != 0:
        return PathVolume(root)
    mount = find_mount(root, MOUNTS.read_text())
    if mount.kind == "btrfs" and shutil.which("btrfs"):
        return BtrfsVolume(root)
    if mount.kind == "xfs" and mount.options & {"prjquota", "pquota"}:
        return XfsVolume(root, mount.path)
    if mount.kind == "ext4" and "prjquota" in mount.options:
        return Ext4Volume(root, mount.path)
    return PathVolume(root)


def find_mount(path: Path, table: str) -> MountPoint:
    """The line of `table` (as /proc/self/mounts) that `path` is on: the deepest, then the last."""
    path = path.resolve()
    best = MountPoint(Path("/"), "", frozenset())
    for line in table.splitlines():
        _, where, kind, options, *_ = line.split(" ")
        mount = Path(re.sub(r"\\([0-7]{3})", lambda octal: chr(int(octal[1], 8)), where))
        if path.is_relative_to(mount) and len(mount.parts) >= len(best.path.parts):
            best = MountPoint(mount, kind, frozenset(options.split(",")))
    return best
