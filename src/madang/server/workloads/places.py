"""Where the platform keeps what belongs to a workload: its code, its checkpoints."""

from __future__ import annotations

import os
from pathlib import Path

from madang.server.cluster.protocol import TaskUser
from madang.server.context import ServerContext
from madang.server.paths import make_folder

CHECKPOINT_TARGET = "/checkpoints"


def checkpoint_path(context: ServerContext, workload_id: str) -> Path:
    """The folder that a job's attempts share."""
    return task_data(context) / "checkpoints" / workload_id


def make_checkpoint_folder(context: ServerContext, workload_id: str, user: TaskUser) -> None:
    path = checkpoint_path(context, workload_id)
    make_folder(path.parent, 0o711)
    path.mkdir(mode=0o700, exist_ok=True)
    if os.geteuid() == 0:
        os.chown(path, user.uid, user.gid)


def task_data(context: ServerContext) -> Path:
    """Where code and checkpoints lie. Without a sandbox a task enters them by their real path,
    and users other than the server's can't pass through the state folder."""
    if context.settings.sandbox == "none" and os.geteuid() == 0:
        path = Path("/var/tmp") / f"madang-{context.paths.sockets.name}"
        make_folder(path, 0o711)
        return path
    return context.paths.state_dir
