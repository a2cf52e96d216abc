"""What it costs a job that its replicas are apart: devices within a node, replicas over nodes.

Where the step times of a job's own shapes were measured, they decide (`Work.step_times`). "As
close as possible" is not a substitute: of six measured models (Pollux, OSDI '21, T4 nodes) two
replicas are 1.02 to 2.0 times slower on two nodes than on one, but eight are *faster* on four
nodes (2+2+2+2) than on two (4+4), since fewer share a node's links. Without a measurement the
model is that of the same paper: what counts is whether a step crosses the network at all, not how
many nodes it crosses to.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from itertools import combinations
from math import comb

from madang.scheduling.model import Device, Work

Shape = tuple[int, ...]
"""Replicas on each node, largest first."""

WITHIN_NODE = 1.0
WITHIN_RACK = 1.47
ACROSS_RACKS = 1.7
"""Relative time of a step. Within a rack: the median of the six models for two replicas on two
nodes. Across racks: links between racks are usually shared by several times as many nodes as they
have room for; how many is not known to us, so that this says no more than that it is worse."""

_LINKED, _SAME_NUMA, _ACROSS_NUMA = 0, 1, 2
"""Distance of two devices: NVLink, PCIe below one CPU, PCIe and the link between CPUs. (NCCL's
order; Blink, MLSys '20: rings that leave NVLink are up to 8 times slower.)"""

_MOST_SETS = 20_000
"""More sets of devices than this are not compared one by one."""


def distance(first: Device, second: Device) -> int:
    if first.link_group >= 0 and first.link_group == second.link_group:
        return _LINKED
    return _SAME_NUMA if first.numa_node == second.numa_node else _ACROSS_NUMA


def set_cost(devices: Sequence[Device]) -> tuple[int, int]:
    """What it costs to use these devices together: the worst pair, then all pairs. A ring is as
    fast as its slowest link."""
    pairs = [distance(a, b) for a, b in combinations(devices, 2)]
    return max(pairs, default=0), sum(pairs)


@lru_cache(maxsize=4096)
def best_set(devices: tuple[Device, ...], free: tuple[int, ...], count: int) -> tuple[int, ...]:
    """Which `count` of the free devices (places in `devices`) to use together: the closest ones,
    and among equal sets the one that leaves the others closest together."""
    if count == len(free) or count < 1 or not _differ(devices, free):
        return free[:count]
    if comb(len(free), count) > _MOST_SETS:
        return _grown_set(devices, free, count)

    def cost(chosen: tuple[int, ...]) -> tuple[tuple[int, int], int, tuple[int, ...]]:
        taken = set(chosen)
        left = [devices[i] for i in free if i not in taken]
        return set_cost([devices[i] for i in chosen]), set_cost(left)[1], chosen

    return min(combinations(free, count), key=cost)


def _differ(devices: Sequence[Device], free: Sequence[int]) -> bool:
    return len({(devices[i].link_group, devices[i].numa_node) for i in free}) > 1


def _grown_set(devices: Sequence[Device], free: Sequence[int], count: int) -> tuple[int, ...]:
    """One device after the other, each the closest to those before, from each possible start."""

    def grow(start: int) -> list[int]:
        chosen, left = [start], [i for i in free if i != start]
        while len(chosen) < count:
            nearest = min(
                left, key=lambda i: (sum(distance(devices[i], devices[j]) for j in chosen), i)
            )
            chosen.append(nearest)
            left.remove(nearest)
        return sorted(chosen)

    sets = [grow(start) for start in free]
    return tuple(min(sets, key=lambda chosen: (set_cost([devices[i] for i in chosen]), chosen)))


def measured_shapes(work: Work | None, replicas: int) -> list[tuple[float, Shape]]:
    """Shapes of so many replicas whose step was measured, the fastest first."""
    if work is None:
        return []
    times = [(step_s, shape) for shape, step_s in work.step_times if sum(shape) == replicas]
    return sorted(times)
