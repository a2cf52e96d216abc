"""The native file commands (`madang-cp`, `madang-rm`…) where every task finds them.

They lie in a folder of their own in the state folder, so that a task sees them and nothing else of
where the platform is installed.
"""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from madang.core.errors import Unsupported
from madang.files.commands import NAMES, command_path
from madang.server.paths import make_folder


def install_commands(folder: Path) -> bool:
    """Copy those that are installed into `folder`; False when none is. A task that runs keeps the
    one it has started."""
    found = []
    for name in NAMES:
        try:
            found.append(command_path(name))
        except Unsupported:
            continue
    if not found:
        return False
    make_folder(folder, 0o755)
    for source in found:
        _copy(source, folder / source.name)
    return True


def _copy(source: Path, target: Path) -> None:
    status = source.stat()
    if target.exists() and _same(target.stat(), status):
        return
    growing = target.with_name(f".{target.name}.{os.getpid()}")
    shutil.copyfile(source, growing)
    growing.chmod(0o755)
    os.utime(growing, ns=(status.st_atime_ns, status.st_mtime_ns))
    growing.rename(target)


def _same(one: os.stat_result, other: os.stat_result) -> bool:
    return (one.st_size, one.st_mtime_ns) == (other.st_size, other.st_mtime_ns)
