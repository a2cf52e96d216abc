"""Open nodes in groups that a linear program can take as one: alike in type, in how many devices
are wholly free, and in how much CPU is free beside them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from madang.core.resources import MILLI
from madang.scheduling.placement.nodes import Integers
from madang.scheduling.placement.space import Space
from madang.scheduling.placement.tables import LEVEL_MILLI, LEVELS

_WHOLE_STEPS = np.array([1, 2, 4, 8])
_CPU_STEPS_MILLI = np.array([3, 6, 9, 11, 12.5, 16, 24]) * MILLI
"""Free CPU for each free device: the steps lie where typical requests for one device lie. Where
no device is wholly free they are needed too: without them cpu250 loses 0.3 points."""


@dataclass(frozen=True)
class Groups:
    """Group g: type[g], sums of cpu_milli and memory_bytes, the largest of each in one node, the
    fewest whole devices of a node, and parts[g, level] devices of each free level."""

    type: Integers
    cpu_milli: Integers
    memory_bytes: Integers
    most_cpu_milli: Integers
    most_memory_bytes: Integers
    fewest_whole: Integers
    parts: Integers
    # by node
    node_type: Integers
    node_cpu_milli: Integers
    node_whole: Integers

    @classmethod
    def of(cls, space: Space, devices: Integers) -> Groups:
        """devices[n, d]: what is free of those that count; nothing of closed nodes."""
        rows = np.flatnonzero(space.open)
        types = space.type_of[rows]
        devices = devices[rows]
        cpu = np.maximum(space.cpu_milli[rows], 0)
        memory = np.maximum(space.memory_bytes[rows], 0)
        whole = (devices >= MILLI).sum(axis=1)
        whole_step = np.searchsorted(_WHOLE_STEPS, whole, side="right")
        cpu_step = np.searchsorted(_CPU_STEPS_MILLI, cpu / np.maximum(1, whole), side="right")
        key = (types * (len(_WHOLE_STEPS) + 1) + whole_step) * (len(_CPU_STEPS_MILLI) + 1)
        _, first, group = np.unique(key + cpu_step, return_index=True, return_inverse=True)
        count = len(first)
        parts = np.zeros((count, LEVELS), np.int64)
        level = np.minimum(devices // LEVEL_MILLI, LEVELS - 1)
        np.add.at(parts, (np.repeat(group, devices.shape[1]), level.ravel()), 1)
        return cls(
            types[first],
            np.bincount(group, cpu, count).astype(np.int64),
            np.bincount(group, memory, count).astype(np.int64),
            _extreme(np.maximum, group, cpu, count, 0),
            _extreme(np.maximum, group, memory, count, 0),
            _extreme(np.minimum, group, whole, count, 1 << 30),
            parts,
            types,
            cpu,
            whole,
        )

    def __len__(self) -> int:
        return len(self.type)

    def slots(self, count: int, cpu_milli: int, size: Integers) -> int:
        """How many requests for `count` devices each would fit now; size[t]: 0 where none does."""
        each = np.minimum(self.node_whole // count, self.node_cpu_milli // max(1, cpu_milli))
        return int(each[size[self.node_type] > 0].sum())

    def free_milli_by_type(self, types: int) -> Integers:
        levels = np.arange(LEVELS) * LEVEL_MILLI
        return np.bincount(self.type, self.parts @ levels, types).astype(np.int64)


def _extreme(
    ufunc: np.ufunc, group: Integers, values: Integers, count: int, start: int
) -> Integers:
    found = np.full(count, start, np.int64)
    ufunc.at(found, group, values)
    return found
