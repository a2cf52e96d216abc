"""The processes of a task: finding them all, signalling them all."""

from __future__ import annotations

import os
import signal

from . import cgroups, records


class TaskProcesses:
    """All processes of one task, whatever it has forked.

    `keeper_pid` is the shell that keeps the task's pipes, which is never touched here; `init_pid`
    the first process of the task's own pid namespace, 0 when it has none: it and its parent, the
    sandbox, are not the user's and write down how she ends.
    """

    def __init__(self, groups: cgroups.Groups, keeper_pid: int, init_pid: int) -> None:
        self._groups = groups
        self._keeper_pid = keeper_pid
        self._init_pid = init_pid

    def users(self) -> list[int]:
        """The user's processes."""
        keep_out = {self._init_pid, _parent(self._init_pid)} if self._init_pid else set()
        return [pid for pid in self._all() if pid not in keep_out]

    def terminate(self) -> None:
        """Ask each of them to end; a stopped one is woken to hear it."""
        for pid in self.users():
            _send(pid, signal.SIGTERM)
            _send(pid, signal.SIGCONT)

    def kill_users(self) -> None:
        """Kill the user's processes; the sandbox's own stay to write down the exit status."""
        for pid in self.users():
            _send(pid, signal.SIGKILL)

    def kill_all(self) -> bool:
        """Kill whatever there is but the keeper; True once there is nothing."""
        remaining = self._all()
        if not remaining:
            return True
        if self._init_pid in remaining:
            _send(self._init_pid, signal.SIGKILL)
        if not cgroups.kill(self._groups):
            for pid in remaining:
                _send(pid, signal.SIGKILL)
        return False

    def _all(self) -> list[int]:
        if self._groups:
            return cgroups.pids(self._groups)
        found = set(_in_session(self._keeper_pid))
        if self._init_pid:
            found.update(_in_pid_namespace(self._init_pid))
        return sorted(found - {self._keeper_pid})


def _send(pid: int, number: int) -> None:
    try:
        os.kill(pid, number)
    except ProcessLookupError:
        return


def _parent(pid: int) -> int:
    try:
        with open(f"/proc/{pid}/stat", encoding="ascii", errors="replace") as file:
            return int(file.read().rpartition(")")[2].split()[1])
    except OSError:
        return 0


def _every_pid() -> list[int]:
    return [int(name) for name in os.listdir("/proc") if name.isdigit()]


def _in_pid_namespace(init_pid: int) -> list[int]:
    wanted = _namespace(init_pid)
    if wanted is None:
        return []
    found = (pid for pid in _every_pid() if _namespace(pid) == wanted)
    # The dead that nobody has taken note of yet don't count.
    return [pid for pid in found if records.start_time(pid) is not None]


def _namespace(pid: int) -> str | None:
    try:
        return os.readlink(f"/proc/{pid}/ns/pid")
    except OSError:
        return None


def _in_session(session: int) -> list[int]:
    """Members of a session and their descendants: what can be found without control groups."""
    parents: dict[int, int] = {}
    found: set[int] = set()
    for pid in _every_pid():
        try:
            with open(f"/proc/{pid}/stat", encoding="ascii", errors="replace") as file:
                fields = file.read().rpartition(")")[2].split()
        except OSError:
            continue
        if fields[0] in "ZX":
            continue
        parents[pid] = int(fields[1])
        if int(fields[3]) == session:
            found.add(pid)
    grown = True
    while grown:
        children = {pid for pid, parent in parents.items() if parent in found} - found
        found |= children
        grown = bool(children)
    return sorted(found)
