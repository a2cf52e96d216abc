"""Devices in use first, then free devices of nodes in use, then free nodes (the FGD paper's
GpuPacking)."""

from __future__ import annotations

import numpy as np

from madang.core.resources import MILLI
from madang.scheduling.placement.nodes import Integers
from madang.scheduling.placement.policies.rule import Trial

_SHARED, _WHOLE, _FREE_NODE = 100, 50, 33
"""Where the scores of the three kinds of place begin."""


class GpuPacking:
    fullest_first = True

    def scores(self, trial: Trial) -> Integers:
        ask = trial.ask
        if not ask.whole and not ask.share:
            return np.zeros(len(trial.rows), np.int64)
        devices = trial.devices
        num_devices = trial.counts.sum(axis=1)[trial.types]
        whole = ((devices == MILLI) & trial.fits).sum(axis=1)
        free_node = np.maximum(_FREE_NODE - num_devices, num_devices)
        if ask.whole:
            in_use = np.full(len(trial.rows), max(_WHOLE - ask.whole, _FREE_NODE))
        else:
            partial = trial.fits & (devices < MILLI)
            tightest = np.where(partial, devices, MILLI).min(axis=1)
            shared = np.maximum(_SHARED - tightest * 100 // MILLI // 10, _WHOLE)
            in_use = np.where(partial.any(axis=1), shared, max(_WHOLE - 1, _FREE_NODE))
        everything = (whole == num_devices) & (devices.sum(axis=1) == num_devices * MILLI)
        return np.where(everything, free_node, in_use)
