from __future__ import annotations

import os
from pathlib import Path

import pytest

from madang.server.cluster.devices import SimulatedDevices
from madang.server.cluster.inventory import (
    count_numa_nodes,
    take_inventory,
    usable_cpu_milli,
    usable_memory_bytes,
)


def machine(root: Path, files: dict[str, str]) -> Path:
    """A machine made of files."""
    files = {"proc/meminfo": "MemTotal:       1048576 kB\n"} | files
    for name, text in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return root


def test_this_machine() -> None:
    inventory = take_inventory([SimulatedDevices("2xL4")], sandbox="bwrap", limits=("memory",))
    assert 0 < inventory.cpu_milli <= len(os.sched_getaffinity(0)) * 1000
    assert inventory.memory_bytes > 2**28
    assert inventory.numa_nodes >= 1
    assert inventory.labels == {"simulated": "true"}
    assert inventory.identity == ("shared" if os.geteuid() == 0 else "personal")


@pytest.mark.parametrize(
    "files",
    [
        {
            "proc/self/cgroup": "0::/a/b\n",
            "sys/fs/cgroup/a/cpu.max": "50000 100000\n",
            "sys/fs/cgroup/a/b/cpu.max": "max 100000\n",
            "sys/fs/cgroup/a/memory.max": "1000000\n",
            "sys/fs/cgroup/a/b/memory.max": "max\n",
        },
        {
            "proc/self/cgroup": "3:memory:/a/b\n2:cpu,cpuacct:/a\n",
            "sys/fs/cgroup/cpu/a/cpu.cfs_quota_us": "50000\n",
            "sys/fs/cgroup/cpu/a/cpu.cfs_period_us": "100000\n",
            "sys/fs/cgroup/cpu/cpu.cfs_quota_us": "-1\n",
            "sys/fs/cgroup/cpu/cpu.cfs_period_us": "100000\n",
            "sys/fs/cgroup/memory/a/memory.limit_in_bytes": "1000000\n",
            "sys/fs/cgroup/memory/a/b/memory.limit_in_bytes": "9223372036854771712\n",
        },
    ],
    ids=["v2", "v1"],
)
def test_the_limits_of_our_own_control_groups_count(tmp_path: Path, files: dict[str, str]) -> None:
    root = machine(tmp_path, files)
    assert usable_cpu_milli(root) == 500
    assert usable_memory_bytes(root) == 1_000_000


def test_without_limits_the_machine_counts(tmp_path: Path) -> None:
    root = machine(tmp_path, {"proc/self/cgroup": "0::/\n"})
    assert usable_cpu_milli(root) == len(os.sched_getaffinity(0)) * 1000
    assert usable_memory_bytes(root) == 2**30
    assert count_numa_nodes(root) == 1


def test_numa_nodes_are_counted(tmp_path: Path) -> None:
    nodes = {f"sys/devices/system/node/node{n}/cpulist": "" for n in range(12)}
    root = machine(tmp_path, nodes | {"sys/devices/system/node/possible": "0-11"})
    assert count_numa_nodes(root) == 12
