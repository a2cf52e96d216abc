"""What this machine has: CPUs, memory, NUMA nodes, accelerators."""

from __future__ import annotations

import os
import socket
from pathlib import Path
from typing import Literal

from madang.core.resources import MILLI
from madang.server.cluster.devices import DevicePlugin
from madang.server.cluster.protocol import DeviceInventory, NodeInventory


def take_inventory(
    plugins: list[DevicePlugin], *, sandbox: str, limits: tuple[str, ...]
) -> NodeInventory:
    """Look at the machine. What a container or a control group leaves to us counts, not what the
    hardware has."""
    devices: list[DeviceInventory] = [d for plugin in plugins for d in plugin.inventory()]
    identity: Literal["shared", "personal"] = "shared" if os.geteuid() == 0 else "personal"
    labels = {"simulated": "true"} if any(device.simulated for device in devices) else {}
    return NodeInventory(
        hostname=socket.gethostname(),
        cpu_milli=usable_cpu_milli(),
        memory_bytes=usable_memory_bytes(),
        numa_nodes=count_numa_nodes(),
        devices=tuple(devices),
        sandbox=sandbox,
        limits=limits,
        identity=identity,
        labels=labels,
    )


def usable_cpu_milli(root: Path = Path("/")) -> int:
    """CPUs that this process may use: its affinity, cut by the quotas of its control groups."""
    available = len(os.sched_getaffinity(0)) * MILLI
    for folder in _own_groups(root, "cpu"):
        quota, period = _cpu_quota(folder)
        if quota > 0:
            available = min(available, quota * MILLI // period)
    return max(1, available)


def usable_memory_bytes(root: Path = Path("/")) -> int:
    """Main memory, cut by the limits of our control groups."""
    total = 0
    for line in (root / "proc/meminfo").read_text().splitlines():
        if line.startswith("MemTotal:"):
            total = int(line.split()[1]) * 1024
    for folder in _own_groups(root, "memory"):
        for name in ("memory.max", "memory.limit_in_bytes"):
            limit = _read(folder / name)
            if limit.isdigit():
                total = min(total, int(limit))
    return total


def count_numa_nodes(root: Path = Path("/")) -> int:
    return max(1, len(list((root / "sys/devices/system/node").glob("node[0-9]*"))))


def _cpu_quota(folder: Path) -> tuple[int, int]:
    words = _read(folder / "cpu.max").split()
    if len(words) == 2:
        return (int(words[0]) if words[0].isdigit() else 0), int(words[1])
    quota, period = _read(folder / "cpu.cfs_quota_us"), _read(folder / "cpu.cfs_period_us")
    return (int(quota) if quota.isdigit() else 0), int(period or 1)


def _own_groups(root: Path, controller: str) -> list[Path]:
    """Our group for a controller and its parents, in whichever version controls it."""
    found: list[Path] = []
    for line in _read(root / "proc/self/cgroup").splitlines():
        number, names, path = line.split(":", 2)
        if number == "0":
            bases = [root / "sys/fs/cgroup", root / "sys/fs/cgroup/unified"]
        elif controller in names.split(","):
            bases = [root / "sys/fs/cgroup" / controller, root / "sys/fs/cgroup" / names]
        else:
            continue
        for base in bases:
            group = base / path.lstrip("/")
            found.extend(p for p in (group, *group.parents) if p == base or base in p.parents)
    return found


def _read(path: Path) -> str:
    try:
        return path.read_text().strip()
    except OSError:
        return ""
