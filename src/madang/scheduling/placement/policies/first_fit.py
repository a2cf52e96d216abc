"""The first node in the fixed order; what needs no device goes first to nodes without any."""

from __future__ import annotations

import numpy as np

from madang.scheduling.placement.asks import Ask
from madang.scheduling.placement.nodes import Integers
from madang.scheduling.placement.policies.rule import Trial
from madang.scheduling.placement.tables import UNIT


class FirstFit:
    fullest_first = True
    fragments = None
    prices = None

    def bias(self, ask: Ask) -> Integers:
        return avoid_devices(ask) * UNIT

    def scores(self, trial: Trial) -> Integers:
        return avoid_devices(trial.ask)[trial.types]


def avoid_devices(ask: Ask) -> Integers:
    """By type of node: -1 where a request that needs no device would use up the CPUs that devices
    need beside them."""
    if ask.whole or ask.share:
        return np.zeros(len(ask.types), np.int64)
    return np.array([-1 if each.devices else 0 for each in ask.types], np.int64)
