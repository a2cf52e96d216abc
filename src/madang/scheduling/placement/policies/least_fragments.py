"""The place where expected fragmentation grows least: FGD."""

from __future__ import annotations

import numpy as np

from madang.scheduling.placement.asks import Ask
from madang.scheduling.placement.fragments import Fragments
from madang.scheduling.placement.nodes import Integers
from madang.scheduling.placement.policies.rule import Trial


class LeastFragments:
    fullest_first = False
    prices = None

    def __init__(self, fragments: Fragments | None) -> None:
        self.fragments = fragments

    def bias(self, ask: Ask) -> Integers:
        return np.zeros(len(ask.types), np.int64)

    def scores(self, trial: Trial) -> Integers:
        if self.fragments is None:
            return np.zeros(len(trial.rows), np.int64)
        cpu_after = trial.cpu_milli - trial.ask.need.cpu_milli
        before = self.fragments.sum(trial.types, trial.cpu_milli, trial.devices)
        after = trial.devices_after
        types = trial.types
        if trial.ask.share:
            types, cpu_after, before = types[:, None], cpu_after[:, None], before[:, None]
        return Fragments.score(before - self.fragments.sum(types, cpu_after, after))
