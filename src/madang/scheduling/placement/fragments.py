"""The expected fragmentation of a node (FGD: Weng et al., USENIX ATC '23).

A device's free part is a fragment to a class of requests that can't use it: because the part is
smaller than what the class takes of a device, or because the node lacks something else. A node's
fragmentation is the sum over classes, weighted by how often they come. A good placement lets it
grow little:

    f(n, m) = all that is free   if n can't take m, or m asks for no device
              sum of r_i < milli_m   otherwise
    score = floor(100 sigmoid((F before - F after) / 1 device))
"""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil, log

import numpy as np

from madang.core.resources import MILLI
from madang.scheduling.placement.asks import Ask
from madang.scheduling.placement.mix import Mix
from madang.scheduling.placement.nodes import Integers
from madang.scheduling.placement.types import Types

MASS = 0.95
"""Share of the arrivals that the typical classes make up; from the paper."""

_SCALE = 1 << 20
"""Weights are whole numbers, so that sums are the same whatever order they are made in."""

THRESHOLDS: Integers = np.array(
    [ceil(MILLI * _SCALE * log(score / (100 - score))) for score in range(1, 100)], np.int64
)
"""A fall of F by at least [i] scores i + 1: floor(100 sigmoid(x)) without rounding."""


@dataclass(frozen=True)
class Fragments:
    """Typical classes in arrays; `milli[t, m]` is what class m takes of each device of type t, 0
    where it can take none."""

    weights: Integers
    cpu_milli: Integers
    counts: Integers
    milli: Integers

    @classmethod
    def of(cls, mix: Mix, types: Types) -> Fragments | None:
        """None when nothing is known of what will be asked for."""
        typical = mix.typical(MASS, by_devices=False)
        if not typical:
            return None
        asks = [types.ask(need) for need, _ in typical]
        return cls(
            np.array([round(share * _SCALE) for _, share in typical], np.int64),
            np.array([need.cpu_milli for need, _ in typical], np.int64),
            np.array([device_count(ask) for ask in asks], np.int64),
            np.array([ask.milli.max(axis=1, initial=0) for ask in asks], np.int64).T.copy(),
        )

    def sum(self, types: Integers, cpu_milli: Integers, devices: Integers) -> Integers:
        """F of nodes: types[k], cpu_milli[k], devices[k, d] of which d is free."""
        everything = devices.sum(axis=-1)
        total = np.zeros(everything.shape, np.int64)
        for m, weight in enumerate(self.weights.tolist()):
            wanted = self.milli[types, m]
            fits = devices >= wanted[..., None]
            below = np.where(fits, 0, devices).sum(axis=-1)
            usable = (
                (self.counts[m] > 0)
                & (wanted > 0)
                & (cpu_milli >= self.cpu_milli[m])
                & (fits.sum(axis=-1) >= self.counts[m])
            )
            total += weight * np.where(usable, below, everything)
        return total

    @staticmethod
    def score(fall: Integers) -> Integers:
        return np.searchsorted(THRESHOLDS, fall, side="right")


def device_count(ask: Ask) -> int:
    """How many devices of a node an ask is about."""
    return ask.whole or int(ask.share)
