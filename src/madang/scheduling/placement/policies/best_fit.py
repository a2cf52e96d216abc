"""The node with least left, half by CPU and half by devices (the baseline of the FGD paper)."""

from __future__ import annotations

import numpy as np

from madang.core.resources import MILLI
from madang.scheduling.placement.nodes import Integers
from madang.scheduling.placement.policies.rule import Trial

MOST_CPU_MILLI = 128 * MILLI
MOST_DEVICE_MILLI = 8 * MILLI
"""The largest node of the cluster that the scores were made for."""


class BestFit:
    fullest_first = True

    def scores(self, trial: Trial) -> Integers:
        cpu_left = (trial.cpu_milli - trial.ask.need.cpu_milli) / MOST_CPU_MILLI
        devices_left = (trial.devices.sum(axis=1) - trial.milli_asked) / MOST_DEVICE_MILLI
        scores: Integers = np.trunc(100 * (1 - 0.5 * cpu_left - 0.5 * devices_left)).astype(
            np.int64
        )
        return scores
