"""Getting a task ready to launch: its folders, its limits, and the plan that its shim follows."""

from __future__ import annotations

import errno
import os
import shutil
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from madang.core.mount_targets import clash, problem_with
from madang.core.reasons import Reason, ReasonCode
from madang.core.resources import format_bytes
from madang.server.cluster.agent.folder import TaskFolder
from madang.server.cluster.devices import DevicePlugin
from madang.server.cluster.protocol import ExitRecord, TaskSpec
from madang.server.cluster.sandbox import Sandbox, SandboxTask
from madang.server.cluster.shim import cgroups
from madang.server.paths import StatePaths, make_folder

MAX_PIDS = 8192
"""Processes and threads of one task: far more than any needs, far less than a machine has."""

RELAY_PLACEHOLDER = "%RELAY_PORT%"

_SYSTEM_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


class CannotStart(Exception):
    """The task can't be started here; `reason` says why."""

    def __init__(self, code: ReasonCode, **facts: Any) -> None:
        self.reason = Reason(code, facts)
        super().__init__(str(self.reason))

    def to_exit(self) -> ExitRecord:
        return ExitRecord(
            reason=str(self.reason.code),
            facts=self.reason.facts,
            exit_code=None,
            started_at=None,
            ended_at=time.time(),
        )


def cannot_start(error: OSError, folder: TaskFolder) -> CannotStart:
    """The reason that an error while preparing stands for."""
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return CannotStart(ReasonCode.DISK_FULL, place=str(folder))
    cause = f"{error.strerror}: {error.filename}" if error.filename else str(error)
    return CannotStart(ReasonCode.START_FAILED, cause=cause)


