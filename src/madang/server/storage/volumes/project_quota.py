"""XFS and ext4 with project quotas: a folder is a directory tree with a project id.

The file system must be mounted with `prjquota`. This follows the manuals of xfs_quota(8),
chattr(1) and setquota(8); the project's own tests do not run it on such file systems.
"""

from __future__ import annotations

import subprocess
from pathlib import Path

from madang.core.errors import Unsupported
from madang.server.storage.volumes.base import SupportsQuota
from madang.server.storage.volumes.path import PathVolume


class XfsVolume(PathVolume, SupportsQuota):
    """Enforced quotas through xfs_quota; needs root (Debian: xfsprogs)."""

    kind = "xfs"

    def __init__(self, root: Path, mount_point: Path) -> None:
        super().__init__(root)
        self.mount_point = mount_point

    def set_quota(self, path: str, quota_id: int, limit_bytes: int | None) -> None:
        self._xfs_quota(f'project -s -p "{self.container(path)}" {quota_id}')
        self._xfs_quota(f"limit -p bhard={limit_bytes or 0} {quota_id}")

    def quota_usage(self, path: str, quota_id: int) -> int:
        columns = self._xfs_quota(f"quota -p -N -b {quota_id}").split()
        return int(columns[1]) * 1024 if len(columns) > 1 else 0

    def _xfs_quota(self, command: str) -> str:
        return _run("xfs_quota", "-x", "-c", command, str(self.mount_point))


class Ext4Volume(PathVolume, SupportsQuota):
    """Enforced quotas through chattr and setquota; needs root (Debian: e2fsprogs, quota)."""

    kind = "ext4"

    def __init__(self, root: Path, mount_point: Path) -> None:
        super().__init__(root)
        self.mount_point = mount_point

    def set_quota(self, path: str, quota_id: int, limit_bytes: int | None) -> None:
        # +P: files made inside inherit the project; -R: those that are there already get it.
        _run("chattr", "-R", "-p", str(quota_id), "+P", str(self.container(path)))
        blocks = -(-limit_bytes // 1024) if limit_bytes else 0
        _run("setquota", "-P", str(quota_id), "0", str(blocks), "0", "0", str(self.mount_point))

    def quota_usage(self, path: str, quota_id: int) -> int:
        columns = _run("quota", "-P", "-w", "-v", "--hide-device", str(quota_id)).split("\n")
        used = columns[-1].split() if columns else []
        return int(used[0].rstrip("*")) * 1024 if used else 0


def _run(*command: str) -> str:
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    except FileNotFoundError:
        raise Unsupported(f"the command {command[0]} is not installed") from None
    if done.returncode:
        raise Unsupported(f"{command[0]} failed: {(done.stderr or done.stdout).strip()}")
    return done.stdout.strip()
