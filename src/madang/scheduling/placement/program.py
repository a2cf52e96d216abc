"""The linear program of `prices`, put together and solved."""

from __future__ import annotations

from contextlib import suppress
from functools import lru_cache

import numpy as np

from madang.core.resources import MILLI
from madang.scheduling.placement.groups import Groups
from madang.scheduling.placement.nodes import Flags, Integers
from madang.scheduling.placement.tables import LEVEL_MILLI, LEVELS, Classes, Reals

BEYOND = 3.0
BEYOND_WORTH = 0.5
"""Demand up to three times beyond what fills the cluster counts half."""

GIB = 1 << 30

MOST_PATTERNS = 80
"""Of one free part, those with the largest sizes first. Small shares make many more: 30 cost a
point of allocation where many requests name models, 400 only time."""


def load_solver() -> None:
    """SciPy takes half a second to import: call this before a clock starts. Without it (a part of
    madang[server]) there are no prices, and fragmentation decides."""
    with suppress(ImportError):
        import scipy.optimize  # type: ignore[import-untyped]
        import scipy.sparse  # type: ignore[import-untyped]  # noqa: F401


class _Program:
    """A sparse program while it is put together: maximise worth @ x, rows @ x <= bounds."""

    def __init__(self) -> None:
        self.bounds: list[Reals] = []
        self.num_rows = 0
        self.worth: list[Reals] = []
        self.num_columns = 0
        self._rows: list[Integers] = []
        self._columns: list[Integers] = []
        self._values: list[Reals] = []

    def add_rows(self, bounds: Reals) -> Integers:
        first, self.num_rows = self.num_rows, self.num_rows + len(bounds)
        self.bounds.append(bounds)
        return np.arange(first, self.num_rows)

    def add_columns(self, worth: Reals) -> Integers:
        first, self.num_columns = self.num_columns, self.num_columns + len(worth)
        self.worth.append(worth)
        return np.arange(first, self.num_columns)

    def put(self, rows: Integers, columns: Integers, values: Reals | float) -> None:
        self._rows.append(rows)
        self._columns.append(columns)
        self._values.append(np.broadcast_to(np.asarray(values, np.float64), rows.shape))

    def solve(self, upper: Reals) -> Reals | None:
        """Shadow prices of the rows; None when there is no solver, or it found no solution."""
        try:
            from scipy.optimize import linprog
            from scipy.sparse import csr_array
        except ImportError:
            return None

        where = (np.concatenate(self._rows), np.concatenate(self._columns))
        matrix = csr_array(
            (np.concatenate(self._values), where), shape=(self.num_rows, self.num_columns)
        )
        result = linprog(
            -np.concatenate(self.worth),
            A_ub=matrix,
            b_ub=np.concatenate(self.bounds),
            bounds=np.stack([np.zeros(len(upper)), upper], axis=1),
            method="highs-ds",  # deterministic: one thread, no clock
        )
        if result.status != 0:
            return None
        shadow: Reals = -result.ineqlin.marginals
        return shadow


def class_prices(
    classes: Classes, demand: Reals, groups: Groups, cpu_value: float
) -> Reals | None:
    """By class: what a node gains by hosting one; None when the program could not be solved."""
    worth = np.where(
        classes.counts > 0, classes.devices_milli, cpu_value * classes.cpu_milli
    ).astype(np.float64)
    program = _Program()
    of_class, of_group = np.nonzero(_possible(classes, groups))
    flows = program.add_columns(worth[of_class])
    cpu_rows = program.add_rows(groups.cpu_milli / MILLI)
    memory_rows = program.add_rows(groups.memory_bytes / GIB)
    program.put(cpu_rows[of_group], flows, classes.cpu_milli[of_class] / MILLI)
    program.put(memory_rows[of_group], flows, classes.memory_bytes[of_class] / GIB)
    _devices(program, classes, groups, of_class, of_group, flows)
    class_rows = program.add_rows(demand)
    program.put(class_rows[of_class], flows, 1.0)
    beyond = program.add_columns(-(1 - BEYOND_WORTH) * worth)
    program.put(class_rows, beyond, -1.0)
    upper = np.full(program.num_columns, np.inf)
    upper[beyond] = BEYOND * demand
    shadow = program.solve(upper)
    return None if shadow is None else np.maximum(0.0, worth - shadow[class_rows])


def _possible(classes: Classes, groups: Groups) -> Flags:
    """[j, g]: one node of the group could hold a request of the class."""
    size = classes.size[:, groups.type]
    largest = np.where(groups.parts > 0, np.arange(LEVELS), 0).max(axis=1) * LEVEL_MILLI
    possible = classes.cpu_milli[:, None] <= groups.most_cpu_milli
    possible &= classes.memory_bytes[:, None] <= groups.most_memory_bytes
    single = (size > 0) & (size <= largest)
    several = (size > 0) & (classes.counts[:, None] <= groups.fewest_whole)
    counts = classes.counts[:, None]
    fits: Flags = possible & np.where(counts > 1, several, np.where(counts == 1, single, True))
    return fits


def _devices(
    program: _Program,
    classes: Classes,
    groups: Groups,
    of_class: Integers,
    of_group: Integers,
    flows: Integers,
) -> None:
    """Rows for devices: whole ones go to requests for whole ones or are cut by a pattern, partly
    free ones are cut by a pattern; shares of a size are at most what the patterns cut."""
    sizes = classes.size[of_class, groups.type[of_group]]
    is_share = classes.is_share[of_class]
    whole_rows = program.add_rows(groups.parts[:, -1].astype(np.float64))
    takes_whole = (classes.counts[of_class] > 0) & ~is_share
    program.put(
        whole_rows[of_group[takes_whole]],
        flows[takes_whole],
        classes.counts[of_class[takes_whole]].astype(np.float64),
    )
    for group in range(len(groups)):
        here = np.flatnonzero((of_group == group) & is_share)
        if not len(here):
            continue
        wanted = np.unique(sizes[here])
        size_rows = program.add_rows(np.zeros(len(wanted)))
        program.put(size_rows[np.searchsorted(wanted, sizes[here])], flows[here], 1.0)
        for level in np.flatnonzero(groups.parts[group]).tolist():
            patterns = maximal_patterns(tuple(wanted.tolist()), level * LEVEL_MILLI)
            if not len(patterns):
                continue
            columns = program.add_columns(np.zeros(len(patterns)))
            if level == LEVELS - 1:
                bound = whole_rows[group]
            else:
                bound = program.add_rows(groups.parts[group, level : level + 1].astype(float))[0]
            program.put(np.full(len(columns), bound), columns, 1.0)
            pattern, size = np.nonzero(patterns)
            cut = patterns[pattern, size].astype(np.float64)
            program.put(size_rows[size], columns[pattern], -cut)


@lru_cache(maxsize=4096)
def maximal_patterns(sizes: tuple[int, ...], room: int) -> Integers:
    """[pattern, size]: the multisets of sizes (ascending) that fit in `room` and leave no room for
    one more; at most `MOST_PATTERNS`, those with the largest sizes first."""
    found: list[list[int]] = []
    counts = [0] * len(sizes)

    def fill(i: int, left: int) -> None:
        if len(found) == MOST_PATTERNS:
            return
        if i == 0:
            counts[0] = left // sizes[0]
            if sum(counts):
                found.append(counts.copy())
            return
        for count in range(left // sizes[i], -1, -1):
            counts[i] = count
            fill(i - 1, left - count * sizes[i])
        counts[i] = 0

    if sizes:
        fill(len(sizes) - 1, room)
    return np.array(found, np.int64).reshape(len(found), len(sizes))
