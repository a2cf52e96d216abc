"""The place where the node's residual value, in prices of what is likely to be asked for, falls
least; then the one where fragmentation grows least."""

from __future__ import annotations

import numpy as np

from madang.core.resources import MILLI
from madang.scheduling.placement.asks import Ask
from madang.scheduling.placement.fragments import Fragments
from madang.scheduling.placement.nodes import Integers
from madang.scheduling.placement.policies.least_fragments import LeastFragments
from madang.scheduling.placement.policies.rule import Trial
from madang.scheduling.placement.tables import UNIT, Prices

_SCORES = 128
"""More than there are scores of fragments."""


class ResidualValue:
    fullest_first = True

    def __init__(self, prices: Prices, fragments: Fragments | None) -> None:
        self.prices = prices
        self.fragments = fragments
        self._fragments_rule = LeastFragments(fragments)

    def bias(self, ask: Ask) -> Integers:
        """What it costs to take scarce devices from those who can't use others."""
        suits = ask.suits.any(axis=1)
        if not suits.any() or not (ask.whole or ask.share):
            return np.zeros(len(ask.types), np.int64)
        scarcity = self.prices.scarcity
        devices = ask.milli.max(axis=1, initial=0) * max(1, ask.whole)
        excess = np.maximum(0.0, scarcity - scarcity[suits].min())
        cost: Integers = np.rint(UNIT * devices / MILLI * excess).astype(np.int64)
        return -cost

    def scores(self, trial: Trial) -> Integers:
        before = self.prices.value(trial.types, trial.cpu_milli, trial.devices)
        cpu_after = trial.cpu_milli - trial.ask.need.cpu_milli
        types, bias = trial.types, self.bias(trial.ask)[trial.types]
        if trial.ask.share:
            types, cpu_after, before, bias = (
                each[:, None] for each in (types, cpu_after, before, bias)
            )
        after = self.prices.value(types, cpu_after, trial.devices_after)
        points = (after - before + bias + UNIT // 2) // UNIT
        fragments = self._fragments_rule.scores(trial)
        scores: Integers = points * _SCORES + fragments
        return scores
