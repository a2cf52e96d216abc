"""Starting the task's process, once and never again."""

from __future__ import annotations

import fcntl
import os
import shlex
import socket
import time

from . import records

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, NoReturn

STATUS_FD = 3
"""Where the sandbox writes what becomes of its child (JSON lines into `status`)."""
WORD_FD = 5
"""The same, for the last step before the user's command; bubblewrap keeps the other to itself."""
SECCOMP_FD = 4
"""Where it reads the system call filter from."""
ARGUMENTS_FD = 7
"""Where it reads most of its arguments from: what is in its argument list, the task can read."""

_CLEAR_OF_THE_CHILD = 100

_KEEPER_ENVIRONMENT = {
    "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
    "LANG": "C.UTF-8",
}
"""All that the keeper, the sandbox and whatever else runs before the user's uid ever see. The
task's own variables (LD_PRELOAD, ENV…) would make them run the user's code as root."""

_KEEPER_SCRIPT = """\
ended=$1 groups=$2
shift 2
trap : TERM INT HUP
exec 6>&2 2>/dev/null
(
    while [ "$groups" -gt 0 ]; do
        echo 0 >"$1/cgroup.procs" || exit 125
        shift
        groups=$((groups - 1))
    done
    exec "$@" 2>&6 6>&-
)
code=$?
exec 6>&-
echo "{\\"ended\\": true, \\"keeper-code\\": $code}" >&3
echo >"$ended"
read _ <"$ended"
"""
"""The keeper: a shell around the sandbox, outside its control groups. It keeps the pipe of the
output and the socket of the reports open, so that what is in them outlives a killed shim: at the
end it waits (a FIFO blocks until its other end is opened) for a shim to hear of it, and then until
the shim, which has taken everything, kills it."""


def mark_launched(folder: str, relay_port: int) -> dict[str, Any]:
    """Write down, for ever, that this task is being started: nobody will start it again, unless
    it is certain that it never began."""
    marker = {
        "boot_id": records.boot_id(),
        "boottime_s": records.boottime_s(),
        "time_s": time.time(),
        "relay_port": relay_port,
    }
    records.write_json(folder, records.LAUNCHED, marker)
    return marker


def never_began(folder: str, marker: dict[str, Any]) -> bool:
    """Whether our predecessor was killed after its mark and before there was a child, which the
    child's own word and lock tell; after a power cut, when its word may be lost, nobody knows."""
    lock = records.take_lock(folder, records.CHILD_LOCK, wait=True)
    assert lock is not None
    os.close(lock)
    return (
        marker["boot_id"] == records.boot_id()
        and records.read_json(folder, records.CHILD) is None
        and not records.read_status(folder)
    )


def make_pipes(folder: str, uid: int, gid: int) -> None:
    """The FIFOs of the output and of the end."""
    ended = os.path.join(folder, records.ENDED)
    if not os.path.exists(ended):
        os.mkfifo(ended, 0o600)
    path = os.path.join(folder, records.OUTPUT)
    if not os.path.exists(path):
        os.mkfifo(path, 0o600)
        if os.geteuid() == 0:
            # So that the task can open /dev/stdout, which is this pipe.
            os.chown(path, uid, gid)


def open_output_pipe(folder: str) -> int:
    """Both ends in one: whoever has it keeps the pipe whole when the other side is gone."""
    descriptor = os.open(os.path.join(folder, records.OUTPUT), os.O_RDWR | os.O_NONBLOCK)
    try:
        fcntl.fcntl(descriptor, fcntl.F_SETPIPE_SZ, 1 << 20)
    except PermissionError:
        return descriptor  # the user's pipes are at their limit: a smaller one does
    return descriptor


def write_environment(path: str, env: dict[str, str], uid: int, gid: int) -> None:
    """Leave the task's variables where the last step before its command, which runs under its
    uid, reads them. Its folder is not the user's to write."""
    # A variable that the shell keeps for itself is refused; `command` makes that no end of it.
    lines = [f"command export {name}={shlex.quote(value)}\n" for name, value in env.items()]
    for name, value in env.items():
        if not (name.isascii() and name.isidentifier()) or "\0" in value:
            raise ValueError(f"the environment variable {name!r} can't be set")
    if os.path.lexists(path):
        os.unlink(path)
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW
    with os.fdopen(os.open(path, flags, 0o400), "wb") as file:
        file.write(os.fsencode("".join(lines)))
        if os.geteuid() == 0:
            os.fchown(file.fileno(), uid, gid)


