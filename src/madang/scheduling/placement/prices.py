"""What each class of requests is worth to a node that hosts it: shadow prices of a linear program.

The program fills what is free now with a fluid of what is expected, as well as can be:

    maximise   sum_j v_j (sum_g y_jg)  -  (1 - BEYOND_WORTH) sum_j v_j e_j
    each group of nodes alike:   CPU, main memory, whole devices, parts of devices
    each class:                  sum_g y_jg - e_j <= D_j,   0 <= e_j <= BEYOND D_j

y_jg of class j go to group g. D_j is how many come while what is free fills up; e_j is demand
beyond that, which counts in part: it keeps prices unique and positive where there is enough of
everything today. Parts of devices are cut by patterns: the maximal multisets of share sizes that
fit in a free part. u_j, the price of the class's own row, is what one more request is worth;
v_j - u_j is then what it costs the nodes, which is what a node gains by hosting one.

Constants were chosen by replaying 17 variants of the Alibaba GPU trace of 2023; figures beside
them are points of its GPU allocation.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from madang.core.resources import MILLI, Resources
from madang.scheduling.placement.fragments import device_count
from madang.scheduling.placement.groups import Groups
from madang.scheduling.placement.mix import Mix
from madang.scheduling.placement.nodes import Integers
from madang.scheduling.placement.program import class_prices
from madang.scheduling.placement.space import Space
from madang.scheduling.placement.tables import (
    LAMBDAS,
    UNIT,
    Classes,
    Prices,
    Reals,
    make_tables,
)
from madang.scheduling.placement.types import Types

MASS = 0.95
"""Share of the arrivals, and of the devices asked for, that typical classes make up."""


@dataclass(frozen=True)
class Tuning:
    """Constants of the policy, with what they trade."""

    cpu_value: float = 0.02
    """Of a thousandth of a CPU to those who ask for no device: keeps them from being priced out,
    though they may not be refused. It matters where CPUs are short (+1 point on cpu250)."""

    scarcity_weight: float = 100.0
    """Points that a device costs whose model is asked for once over by those who need it: +2
    points where a third of the requests name models."""

    slot_weight: float = 0.1
    """Of a place for several devices, as a share of them, where such places are short. With a
    fifth of it 8-GPU requests starve before the cluster is full (cpu200, gpushare60: 0.4 to 1
    point below FGD at 90 % arrivals)."""


TUNING = Tuning()


@dataclass(frozen=True)
class Solution:
    """Classes with their prices, and the tables made of them. Prices stay good for some hundred
    arrivals; `prices` says what is short at the moment."""

    classes: Classes
    price: Reals
    tables: Integers
    fixed: Prices

    def prices(self, space: Space, types: Types, tuning: Tuning = TUNING) -> Prices:
        """With what several devices at once and scarce models are worth now."""
        devices = free_devices(space, types)
        demand = _demand(self.classes, devices)
        groups = Groups.of(space, devices)
        return replace(
            self.fixed,
            slot_values=_slot_values(self, demand, groups, tuning),
            scarcity=_scarcity(self.classes, demand, groups, types, tuning),
        )


def solve(mix: Mix, space: Space, types: Types, tuning: Tuning = TUNING) -> Solution | None:
    """Prices for what is free now; None when nothing is known, nothing is free, or the program
    could not be solved."""
    typical = mix.typical(MASS, by_devices=True)
    classes = _classes(typical, types)
    devices = free_devices(space, types)
    if not devices.any() or not (classes.share * classes.devices_milli).any():
        return None
    groups = Groups.of(space, devices)
    price = class_prices(classes, _demand(classes, devices), groups, tuning.cpu_value)
    if price is None:
        return None
    with_devices = classes.counts > 0
    return _solution(classes.only(with_devices), price[with_devices], types)


def free_devices(space: Space, types: Types) -> Integers:
    """[n, c]: what is free of whole devices of open nodes."""
    counts = types.counts[space.type_of] & space.open[:, None]
    return np.where(counts, np.maximum(space.device_milli, 0), 0)


def _demand(classes: Classes, devices: Integers) -> Reals:
    """How many of each class come while all that is free fills up."""
    load = float((classes.share * classes.devices_milli).sum())
    return classes.share * (float(devices.sum()) / load)


def _classes(typical: Sequence[tuple[Resources, float]], types: Types) -> Classes:
    asks = [types.ask(need) for need, _ in typical]
    size = [np.where(types.counts, ask.milli, 0).max(axis=1, initial=0) for ask in asks]
    return Classes(
        np.array([share for _, share in typical]),
        np.array([need.cpu_milli for need, _ in typical], np.int64),
        np.array([need.memory_bytes for need, _ in typical], np.int64),
        np.array([device_count(ask) for ask in asks], np.int64),
        np.array(size, np.int64).reshape(len(asks), len(types)),
    )


def _solution(classes: Classes, price: Reals, types: Types) -> Solution:
    columns, tables, table_of = np.unique(
        classes.size, axis=1, return_index=True, return_inverse=True
    )
    serves = np.array(columns.any(axis=0), np.bool_)
    thresholds = np.unique(classes.cpu_milli)
    shares, wholes = make_tables(classes, price, tables, thresholds, types.columns)
    several = classes.counts > 1
    fixed = Prices(
        lambdas=LAMBDAS,
        cpu_thresholds=thresholds,
        table_of=np.where(serves[table_of], table_of, -1).astype(np.int64),
        shares=shares,
        wholes=wholes,
        slot_counts=classes.counts[several],
        slot_cpu_milli=np.maximum(1, classes.cpu_milli[several]),
        slot_values=np.zeros((len(tables), int(several.sum())), np.int64),
        scarcity=np.zeros(len(types)),
    )
    return Solution(classes, price, tables, fixed)


def _slot_values(solution: Solution, demand: Reals, groups: Groups, tuning: Tuning) -> Integers:
    """Value of a place for several devices, in units, by table and class. It grows with how short
    the cluster is of such places."""
    classes = solution.classes
    several = np.flatnonzero(classes.counts > 1)
    values = np.zeros((len(solution.tables), len(several)))
    for count in np.unique(classes.counts[several]).tolist():
        members = several[classes.counts[several] == count]
        total = demand[members].sum()
        shares = demand[members] / total
        slots = sum(
            share * groups.slots(count, int(classes.cpu_milli[j]), classes.size[j])
            for j, share in zip(members.tolist(), shares.tolist(), strict=True)
        )
        pressure = _pressure(total, slots)
        for j, share in zip(members.tolist(), shares.tolist(), strict=True):
            value = tuning.slot_weight * pressure * share * count * MILLI
            allowed = classes.size[j][solution.tables] > 0
            values[:, np.searchsorted(several, j)] = np.where(allowed, value, 0.0)
    return np.rint(values * UNIT).astype(np.int64)


def _pressure(demand: float, slots: float) -> float:
    """How short places are, from 0 to 1. The power tells a cluster that runs out of them from one
    that is always half full of such requests (multigpu50: +0.1 points; cubed, cpu050 loses
    0.3)."""
    return min(1.0, demand / slots) ** 2.5 if slots > 0 else 1.0


def _scarcity(
    classes: Classes, demand: Reals, groups: Groups, types: Types, tuning: Tuning
) -> Reals:
    """By type of node: points that a whole device of it costs who could use others. For each class
    that can't use all devices its demand is spread over those that it can use; what a device gets
    of it is how scarce it is. Types with the same classes are one kind of device."""
    free = groups.free_milli_by_type(len(types))
    usable = classes.size > 0
    scarcity = np.zeros(len(types))
    with_devices = types.counts.any(axis=1)
    for j in np.flatnonzero(~usable[:, with_devices].all(axis=1)):
        room = free[usable[j]].sum()
        if room > 0:
            scarcity[usable[j]] += demand[j] * classes.devices_milli[j] / room
    return tuning.scarcity_weight * scarcity