@dataclass(frozen=True, slots=True)
class Preparer:
    """Writes the launch plan of a task into its folder. Safe to repeat until it is launched."""

    node: str
    paths: StatePaths
    sandboxes: Mapping[str, Sandbox]
    plugins: Sequence[DevicePlugin]
    hierarchies: cgroups.Hierarchies
    wake_socket: Path
    lease_file: Path
    commands: Path | None = None
    """Where the native file commands are."""

    def prepare(self, spec: TaskSpec, folder: TaskFolder) -> None:
        """Raises CannotStart with the reason."""
        try:
            folder.write_plan(self._plan(spec, folder))
        except OSError as error:
            raise cannot_start(error, folder) from error

    def _plan(self, spec: TaskSpec, folder: TaskFolder) -> dict[str, Any]:
        sandbox = self._sandbox(spec)
        self._check_environment(spec, sandbox)
        for mount in spec.mounts:
            _check_mount(mount.source, mount.folder or mount.target, sandbox, spec)
        prefixes = python_prefixes(spec.environment_path)
        if self.commands is not None:
            prefixes += (str(self.commands),)
        _check_targets(spec, prefixes)
        scratch = sandbox.scratch_parent(folder.path) / "scratch"
        _make_scratch(scratch, spec)
        groups, limits = self._limit(spec)
        task = SandboxTask(spec, scratch, tuple(self._device_nodes(spec)), prefixes)
        seccomp = self._seccomp_file(sandbox)
        return {
            "task_id": spec.task_id,
            "attempt": spec.attempt,
            "argv": sandbox.command(task),
            "arguments": sandbox.hidden_arguments(task),
            "exit_code_key": "exit-code" if sandbox.reports_exit_code else "keeper-code",
            "env": self._environment_variables(spec, sandbox, scratch),
            "environment_file": str(scratch / "run" / "environment"),
            "relay_placeholder": RELAY_PLACEHOLDER,
            "seccomp": seccomp,
            "uid": spec.user.uid,
            "gid": spec.user.gid,
            "cgroups": groups,
            "scratch": str(scratch),
            "report_socket": str(scratch / "run" / "report.sock"),
            "control_socket": str(self.paths.control_socket),
            "wake_socket": str(self.wake_socket),
            "api_token": spec.api_token,
            "app_port": spec.app_port,
            "app_socket": str(self.paths.app_socket(spec.task_id)),
            "time_limit_s": spec.time_limit_s,
            "grace_s": spec.grace_s,
            "log_bytes": spec.log_bytes,
            "log_files": spec.log_files,
            "lease_file": str(self.lease_file) if spec.on_node_lost == "restart" else "",
            "isolation": sandbox.isolation() | limits | self._device_words(spec),
            "private_network": sandbox.private_network,
            "network_group": spec.network_group,
            "facts": self._facts(spec, folder),
        }

    def _sandbox(self, spec: TaskSpec) -> Sandbox:
        sandbox = self.sandboxes.get(spec.sandbox)
        if sandbox is None:
            cause = f"this node has no sandbox {spec.sandbox!r}"
            raise CannotStart(ReasonCode.START_FAILED, cause=cause)
        problem = sandbox.problem()
        if problem:
            raise CannotStart(ReasonCode.START_FAILED, cause=problem)
        return sandbox

    def _check_environment(self, spec: TaskSpec, sandbox: Sandbox) -> None:
        path = spec.environment_path
        if not path:
            return
        cause = ""
        if not os.path.isdir(path):
            cause = f"its folder {path} is not there"
        elif not os.path.exists(f"{path}/bin/python"):
            cause = f"{path} has no bin/python"
        elif not sandbox.reachable(path, spec):
            cause = f"without a sandbox, user {spec.user.name} can't enter {path}"
        if cause:
            name = spec.environment_name or path
            raise CannotStart(ReasonCode.ENVIRONMENT_FAILED, environment=name, cause=cause)

    def _limit(self, spec: TaskSpec) -> tuple[cgroups.Groups, dict[str, str]]:
        wanted = {"memory": spec.memory_bytes, "cpu": spec.cpu_milli, "pids": MAX_PIDS}
        limits = {name: amount for name, amount in wanted.items() if amount}
        return self.hierarchies.create(spec.task_id, limits)

    def _seccomp_file(self, sandbox: Sandbox) -> str:
        program = sandbox.seccomp_filter()
        if not program:
            return ""
        path = self.paths.tasks / f".seccomp-{sandbox.name}"
        if not path.exists() or path.read_bytes() != program:
            temporary = path.with_suffix(f".{threading.get_ident()}")
            temporary.write_bytes(program)
            temporary.rename(path)
        return str(path)

    def _device_nodes(self, spec: TaskSpec) -> list[str]:
        held = [share for share in spec.devices if not share.simulated]
        return [
            node
            for plugin in self.plugins
            for node in plugin.nodes([share for share in held if plugin.owns(share)])
        ]

    def _device_words(self, spec: TaskSpec) -> dict[str, str]:
        return {"devices": "simulated"} if any(share.simulated for share in spec.devices) else {}

    def _environment_variables(
        self, spec: TaskSpec, sandbox: Sandbox, scratch: Path
    ) -> dict[str, str]:
        places = sandbox.places(spec, scratch)
        api_url = f"http://127.0.0.1:{RELAY_PLACEHOLDER}"
        variables = {
            "LANG": "C.UTF-8",
            "HOME": places.home,
            "USER": spec.user.name,
            "LOGNAME": spec.user.name,
            "TMPDIR": places.tmp,
            "SHELL": "/bin/sh",
            "MLFLOW_TRACKING_URI": api_url,
            # The address that it would print leads to this task's relay: nobody can open it.
            "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",
            **spec.environment_variables,
            "MADANG_API_URL": api_url,
            "MADANG_REPORT_SOCKET": places.report_socket,
        }
        path = spec.environment_variables.get("PATH", _SYSTEM_PATH)
        if spec.environment_path:
            variables["VIRTUAL_ENV"] = spec.environment_path
            variables["PATH"] = f"{spec.environment_path}/bin:{path}"
        else:
            variables["PATH"] = f"{sys.base_prefix}/bin:{path}"
        if self.commands is not None:
            variables["PATH"] += f":{self.commands}"
        for plugin in self.plugins:
            held = [share for share in spec.devices if plugin.owns(share)]
            variables.update(plugin.environment_variables(held))
        return variables

    def _facts(self, spec: TaskSpec, folder: TaskFolder) -> dict[str, Any]:
        """The facts of the reasons that the shim may have to give, in people's words."""
        place = f"environment {spec.environment_name}" if spec.environment_name else "the PATH"
        directory = spec.working_directory or "its home"
        return {
            "node": self.node,
            "task_folder": str(folder),
            "command_not_found": {"command": spec.command[0], "place": place},
            "no_directory": f"the working directory, {directory}, can't be entered",
            "memory_limit": format_bytes(spec.memory_bytes),
            "time_limit": format_seconds(spec.time_limit_s),
            "node_lost": {"node": self.node},
        }


