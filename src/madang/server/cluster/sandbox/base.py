from __future__ import annotations

import os
from abc import ABC, abstractmethod
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from madang.server.cluster.protocol import TaskSpec

SHELL = "/bin/sh"
ARGUMENTS_FD = 7

INNER_SCRIPT = """\
umask 007
cd -- "$1" 2>/dev/null || { echo '{"no_directory": true}' >&5; exit 126; }
. "$2"
shift 2
command -v -- "$1" >/dev/null 2>&1 || { echo '{"missing": true}' >&5; exit 127; }
echo '{"started": true}' >&5
exec "$@" </dev/null 5>&-"""
"""The last step before the user's command, already under her uid: it tells the shim, on
descriptor 5, what an exit status alone could not: whether the command was started at all. The
task's environment variables begin here (the second argument is the file that sets them): loaders
and shells obey some of them, which nothing that still is root may do."""


@dataclass(frozen=True, slots=True)
class Places:
    """Where a task finds its own folders, as paths inside."""

    home: str
    tmp: str
    run: str

    @property
    def report_socket(self) -> str:
        return f"{self.run}/report.sock"

    @property
    def environment_file(self) -> str:
        return f"{self.run}/environment"


@dataclass(frozen=True, slots=True)
class SandboxTask:
    """What a sandbox needs to know of a task. `scratch` is its folder on the node, with `home`,
    `tmp` (both the user's), `run` and `etc` in it; `read_only_folders` are folders
    of the node that it sees where they are: the Python that its environment rests on, commands."""

    spec: TaskSpec
    scratch: Path
    device_nodes: tuple[str, ...] = ()
    read_only_folders: tuple[str, ...] = ()


class Sandbox(ABC):
    """One way to run a command apart.

    `command` gives the whole argument list that the shim executes. What it runs may write JSON
    lines to descriptor 3, or 5, which is the same file: `{"child-pid": …}` for the first process
    of a pid namespace, `{"exit-code": n}` at the end when it `reports_exit_code` (else its own
    exit status counts), and between them what INNER_SCRIPT writes.
    """

    name: ClassVar[str]
    reports_exit_code: ClassVar[bool] = True

    @property
    @abstractmethod
    def private_network(self) -> bool:
        """Whether tasks get a network of their own."""

    @abstractmethod
    def problem(self) -> str | None:
        """Why it can't be used on this machine, with the way out; None when it can."""

    @abstractmethod
    def places(self, spec: TaskSpec, scratch: Path) -> Places: ...

    @abstractmethod
    def scratch_parent(self, task_folder: Path) -> Path:
        """Where a task's scratch folder goes, given the agent's own folder for the task."""

    @abstractmethod
    def command(self, task: SandboxTask) -> list[str]: ...

    def hidden_arguments(self, task: SandboxTask) -> list[str]:
        """Words that `command` reads from ARGUMENTS_FD, each ended by a NUL: they tell of the
        node, and an argument list can be read by who runs inside (/proc/1/cmdline)."""
        return []

    @abstractmethod
    def isolation(self) -> dict[str, str]:
        """What a task gets, in words."""

    def seccomp_filter(self) -> bytes:
        """The program that filters system calls, empty for none."""
        return b""

    def reachable(self, path: str, spec: TaskSpec) -> bool:
        """Whether the task's user will be able to enter a folder of the node."""
        return True


def inner_command(task: SandboxTask, places: Places, working_directory: str) -> list[str]:
    arguments = [working_directory, places.environment_file, *task.spec.command]
    return [SHELL, "-c", INNER_SCRIPT, "sh", *arguments]


def become_user(spec: TaskSpec) -> list[str]:
    """The prefix that gives up root for the user's uid and groups, for good."""
    groups = ",".join(str(gid) for gid in sorted({spec.user.gid, *spec.user.gids}))
    return [
        "/usr/bin/setpriv",
        f"--reuid={spec.user.uid}",
        f"--regid={spec.user.gid}",
        f"--groups={groups}",
        "--inh-caps=-all",
        "--ambient-caps=-all",
        "--bounding-set=-all",
        "--no-new-privs",
    ]


def is_root() -> bool:
    return os.geteuid() == 0
