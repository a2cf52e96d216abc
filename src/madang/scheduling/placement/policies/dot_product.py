"""The node whose free resources point away from what is asked for (the FGD paper's DotProd)."""

from __future__ import annotations

import numpy as np

from madang.scheduling.placement.nodes import Integers
from madang.scheduling.placement.policies.best_fit import MOST_CPU_MILLI, MOST_DEVICE_MILLI
from madang.scheduling.placement.policies.rule import Trial


class DotProduct:
    fullest_first = True

    def scores(self, trial: Trial) -> Integers:
        by_cpu = trial.cpu_milli * trial.ask.need.cpu_milli / MOST_CPU_MILLI**2
        by_devices = trial.devices.sum(axis=1) * trial.milli_asked / MOST_DEVICE_MILLI**2
        scores: Integers = np.trunc(100 * (1 - (by_cpu + by_devices) / 2)).astype(np.int64)
        return scores
