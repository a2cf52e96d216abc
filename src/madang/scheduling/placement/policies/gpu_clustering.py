"""Requests of one kind together: shares, single devices, pairs... (the FGD paper's
GpuClustering)."""

from __future__ import annotations

import numpy as np

from madang.core.resources import MILLI
from madang.scheduling.placement.nodes import Integers
from madang.scheduling.placement.policies.best_fit import MOST_DEVICE_MILLI
from madang.scheduling.placement.policies.rule import Trial

_ONLY_OWN, _OWN_AND_OTHERS, _NONE = 75, 50, 25


class GpuClustering:
    fullest_first = True

    def scores(self, trial: Trial) -> Integers:
        ask = trial.ask
        if not ask.whole and not ask.share:
            return np.zeros(len(trial.rows), np.int64)
        held = trial.space.replicas_by_devices[trial.rows] > 0
        own = held[:, min(ask.whole, held.shape[1] - 1)]
        kinds = held.sum(axis=1)
        base = np.where(own, np.where(kinds == 1, _ONLY_OWN, _OWN_AND_OTHERS), 0)
        base[kinds == 0] = _NONE
        free = trial.devices.sum(axis=1)
        scores: Integers = base + 25 * np.maximum(0, MOST_DEVICE_MILLI - free) // (8 * MILLI)
        return scores
