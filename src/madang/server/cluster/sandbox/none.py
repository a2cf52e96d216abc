from __future__ import annotations

import hashlib
import os
from pathlib import Path

from madang.server.cluster.protocol import TaskSpec
from madang.server.cluster.sandbox.base import (
    Places,
    Sandbox,
    SandboxTask,
    become_user,
    inner_command,
    is_root,
)


class NoSandbox(Sandbox):
    """No separation but the user's uid: for machines where everyone trusts everyone."""

    name = "none"
    reports_exit_code = False

    @property
    def private_network(self) -> bool:
        return False

    def problem(self) -> str | None:
        return None

    def scratch_parent(self, task_folder: Path) -> Path:
        """As root, outside the state folder, which other users can't enter."""
        if not is_root():
            return task_folder
        digest = hashlib.sha256(os.fsencode(task_folder.parent)).hexdigest()[:8]
        return Path("/tmp") / f"madang-tasks-{digest}" / task_folder.name

    def places(self, spec: TaskSpec, scratch: Path) -> Places:
        return Places(
            home=str(scratch / "home"), tmp=str(scratch / "tmp"), run=str(scratch / "run")
        )

    def command(self, task: SandboxTask) -> list[str]:
        spec = task.spec
        places = self.places(spec, task.scratch)
        directory = spec.working_directory or places.home
        prefix = become_user(spec) if is_root() else []
        return [*prefix, *inner_command(task, places, directory)]

    def isolation(self) -> dict[str, str]:
        return {"sandbox": "none", "network": "shared-network"}

    def reachable(self, path: str, spec: TaskSpec) -> bool:
        if spec.user.uid == os.geteuid():
            return True
        groups = {spec.user.gid, *spec.user.gids}
        for folder in (Path(path), *Path(path).parents):
            facts = folder.stat()
            if facts.st_uid == spec.user.uid:
                bit = 0o100
            elif facts.st_gid in groups:
                bit = 0o010
            else:
                bit = 0o001
            if not facts.st_mode & bit:
                return False
        return True
