"""The residual value of a node: the best packing of what is likely to be asked for into what is
left of it, each class at its price.

    V(c, r) = min over lambda of [ lambda c + W(whole-free devices) + sum of H(r_i) ] + slots(c, r)

lambda is a price of CPU: for each one, H and W value devices by a knapsack of classes at (price -
lambda x their CPU). The minimum bounds the packing from above (Lagrange). H and W are made of
those classes only that fit in the node's CPU. `slots` adds a little for each request for several
devices that still fits, where the cluster is short of such places.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from madang.core.resources import MILLI
from madang.scheduling.placement.nodes import Flags, Integers

Reals = NDArray[np.float64]

UNIT = 64
"""Values are whole multiples of 1/64 of a thousandth of a device: sums come out the same whatever
order they are made in."""

LEVEL_MILLI = 10
"""Free parts of devices are told apart in steps of this many thousandths."""

LEVELS = MILLI // LEVEL_MILLI + 1

LAMBDAS: Integers = np.rint(
    UNIT * MILLI * np.concatenate([[0.0], np.geomspace(0.002, 0.4, 27)])
).astype(np.int64)
"""Prices of a CPU in units: from nothing to 400 thousandths of a device."""

_NEVER = -1e18


@dataclass(frozen=True)
class Classes:
    """What is likely to be asked for, in arrays; j is a class and t a type of node.

    counts: devices; 0: none. size[j, t]: thousandths of each device; 0 where t can't serve it.
    demand: how many are expected while what is free now fills up. value: what a node gains by
    hosting one, in thousandths of a device.
    """

    share: Reals
    cpu_milli: Integers
    memory_bytes: Integers
    counts: Integers
    size: Integers

    @property
    def is_share(self) -> Flags:
        shares: Flags = (self.counts == 1) & (self.size.max(axis=1, initial=0) < MILLI)
        return shares

    @property
    def devices_milli(self) -> Integers:
        """Thousandths of devices that one takes in all."""
        milli: Integers = self.size.max(axis=1, initial=0) * self.counts
        return milli

    def only(self, members: Flags) -> Classes:
        return Classes(
            self.share[members],
            self.cpu_milli[members],
            self.memory_bytes[members],
            self.counts[members],
            self.size[members],
        )


@dataclass(frozen=True)
class Prices:
    """H is `shares[table, threshold, level, lambda]`, W is `wholes[table, threshold, count,
    lambda]`; types of nodes with equal devices have one table."""

    lambdas: Integers
    cpu_thresholds: Integers
    table_of: Integers
    shares: NDArray[np.int32]
    wholes: NDArray[np.int32]
    slot_counts: Integers
    slot_cpu_milli: Integers
    slot_values: Integers
    scarcity: Reals

    def value(self, types: Integers, cpu_milli: Integers, devices: Integers) -> Integers:
        """V of nodes, in units: types[k], cpu_milli[k], devices[k, d] of which d is free."""
        table = self.table_of[types]
        threshold = np.searchsorted(self.cpu_thresholds, cpu_milli, side="right") - 1
        worth = (table >= 0) & (threshold >= 0)
        whole = (devices >= MILLI).sum(axis=-1)
        level = np.where(devices >= MILLI, 0, np.maximum(devices, 0) // LEVEL_MILLI)
        table, threshold, cpu_milli = np.broadcast_arrays(table, threshold, cpu_milli)
        total = self.wholes[table, threshold, whole].astype(np.int64)
        total += self.shares[table[..., None], threshold[..., None], level].sum(axis=-2)
        total += self.lambdas * cpu_milli[..., None] // MILLI
        value = total.min(axis=-1)
        for kind, count in enumerate(self.slot_counts.tolist()):
            slots = np.minimum(whole // count, cpu_milli // self.slot_cpu_milli[kind])
            value = value + slots * self.slot_values[table, kind]
        return np.where(worth, value, 0)


def make_tables(
    classes: Classes, value: Reals, tables: Integers, cpu_thresholds: Integers, most_devices: int
) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
    """H and W. `tables[i]` is a type of node that stands for table i."""
    price_of_cpu = LAMBDAS / (UNIT * MILLI)
    left = value[:, None] - price_of_cpu * classes.cpu_milli[:, None]
    fits = classes.cpu_milli <= cpu_thresholds[:, None]
    size = classes.size[:, tables].T
    shares = _shares(classes, left, fits, size)
    wholes = _wholes(classes, left, fits, size, shares[:, :, -1], most_devices)
    return _to_units(shares[:, :, :]), _to_units(wholes)


def _shares(classes: Classes, left: Reals, fits: Flags, size: Integers) -> Reals:
    """H[i, threshold, level]: an unbounded knapsack of shares; the last level is a whole device,
    which may serve one request for a whole one instead."""
    units = -(-size // LEVEL_MILLI)
    is_share = classes.is_share
    best: dict[int, Reals] = {}
    shape = (size.shape[0], fits.shape[0], left.shape[1])
    for unit in np.unique(units[:, is_share]).tolist():
        if unit:
            best[unit] = _best(left, fits, is_share & (units == unit), shape)
    single = _best(left, fits, (classes.counts == 1) & ~is_share & (size > 0), shape)
    shares = np.zeros((size.shape[0], fits.shape[0], LEVELS, left.shape[1]))
    for level in range(1, LEVELS):
        here = shares[:, :, level - 1].copy()
        for unit, gain in best.items():
            if unit <= level:
                np.maximum(here, shares[:, :, level - unit] + gain, out=here)
        shares[:, :, level] = here
    np.maximum(shares[:, :, -1], single, out=shares[:, :, -1])
    return shares


def _wholes(
    classes: Classes, left: Reals, fits: Flags, size: Integers, one: Reals, most_devices: int
) -> Reals:
    """W[i, threshold, count]: whole-free devices, for single requests or several at once."""
    gains = {
        count: _best(left, fits, (classes.counts == count) & (size > 0), one.shape)
        for count in np.unique(classes.counts[classes.counts > 1]).tolist()
    }
    wholes = np.zeros((size.shape[0], fits.shape[0], most_devices + 1, left.shape[1]))
    for number in range(1, most_devices + 1):
        here = wholes[:, :, number - 1] + one
        for count, gain in gains.items():
            if count <= number:
                np.maximum(here, wholes[:, :, number - count] + gain, out=here)
        wholes[:, :, number] = here
    return wholes


def _best(left: Reals, fits: Flags, members: Flags, shape: tuple[int, ...]) -> Reals:
    """The best of the member classes `members[i, j]`, by table, threshold and lambda."""
    best = np.full(shape, _NEVER)
    for j in np.flatnonzero(members.any(axis=0)):
        usable = members[:, None, j] & fits[None, :, j]
        np.maximum(best, np.where(usable[..., None], left[j], _NEVER), out=best)
    return best


def _to_units(values: Reals) -> NDArray[np.int32]:
    return np.ascontiguousarray(np.rint(values * UNIT).astype(np.int32))