def python_prefixes(environment_path: str) -> tuple[str, ...]:
    """The Python installations outside /usr that a task needs: the one that its environment was
    made from, or this process's own."""
    prefixes = {sys.base_prefix}
    if environment_path:
        interpreter = os.path.realpath(f"{environment_path}/bin/python")
        prefixes = {os.path.dirname(os.path.dirname(interpreter))}
    own = os.path.realpath(environment_path) if environment_path else ""
    return tuple(p for p in prefixes if not p.startswith("/usr") and p not in ("/", own))


def format_seconds(seconds: float) -> str:
    """`90 s`, `5 min`, `2 h 30 min`: as people say it."""
    if seconds < 120:
        return f"{seconds:g} s"
    minutes = round(seconds / 60)
    hours, minutes = divmod(minutes, 60)
    parts = [f"{hours} h" if hours else "", f"{minutes} min" if minutes else ""]
    return " ".join(part for part in parts if part)


def _check_mount(source: str, name: str, sandbox: Sandbox, spec: TaskSpec) -> None:
    if not os.path.exists(source):
        raise CannotStart(ReasonCode.FOLDER_MISSING, folder=name, cause=f"{source} is not there")
    if not sandbox.reachable(source, spec):
        cause = f"without a sandbox, user {spec.user.name} can't enter {source}"
        raise CannotStart(ReasonCode.FOLDER_MISSING, folder=name, cause=cause)


def _check_targets(spec: TaskSpec, prefixes: Sequence[str]) -> None:
    """What is mounted must not lie in anything else that is, whoever let it come this far:
    bubblewrap, as root, follows the links that it finds on its way."""
    taken = [(path, f"the platform's own ({path})") for path in prefixes]
    if spec.environment_path:
        taken.append((spec.environment_path, f"environment {spec.environment_name}"))
    for mount in spec.mounts:
        name = mount.folder or mount.target
        causes = [
            f"its place, {mount.target}, and that of {other}, {target}, overlap"
            for target, other in taken
            if clash(target, mount.target)
        ]
        if problem := problem_with(mount.target):
            causes = [f"{mount.target!r} {problem}"]
        if causes:
            cause = f"{causes[0]}; mount it elsewhere, such as /mnt/NAME"
            raise CannotStart(ReasonCode.FOLDER_MISSING, folder=name, cause=cause)
        taken.append((mount.target, name))


def _make_scratch(scratch: Path, spec: TaskSpec) -> None:
    """`home` and `tmp` are the user's, `run` and `etc` ours to write and hers to read."""
    shutil.rmtree(scratch, ignore_errors=True)
    for folder in (scratch.parent.parent, scratch.parent, scratch):
        make_folder(folder, 0o711)
    for name in ("home", "tmp"):
        (scratch / name).mkdir(mode=0o700)
        if os.geteuid() == 0:
            os.chown(scratch / name, spec.user.uid, spec.user.gid)
    for name in ("run", "etc"):
        make_folder(scratch / name, 0o755)
    user, home = spec.user, f"/home/{spec.user.name}"
    files = {}
    files["passwd"] = (
        "root:x:0:0:root:/root:/usr/sbin/nologin\n"
        f"{user.name}:x:{user.uid}:{user.gid}:{user.name}:{home}:/bin/sh\n"
        "nobody:x:65534:65534:nobody:/nonexistent:/usr/sbin/nologin\n"
    )
    files["hosts"] = f"{_machine_hosts()}\n127.0.0.1 {spec.task_id}\n"
    groups = "".join(f"g{gid}:x:{gid}:{user.name}\n" for gid in user.gids if gid != user.gid)
    files["group"] = f"root:x:0:\n{user.name}:x:{user.gid}:\n{groups}nogroup:x:65534:\n"
    for name, text in files.items():
        (scratch / "etc" / name).write_text(text)
        (scratch / "etc" / name).chmod(0o644)


def _machine_hosts() -> str:
    """The machine's own names; a task's host name is added, for programs that look it up."""
    try:
        return Path("/etc/hosts").read_text(errors="replace")
    except OSError:
        return "127.0.0.1 localhost"
