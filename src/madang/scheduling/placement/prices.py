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

All formulas of section 3 of the policy's description were chosen by replaying the Alibaba trace of
2023 (17 variants); the constants say which figures they trade.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

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
CPU_VALUE = 0.02
"""Value of a thousandth of a CPU to those who ask for no device: keeps them from being priced out,
though they may not be refused. Matters where CPUs are short (+1 point of allocation on cpu250)."""

SCARCITY_WEIGHT = 100.0
"""Points for a device of a model that others need and that is asked for once over: +2 points of
allocation where a third of the requests name a model."""


@dataclass(frozen=True)
class Tuning:
    """Constants of the policy; see the module."""

    slot_weight: float = 0.02
    scarcity_weight: float = SCARCITY_WEIGHT
    cpu_value: float = CPU_VALUE


TUNING = Tuning()


def solve(mix: Mix, space: Space, types: Types, tuning: Tuning = TUNING) -> Prices | None:
    """Prices for what is free now; None when nothing is known, nothing is free, or the program
    could not be solved."""
    typical = mix.typical(MASS, by_devices=True)
    classes = _classes(typical, types)
    devices = np.where(types.counts[space.type_of], np.maximum(space.device_milli, 0), 0)
    devices[~space.open] = 0
    load = float((classes.share * classes.devices_milli).sum()) if typical else 0.0
    if load <= 0 or not devices.any():
        return None
    demand = classes.share * float(devices.sum()) / load
    groups = Groups.of(space, devices)
    price = class_prices(classes, demand, groups, tuning.cpu_value)
    if price is None:
        return None
    return _prices(classes, demand, price, groups, space, types, tuning)


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


def _prices(
    classes: Classes,
    demand: Reals,
    price: Reals,
    groups: Groups,
    space: Space,
    types: Types,
    tuning: Tuning,
) -> Prices:
    with_devices = classes.counts > 0
    hosted = classes.only(with_devices)
    columns, tables, table_of = np.unique(
        hosted.size, axis=1, return_index=True, return_inverse=True
    )
    serves = np.array(columns.any(axis=0), np.bool_)
    table_of = np.where(serves[table_of], table_of, -1)
    thresholds = np.unique(hosted.cpu_milli)
    shares, wholes = make_tables(hosted, price[with_devices], tables, thresholds, types.columns)
    several = hosted.counts > 1
    return Prices(
        lambdas=LAMBDAS,
        cpu_thresholds=thresholds,
        table_of=table_of.astype(np.int64),
        shares=shares,
        wholes=wholes,
        slot_counts=hosted.counts[several],
        slot_cpu_milli=np.maximum(1, hosted.cpu_milli[several]),
        slot_values=_slot_values(hosted, demand[with_devices], groups, tables, tuning),
        scarcity=_scarcity(hosted, demand[with_devices], groups, types, tuning),
    )


def _slot_values(
    classes: Classes, demand: Reals, groups: Groups, tables: Integers, tuning: Tuning
) -> Integers:
    """Value of a place for several devices, in units, by table and class. It grows with how short
    the cluster is of such places: demand over the number that would fit now."""
    several = np.flatnonzero(classes.counts > 1)
    values = np.zeros((len(tables), len(several)))
    for count in np.unique(classes.counts[several]).tolist():
        members = several[classes.counts[several] == count]
        total = demand[members].sum()
        shares = demand[members] / total
        slots = sum(
            share * groups.slots(count, int(classes.cpu_milli[j]), classes.size[j])
            for j, share in zip(members.tolist(), shares.tolist(), strict=True)
        )
        pressure = min(1.0, total / slots) if slots > 0 else 1.0
        for j, share in zip(members.tolist(), shares.tolist(), strict=True):
            kind = int(np.searchsorted(several, j))
            allowed = classes.size[j][tables] > 0
            values[:, kind] += np.where(
                allowed, tuning.slot_weight * pressure * share * count * MILLI, 0.0
            )
    return np.rint(values * UNIT).astype(np.int64)


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
