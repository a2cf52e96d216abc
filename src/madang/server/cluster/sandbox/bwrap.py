from __future__ import annotations

import os
import shutil
from collections.abc import Iterable
from pathlib import Path

from madang.server.cluster.protocol import Mount, TaskSpec
from madang.server.cluster.sandbox.base import (
    ARGUMENTS_FD,
    Places,
    Sandbox,
    SandboxTask,
    become_user,
    inner_command,
    is_root,
)
from madang.server.cluster.sandbox.seccomp import deny_program

RUN_INSIDE = "/run/task"

_SYSTEM_FOLDERS = ("/bin", "/sbin", "/lib", "/lib64", "/lib32", "/libx32")
_ETC = (
    "alternatives",
    "ca-certificates",
    "debian_version",
    "fonts",
    "gai.conf",
    "host.conf",
    "ld.so.cache",
    "ld.so.conf",
    "ld.so.conf.d",
    "localtime",
    "magic",
    "mime.types",
    "nsswitch.conf",
    "os-release",
    "pki",
    "protocols",
    "python3",
    "python3.11",
    "resolv.conf",
    "services",
    "ssl",
    "terminfo",
    "timezone",
)
"""Of /etc, only what programs need and nobody minds: no accounts, no keys, no host configuration.
`passwd`, `group` and `hosts` are made for the task."""


class BwrapSandbox(Sandbox):
    """Bubblewrap: own processes, IPC, host name, network and file tree, with the folders of the
    task mounted and nothing else of the machine but its programs.

    As root the task runs under its user's uid without capabilities. Otherwise (personal mode) a
    user namespace maps the caller to herself, and the network is the machine's.
    """

    name = "bwrap"

    def __init__(self, program: str = "bwrap") -> None:
        self._program = shutil.which(program)

    @property
    def private_network(self) -> bool:
        return is_root()

    def problem(self) -> str | None:
        if self._program is None:
            return (
                "bubblewrap (bwrap), which separates tasks, is not installed on this node; "
                "install it (apt install bubblewrap) or choose sandbox = none"
            )
        if is_root() and not os.path.exists("/usr/bin/setpriv"):
            return "setpriv is not installed on this node; install it (apt install util-linux)"
        return None

    def scratch_parent(self, task_folder: Path) -> Path:
        return task_folder

    def places(self, spec: TaskSpec, scratch: Path) -> Places:
        return Places(home=f"/home/{spec.user.name}", tmp="/tmp", run=RUN_INSIDE)

    def command(self, task: SandboxTask) -> list[str]:
        assert self._program is not None
        spec = task.spec
        places = self.places(spec, task.scratch)
        inner = inner_command(task, places, spec.working_directory or places.home)
        user = become_user(spec) if is_root() else []
        return [self._program, "--args", str(ARGUMENTS_FD), "--", *user, *inner]

    def hidden_arguments(self, task: SandboxTask) -> list[str]:
        """Bubblewrap's options; the order of the mounts matters, later ones go on top."""
        return [
            *self._namespaces(task.spec),
            *self._system(),
            *self._etc(task.scratch),
            *self._own_folders(task),
            *_parents(self._targets(task)),
            *_read_only(task.read_only_folders),
            *_read_only([task.spec.environment_path] if task.spec.environment_path else []),
            *_mounts(task.spec.mounts),
            *self._devices(task.device_nodes),
            "--remount-ro",
            "/",
            "--json-status-fd",
            "3",
            "--seccomp",
            "4",
        ]

    def seccomp_filter(self) -> bytes:
        return deny_program()

    def isolation(self) -> dict[str, str]:
        network = "private" if self.private_network else "shared-network"
        return {"sandbox": "bwrap", "network": network}

    def _namespaces(self, spec: TaskSpec) -> list[str]:
        shared = ["--unshare-pid", "--unshare-ipc", "--unshare-uts", "--hostname", spec.task_id]
        if is_root():
            # Those that setpriv needs to give up root; it drops them with the rest.
            kept = ("CAP_SETUID", "CAP_SETGID", "CAP_SETPCAP")
            capabilities = [word for name in kept for word in ("--cap-add", name)]
            return [*shared, "--cap-drop", "ALL", *capabilities]
        uid, gid = str(os.geteuid()), str(os.getegid())
        return [*shared, "--unshare-user", "--uid", uid, "--gid", gid]

    def _system(self) -> list[str]:
        arguments = ["--ro-bind", "/usr", "/usr", "--dir", "/etc"]
        for folder in _SYSTEM_FOLDERS:
            if os.path.islink(folder):
                arguments += ["--symlink", os.readlink(folder), folder]
            elif os.path.isdir(folder):
                arguments += ["--ro-bind", folder, folder]
        return [*arguments, "--proc", "/proc", "--dev", "/dev"]

    def _etc(self, scratch: Path) -> list[str]:
        arguments: list[str] = []
        for name in _ETC:
            # A link may lead out of what is mounted (resolv.conf into /run): take its target.
            real = os.path.realpath(f"/etc/{name}")
            if os.path.exists(real):
                arguments += ["--ro-bind", real, f"/etc/{name}"]
        for name in ("passwd", "group", "hosts"):
            arguments += ["--ro-bind", str(scratch / "etc" / name), f"/etc/{name}"]
        return arguments

    def _own_folders(self, task: SandboxTask) -> list[str]:
        places = self.places(task.spec, task.scratch)
        return [
            *_parents([places.home, places.run]),
            *("--perms", "1777", "--tmpfs", "/dev/shm"),
            *("--bind", str(task.scratch / "tmp"), places.tmp),
            *("--dir", "/var"),
            *("--symlink", "../tmp", "/var/tmp"),
            *("--bind", str(task.scratch / "home"), places.home),
            *("--ro-bind", str(task.scratch / "run"), places.run),
        ]

    def _targets(self, task: SandboxTask) -> list[str]:
        """Where folders that are not the task's own appear inside."""
        mounts = [mount.target for mount in task.spec.mounts]
        return [*task.read_only_folders, task.spec.environment_path, *mounts]

    def _devices(self, nodes: Iterable[str]) -> list[str]:
        existing = [node for node in nodes if os.path.exists(node)]
        arguments = [word for node in existing for word in ("--dev-bind", node, node)]
        # How many CPUs there are; with devices, how they hang together.
        topology = ["/sys/devices", "/sys/bus/pci"] if existing else ["/sys/devices/system"]
        folders = [path for path in topology if os.path.isdir(path)]
        return [*arguments, *_parents(folders), *_read_only(folders)]


def _parents(targets: Iterable[str]) -> list[str]:
    """Make the folders above mounts enterable; bubblewrap would make them root's alone."""
    folders = {str(parent) for target in targets if target for parent in Path(target).parents}
    return [word for folder in sorted(folders - {"/"}) for word in ("--dir", folder)]


def _read_only(folders: Iterable[str]) -> list[str]:
    return [word for folder in folders for word in ("--ro-bind", folder, folder)]


def _mounts(mounts: Iterable[Mount]) -> list[str]:
    arguments: list[str] = []
    for mount in sorted(mounts, key=lambda mount: mount.target):
        arguments += ["--ro-bind" if mount.read_only else "--bind", mount.source, mount.target]
    return arguments
