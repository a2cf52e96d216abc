"""Where an installation keeps its things: the one place that knows file names."""

from __future__ import annotations

import errno
import hashlib
import os
import secrets
from dataclasses import dataclass
from pathlib import Path

from madang.core.errors import InvalidInput

SERVER_UMASK = 0o077
"""Of control, gateway, agent and supervisor: what they make is theirs alone unless it says
otherwise. What tasks must reach is made with `make_folder` or given its mode afterwards."""


def make_folder(path: Path, mode: int) -> None:
    """Make a folder with exactly this mode, whatever the umask; one that is there stays as it
    is. Those above it, where they lack, are the server's own."""
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        path.mkdir(mode=mode)
    except FileExistsError:
        return
    path.chmod(mode)


@dataclass(frozen=True, slots=True)
class StatePaths:
    """Paths below the state folder, and the short folder for sockets.

    The state folder is readable by the server's user alone; tasks see parts of it only through
    the mounts of their sandbox.
    """

    state_dir: Path

    @property
    def database(self) -> Path:
        return self.state_dir / "madang.db"

    @property
    def telemetry(self) -> Path:
        """Metric history, node statistics: a file of its own, so that it can't delay the rest."""
        return self.state_dir / "telemetry.db"

    @property
    def tasks(self) -> Path:
        """`TASK/`: spec, log, spooled reports and exit record of each task on this node."""
        return self.state_dir / "tasks"

    @property
    def environments(self) -> Path:
        return self.state_dir / "environments"

    @property
    def wheels(self) -> Path:
        """The platform's own libraries as wheels, for the builder of environments."""
        return self.state_dir / "wheels"

    @property
    def commands(self) -> Path:
        """The native file commands, for tasks."""
        return self.state_dir / "commands"

    @property
    def volume(self) -> Path:
        """The volume that every installation has."""
        return self.state_dir / "volumes" / "main"

    @property
    def server_logs(self) -> Path:
        return self.state_dir / "logs"

    @property
    def client_config(self) -> Path:
        """Address and token for the command line of whoever may read the state folder."""
        return self.state_dir / "client.toml"

    @property
    def sockets(self) -> Path:
        """Unix sockets: a path of at most 107 bytes is the kernel's limit, so a short one."""
        digest = hashlib.sha256(os.fsencode(self.state_dir.resolve())).hexdigest()[:8]
        if os.geteuid() == 0:
            return Path("/run/madang") / digest
        return Path(f"/tmp/madang-{os.geteuid()}") / digest

    @property
    def control_socket(self) -> Path:
        return self.sockets / "control.sock"

    @property
    def agent_socket(self) -> Path:
        return self.sockets / "agent.sock"

    def app_socket(self, task_id: str) -> Path:
        """Where a task's app is reached by the gateway."""
        return self.sockets / f"{task_id}.sock"

    def create(self) -> None:
        """Make the folders; safe to repeat. Raises InvalidInput where they can't be made or are
        somebody else's."""
        try:
            self._create()
        except OSError as error:
            why = error.strerror or str(error)
            raise InvalidInput(
                f"the state folder {str(self.state_dir)!r} can't be used: "
                f"{error.filename or self.state_dir}: {why}",
                field="state_dir",
                hint="Name a folder that you may write to with --state-dir.",
            ) from None

    def _create(self) -> None:
        for path in (self.state_dir, self.tasks, self.environments, self.volume, self.server_logs):
            path.mkdir(parents=True, exist_ok=True)
        for path in (self.state_dir, self.tasks, self.server_logs):
            path.chmod(0o700)
        self.sockets.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        self.sockets.mkdir(mode=0o700, exist_ok=True)
        if self.sockets.parent.stat().st_uid != os.geteuid():
            raise PermissionError(
                errno.EPERM, "it belongs to another user", str(self.sockets.parent)
            )

    def secret(self, name: str) -> bytes:
        """A random key of this installation, made at first use and kept in `secrets/NAME`."""
        path = self.state_dir / "secrets" / name
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        try:
            descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        except FileExistsError:
            return bytes.fromhex(path.read_text())
        with os.fdopen(descriptor, "w") as file:
            file.write(secrets.token_hex(32))
            file.flush()
            os.fsync(file.fileno())
        return bytes.fromhex(path.read_text())