def start(folder: str, plan: dict[str, Any], reports: socket.socket) -> int:
    """Fork and execute the plan's command; returns its pid.

    The child writes down who it is before it becomes the command, holding a lock meanwhile:
    should we be killed here, whoever takes the lock after us finds either a child or none.
    """
    lock = records.take_lock(folder, records.CHILD_LOCK, wait=True)
    assert lock is not None
    pid = os.fork()
    if pid == 0:
        _become(folder, plan, reports)
    os.close(lock)
    return pid


def _become(folder: str, plan: dict[str, Any], reports: socket.socket) -> NoReturn:
    status = -1
    try:
        status = _status_file(folder)
        os.setsid()
        os.umask(0o022)
        records.write_json(folder, records.CHILD, records.identity(os.getpid()), durable=False)
        # The sandbox's own processes keep the socket as their standard input, so that reports
        # sent while no shim is there wait in it; the user's process gets /dev/null.
        inherited = {0: reports.fileno()}
        inherited[1] = inherited[2] = os.open(os.path.join(folder, records.OUTPUT), os.O_RDWR)
        inherited[STATUS_FD] = inherited[WORD_FD] = status
        if plan["seccomp"]:
            inherited[SECCOMP_FD] = os.open(plan["seccomp"], os.O_RDONLY)
        if plan["arguments"]:
            inherited[ARGUMENTS_FD] = _memory_file(plan["arguments"])
        high = {
            target: fcntl.fcntl(source, fcntl.F_DUPFD_CLOEXEC, _CLEAR_OF_THE_CHILD)
            for target, source in inherited.items()
        }
        status = high[STATUS_FD]
        for target, source in high.items():
            os.dup2(source, target)
        os.chdir("/")
        groups = sorted(set(plan["cgroups"].values()))
        ended = os.path.join(folder, records.ENDED)
        keeper = ["/bin/sh", "-c", _KEEPER_SCRIPT, "keeper", ended, str(len(groups)), *groups]
        os.execve("/bin/sh", [*keeper, *plan["argv"]], _KEEPER_ENVIRONMENT)
    except BaseException as error:
        text = b'{"error": %s}\n' % _json(f"{type(error).__name__}: {error}")
        os.write(status, text)
    finally:
        os._exit(127)


def _memory_file(words: list[str]) -> int:
    """A file without a name, with each word ended by a NUL, to be read from its beginning."""
    descriptor = os.memfd_create("arguments")
    os.write(descriptor, b"".join(os.fsencode(word) + b"\0" for word in words))
    os.lseek(descriptor, 0, os.SEEK_SET)
    return descriptor


def _status_file(folder: str) -> int:
    path = os.path.join(folder, records.STATUS)
    return os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)


def _json(text: str) -> bytes:
    import json

    return json.dumps(text).encode()


def inherit_report_socket(child: int) -> socket.socket | None:
    """The report socket that a task's sandbox kept as its standard input when our predecessor
    was killed; `child` is a pidfd. None where the kernel doesn't let us have it."""
    import ctypes

    pidfd_getfd = 438
    libc = ctypes.CDLL(None, use_errno=True)
    descriptor = libc.syscall(pidfd_getfd, child, 0, 0)
    return socket.socket(fileno=descriptor) if descriptor >= 0 else None


def bind_report_socket(path: str, uid: int, gid: int) -> socket.socket:
    if os.path.lexists(path):
        os.unlink(path)
    receiver = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    # The kernel takes 107 bytes at most, and a state folder may lie deep: bind by its descriptor.
    folder = os.open(os.path.dirname(path), os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        receiver.bind(f"/proc/self/fd/{folder}/{os.path.basename(path)}")
    finally:
        os.close(folder)
    if os.geteuid() == 0:
        os.chown(path, uid, gid)
    os.chmod(path, 0o600)
    return receiver
