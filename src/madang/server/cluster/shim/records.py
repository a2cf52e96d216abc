"""The files of a task's folder, and how processes are found again.

Everything here survives `kill -9` at any line: a record is whole or absent (write, fsync, rename),
a lock ends with its holder, a process is named by pid, start time and boot.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import signal
import time

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

SPEC = "spec.json"
PLAN = "launch.json"
SHIM_LOCK = "shim.lock"
SHIM = "shim.json"
LAUNCHED = "launched"
CHILD_LOCK = "child.lock"
CHILD = "child.json"
STATUS = "status"
OUTPUT = "output"
ENDED = "ended"
STOP = "stop"
STOPPING = "stopping.json"
EXIT = "exit.json"
EXIT_RESERVE = "exit.reserve"
SENT = "reports.sent"
FORGOTTEN = "forgotten"

_RESERVED_BYTES = 8192

_PLAN_DEFAULTS = {
    "arguments": [],
    "app_port": 0,
    "app_socket": "",
    "cgroups": {},
    "exit_code_key": "exit-code",
    "grace_s": 30.0,
    "isolation": {},
    "lease_file": "",
    "log_bytes": 16 << 20,
    "log_files": 2,
    "seccomp": "",
    "time_limit_s": 0.0,
}
_FACT_DEFAULTS = {
    "command_not_found": {"command": "", "place": "the PATH"},
    "memory_limit": "what it asked for",
    "no_directory": "the working directory can't be entered",
    "time_limit": "what it asked for",
}
"""What a task had whose plan an earlier version wrote, before there was such a key."""


def read_json(folder: str, name: str) -> Any:
    """The record, or None when it was never written."""
    try:
        with open(os.path.join(folder, name), encoding="utf-8") as file:
            return json.load(file)
    except FileNotFoundError:
        return None


def read_plan(folder: str) -> Any:
    """What the shim works by. A task outlives upgrades: keys that its plan lacks are added."""
    plan = {**_PLAN_DEFAULTS, **read_json(folder, PLAN)}
    facts = {"task_folder": folder, "node": "this node", **_FACT_DEFAULTS, **plan.get("facts", {})}
    plan["facts"] = {"node_lost": {"node": facts["node"]}, **facts}
    return plan


def write_json(folder: str, name: str, value: Any, *, durable: bool = True) -> None:
    """Replace a record in one step; `durable` keeps it over a power cut."""
    path = os.path.join(folder, name)
    temporary = f"{path}.{os.getpid()}"
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    try:
        os.write(descriptor, json.dumps(value).encode())
        if durable:
            os.fsync(descriptor)
    finally:
        os.close(descriptor)
    os.rename(temporary, path)
    if durable:
        sync_folder(folder)


def sync_folder(folder: str) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def reserve_exit_record(folder: str) -> None:
    """Set aside the disk space of the exit record, so that a full disk can still be reported."""
    path = os.path.join(folder, EXIT_RESERVE)
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT, 0o600)
    try:
        os.posix_fallocate(descriptor, 0, _RESERVED_BYTES)
    finally:
        os.close(descriptor)


def write_exit_record(folder: str, record: dict[str, Any]) -> None:
    """Write how the task ended, into the reserved space; the first record stays."""
    if os.path.exists(os.path.join(folder, EXIT)):
        return
    text = json.dumps(record).encode()
    path = os.path.join(folder, EXIT_RESERVE)
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT, 0o600)
    try:
        # The rest of the reserved space becomes blanks, which JSON allows.
        os.pwrite(descriptor, text.ljust(_RESERVED_BYTES), 0)
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
    os.rename(path, os.path.join(folder, EXIT))
    sync_folder(folder)


def take_lock(folder: str, name: str, *, wait: bool) -> int | None:
    """Lock a file of the folder until the returned descriptor is closed by everyone who has it;
    None when somebody else has it and `wait` is False."""
    descriptor = os.open(os.path.join(folder, name), os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
    except BlockingIOError:
        os.close(descriptor)
        return None
    return descriptor


def boot_id() -> str:
    with open("/proc/sys/kernel/random/boot_id", encoding="ascii") as file:
        return file.read().strip()


def boottime_s() -> float:
    """Seconds since boot, sleep included: right for deadlines that outlive a process."""
    return time.clock_gettime(time.CLOCK_BOOTTIME)


def start_time(pid: int) -> str | None:
    """When a process began, in the kernel's ticks; None when there is none or it is a zombie."""
    try:
        with open(f"/proc/{pid}/stat", encoding="ascii", errors="replace") as file:
            fields = file.read().rpartition(")")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return None
    return None if fields[0] in "ZX" else fields[19]


def identity(pid: int) -> dict[str, Any]:
    """What finds this process again, and no later one with its number."""
    return {"pid": pid, "start_time": start_time(pid), "boot_id": boot_id()}


def open_process(identity: dict[str, Any] | None) -> int | None:
    """A pidfd of the process that `identity` names, or None when it is gone."""
    if identity is None or identity["boot_id"] != boot_id():
        return None
    try:
        descriptor = os.pidfd_open(identity["pid"])
    except ProcessLookupError:
        return None
    if start_time(identity["pid"]) != identity["start_time"]:
        os.close(descriptor)
        return None
    return descriptor


def kill_process(identity: dict[str, Any] | None) -> None:
    """Kill the process that `identity` names, if it is still there."""
    descriptor = open_process(identity)
    if descriptor is not None:
        with contextlib.suppress(ProcessLookupError):
            signal.pidfd_send_signal(descriptor, signal.SIGKILL)
        os.close(descriptor)


def read_status(folder: str) -> dict[str, Any]:
    """What the sandbox wrote about its child: the keys of all its lines in one dictionary."""
    merged: dict[str, Any] = {}
    try:
        with open(os.path.join(folder, STATUS), encoding="utf-8") as file:
            for line in file:
                if line.endswith("\n"):
                    merged.update(json.loads(line))
    except FileNotFoundError:
        pass
    return merged
