"""Limits of a task: control groups, version 1 and 2, whichever controls what on this machine.

The agent makes a task's groups and sets the limits; the shim starts the task in them,
watches for lack of memory, kills what is left and removes them. Both use this module.
"""

from __future__ import annotations

import os
import select

CONTROLLERS = ("memory", "cpu", "pids")
_V1_EXTRA = ("cpuacct",)
_PERIOD_US = 100_000

Groups = dict[str, str]
"""Controller → the task's folder in that controller's hierarchy; the same one for all in v2."""


class Hierarchies:
    """Which controllers can be used here, and where. `problems` says why not, in words."""

    def __init__(self, subtree: str, mounts: str = "/proc/self/mounts") -> None:
        self._subtree = subtree
        self.roots: dict[str, str] = {}
        self.unified: set[str] = set()
        self.problems: dict[str, str] = {}
        with open(mounts, encoding="utf-8") as file:
            entries = [line.split() for line in file]
        self._find_v1([entry for entry in entries if entry[2] == "cgroup"])
        self._find_v2([entry for entry in entries if entry[2] == "cgroup2"])
        for controller in CONTROLLERS:
            if controller not in self.roots:
                self.problems.setdefault(controller, "no such control group on this machine")

    @property
    def limits(self) -> set[str]:
        """What can be limited on this machine."""
        return set(self.roots) & set(CONTROLLERS)

    def create(self, task_id: str, limits: dict[str, int]) -> tuple[Groups, dict[str, str]]:
        """Make a task's groups with `limits` (memory bytes, cpu thousandths, number of pids).

        Returns the groups and for each limit "enforced" or "not enforced (why)".
        """
        groups: Groups = {}
        words: dict[str, str] = {}
        for controller in (*CONTROLLERS, *_V1_EXTRA):
            root = self.roots.get(controller)
            if root is None:
                if controller in limits:
                    words[controller] = f"not enforced ({self.problems[controller]})"
                continue
            path = os.path.join(root, task_id)
            try:
                os.makedirs(path, exist_ok=True)
                if controller in limits:
                    self._limit(path, controller, limits[controller])
                    words[controller] = "enforced"
                groups[controller] = path
            except OSError as error:
                words[controller] = f"not enforced ({error.strerror})"
        return groups, words

    def _limit(self, path: str, controller: str, amount: int) -> None:
        unified = controller in self.unified
        if controller == "memory":
            if unified:
                _write(path, "memory.max", amount)
                _write(path, "memory.oom.group", 1)
                _write_if_there(path, "memory.swap.max", 0)
            else:
                _write(path, "memory.limit_in_bytes", amount)
                _write_if_there(path, "memory.memsw.limit_in_bytes", amount)
        elif controller == "cpu":
            quota_us = max(1000, amount * _PERIOD_US // 1000)
            if unified:
                _write(path, "cpu.max", f"{quota_us} {_PERIOD_US}")
            else:
                _write(path, "cpu.cfs_period_us", _PERIOD_US)
                _write(path, "cpu.cfs_quota_us", quota_us)
        else:
            _write(path, "pids.max", amount)

    def _find_v1(self, entries: list[list[str]]) -> None:
        for entry in entries:
            for controller in (*CONTROLLERS, *_V1_EXTRA):
                if controller in entry[3].split(","):
                    self._use(controller, entry[1])

    def _find_v2(self, entries: list[list[str]]) -> None:
        for entry in entries:
            mount = entry[1]
            available = _read(mount, "cgroup.controllers").split()
            for controller in CONTROLLERS:
                if controller in available and controller not in self.roots:
                    self._delegate(controller, mount)

    def _delegate(self, controller: str, mount: str) -> None:
        """Hand a controller of version 2 down to our part of the tree."""
        self._use(controller, mount)
        if controller not in self.roots:
            return
        try:
            path = mount
            _write(path, "cgroup.subtree_control", f"+{controller}")
            for part in self._subtree.split("/"):
                path = os.path.join(path, part)
                _write(path, "cgroup.subtree_control", f"+{controller}")
            self.unified.add(controller)
        except OSError as error:
            del self.roots[controller]
            self.problems[controller] = f"control groups: {error.strerror}"

    def _use(self, controller: str, mount: str) -> None:
        path = os.path.join(mount, self._subtree)
        try:
            os.makedirs(path, exist_ok=True)
            if not os.access(path, os.W_OK):
                raise PermissionError(13, "Permission denied")
            self.roots[controller] = path
        except OSError as error:
            self.problems[controller] = f"control groups: {error.strerror}"


def pids(groups: Groups) -> list[int]:
    found: set[int] = set()
    for path in set(groups.values()):
        found.update(int(word) for word in _read(path, "cgroup.procs").split())
    return sorted(found)


def kill(groups: Groups) -> bool:
    """Kill in one step where the kernel can (version 2); False when it can't."""
    killed = False
    for path in set(groups.values()):
        if os.path.exists(os.path.join(path, "cgroup.kill")):
            _write(path, "cgroup.kill", 1)
            killed = True
    return killed


def remove(groups: Groups) -> None:
    """Remove empty groups; those that still have a process stay."""
    for path in set(groups.values()):
        try:
            os.rmdir(path)
        except OSError:
            continue


def oom_kills(groups: Groups) -> int:
    """How many processes of the task the kernel has killed for lack of memory."""
    path = groups.get("memory")
    if path is None:
        return 0
    counters = dict(
        line.split(maxsplit=1)
        for name in ("memory.events", "memory.oom_control")
        for line in _read(path, name).splitlines()
    )
    return int(counters.get("oom_kill", 0))


def usage(groups: Groups) -> dict[str, float]:
    """`memory_bytes` now, `peak_memory_bytes`, `cpu_s` so far; what can't be known is 0."""
    memory, cpu = groups.get("memory", ""), groups.get("cpuacct") or groups.get("cpu", "")
    current = _number(memory, "memory.current", "memory.usage_in_bytes")
    peak = _number(memory, "memory.peak", "memory.max_usage_in_bytes")
    cpu_s = _number(cpu, "cpuacct.usage") / 1e9
    for line in _read(cpu, "cpu.stat").splitlines():
        if line.startswith("usage_usec "):
            cpu_s = int(line.split()[1]) / 1e6
    return {"memory_bytes": current, "peak_memory_bytes": max(peak, current), "cpu_s": cpu_s}


class OomWatch:
    """A descriptor that becomes ready when the task has run out of memory; None where the kernel
    has no such signal. `mask` is the event to wait for."""

    def __init__(self, groups: Groups) -> None:
        self.descriptor: int | None = None
        self.mask = 0
        self._files: list[int] = []
        path = groups.get("memory")
        if path is None:
            return
        if os.path.exists(os.path.join(path, "memory.events")):
            self.descriptor = os.open(os.path.join(path, "memory.events"), os.O_RDONLY)
            self.mask = select.EPOLLPRI
        elif os.path.exists(os.path.join(path, "cgroup.event_control")):
            control = os.open(os.path.join(path, "memory.oom_control"), os.O_RDONLY)
            self.descriptor = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)
            self.mask = select.EPOLLIN
            self._files.append(control)
            _write(path, "cgroup.event_control", f"{self.descriptor} {control}")

    def clear(self) -> None:
        """Take the event, so that only a new one makes the descriptor ready again."""
        assert self.descriptor is not None
        try:
            os.read(self.descriptor, 8 if self.mask == select.EPOLLIN else 4096)
            os.lseek(self.descriptor, 0, os.SEEK_SET)
        except OSError:
            return  # an eventfd can't be rewound, and may have been taken already

    def close(self) -> None:
        for descriptor in self._files:
            os.close(descriptor)
        if self.descriptor is not None:
            os.close(self.descriptor)
        self.descriptor = None
        self._files.clear()


def _number(folder: str, *names: str) -> float:
    for name in names:
        text = _read(folder, name).strip() if folder else ""
        if text.isdigit():
            return int(text)
    return 0


def _read(folder: str, name: str) -> str:
    try:
        with open(os.path.join(folder, name), encoding="ascii") as file:
            return file.read()
    except OSError:
        return ""


def _write(folder: str, name: str, value: object) -> None:
    descriptor = os.open(os.path.join(folder, name), os.O_WRONLY)
    try:
        os.write(descriptor, str(value).encode())
    finally:
        os.close(descriptor)


def _write_if_there(folder: str, name: str, value: object) -> None:
    if os.path.exists(os.path.join(folder, name)):
        _write(folder, name, value)
